//! Between an operator and the API server: plain HTTP on loopback on one side, the administrator's
//! credential on the other, with the operator's own permissions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kube::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A way to the API server for one operator.
pub struct Door {
    pub address: SocketAddr,
    keeper: Arc<Keeper>,
    serving: JoinHandle<()>,
}

/// A request that has come through.
#[derive(Clone, Debug)]
pub struct Passed {
    pub method: Method,
    /// Without the query.
    pub path: String,
    pub is_watch: bool,
    pub at: Instant,
}

impl Passed {
    /// Whether it changes something: anything but reading, and but holding the Lease.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && !self.is_of_the_lease()
    }

    fn is_renewal(&self) -> bool {
        self.method != Method::GET && self.is_of_the_lease()
    }

    fn is_of_the_lease(&self) -> bool {
        self.path.contains("/leases")
    }

    /// The kind that it is about, with the subresource: `externalservices/status`.
    pub fn kind(&self) -> String {
        let mut parts = self
            .path
            .trim_start_matches('/')
            .split('/')
            .skip(2)
            .peekable();
        if self.path.starts_with("/apis") {
            parts.next();
        }
        if parts.peek() == Some(&"namespaces") {
            parts.nth(1);
        }
        let kind = parts.next().unwrap_or_default();
        match parts.nth(1) {
            Some(subresource) => format!("{kind}/{subresource}"),
            None => kind.to_owned(),
        }
    }
}

/// Kills an operator at one of its writes.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// At which write from now on, the first being 1.
    pub at_write: usize,
    pub moment: Moment,
    pub pid: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never hears of the write.
    BeforeIt,
    /// The API server carries it out and the operator never hears of it.
    AfterIt,
}

struct Keeper {
    client: Client,
    user: &'static str,
    passed: Mutex<Vec<Passed>>,
    trap: Mutex<Option<Trap>>,
    sprung: Mutex<Vec<(Passed, Moment)>>,
    shut: Mutex<bool>,
    /// Takes note of the renewal whose answer is withheld.
    withheld_tx: Mutex<Option<oneshot::Sender<()>>>,
}

impl Door {
    /// Opens a door for this ServiceAccount, `namespace:name`.
    pub async fn open(client: Client, user: &'static str) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keeper = Arc::new(Keeper {
            client,
            user,
            passed: Mutex::default(),
            trap: Mutex::default(),
            sprung: Mutex::default(),
            shut: Mutex::new(false),
            withheld_tx: Mutex::default(),
        });
        let router = axum::Router::new()
            .fallback(pass)
            .with_state(keeper.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Door {
            address,
            keeper,
            serving,
        }
    }

    /// Everything that has come through so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.keeper.passed.lock().unwrap().clone()
    }

    /// Everything but watches since `begin`.
    pub fn since(&self, begin: Instant) -> Vec<Passed> {
        let mut passed = self.passed();
        passed.retain(|request| request.at >= begin && !request.is_watch);
        passed
    }

    /// Sets a trap in place of the one before, or takes it away.
    pub fn set(&self, trap: Option<Trap>) {
        *self.keeper.trap.lock().unwrap() = trap;
    }

    /// The writes at which an operator was killed so far.
    pub fn sprung(&self) -> Vec<(Passed, Moment)> {
        self.keeper.sprung.lock().unwrap().clone()
    }

    /// From now on requests are neither answered nor passed on: the network is gone.
    pub fn shut(&self, shut: bool) {
        *self.keeper.shut.lock().unwrap() = shut;
    }

    /// Waits until the Lease has been renewed once more, which the operator never hears of.
    pub async fn withhold_renewal(&self) {
        let (withheld_tx, withheld_rx) = oneshot::channel();
        *self.keeper.withheld_tx.lock().unwrap() = Some(withheld_tx);
        withheld_rx.await.unwrap();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Keeper {
    /// Writes down the request, and says whether the operator dies of it.
    fn note(&self, request: &Passed) -> Option<Trap> {
        self.passed.lock().unwrap().push(request.clone());
        if !request.is_write() {
            return None;
        }
        let mut trap = self.trap.lock().unwrap();
        let armed = trap.as_mut()?;
        armed.at_write -= 1;
        if armed.at_write > 0 {
            return None;
        }
        self.sprung
            .lock()
            .unwrap()
            .push((request.clone(), armed.moment));
        trap.take()
    }
}

async fn pass(State(keeper): State<Arc<Keeper>>, request: Request) -> Response {
    if *keeper.shut.lock().unwrap() {
        std::future::pending::<()>().await;
    }
    let (parts, body) = request.into_parts();
    let is_watch = parts
        .uri
        .query()
        .is_some_and(|query| query.contains("watch="));
    let passed = Passed {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        is_watch,
        at: Instant::now(),
    };
    let is_renewal = passed.is_renewal();
    let trap = keeper.note(&passed);
    if let Some(trap) = trap
        && trap.moment == Moment::BeforeIt
    {
        spring(trap).await;
    }
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let target = parts.uri.path_and_query().unwrap().clone();
    let mut onward = axum::http::Request::builder()
        .method(parts.method)
        .uri(target.as_str())
        .body(kube::client::Body::from(body.to_vec()))
        .unwrap();
    for (name, value) in &parts.headers {
        if [header::ACCEPT, header::CONTENT_TYPE].contains(name) {
            onward.headers_mut().insert(name, value.clone());
        }
    }
    for (name, value) in [
        (
            "impersonate-user",
            format!("system:serviceaccount:{}", keeper.user),
        ),
        ("impersonate-group", "system:authenticated".into()),
    ] {
        let value = HeaderValue::try_from(value).unwrap();
        onward.headers_mut().insert(name, value);
    }
    let answer = keeper.client.send(onward).await;
    let withheld_tx = keeper.withheld_tx.lock().unwrap().take_if(|_| is_renewal);
    if let Some(withheld_tx) = withheld_tx {
        let _ = withheld_tx.send(());
        std::future::pending::<()>().await;
    }
    if let Some(trap) = trap {
        spring(trap).await;
    }
    match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// Kills the operator; it never hears of its request again.
async fn spring(trap: Trap) {
    kill(Pid::from_raw(trap.pid), Signal::SIGKILL).unwrap();
    std::future::pending().await
}
