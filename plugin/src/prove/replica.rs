//! Asks a forwarder replica about its flows, through the API server's port-forward.
//!
//! The replica answers only callers from within its own pod, which is what port-forward is; it
//! takes the permission `create pods/portforward`.

use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::failure::with_causes;

/// How long a replica may take: it waits up to 2 s for a tunnel and up to 13 s for what the gateway
/// says of a silent target; the rest is for port-forward itself.
const LIMIT: Duration = Duration::from_secs(20);

/// Environment variable with the port on which a replica answers.
const HTTP_PORT: &str = extconn_api::names::forwarder_env::HTTP_PORT;

/// What came of a connection that the gateway made for a replica.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Probed {
    /// `ok`, or a reason: `refused`, `timed_out`, …
    pub result: String,
    /// Address and port that the gateway really used.
    #[serde(default)]
    pub bound: Option<SocketAddr>,
    /// How long it took.
    #[serde(default)]
    pub milliseconds: u64,
}

/// A connection that a pod opened at a replica.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Opened {
    /// The pod's end.
    pub peer: SocketAddr,
    /// Port that it dialled.
    pub listen: u16,
    /// Source IP that the replica chose for it.
    #[serde(default)]
    pub source_ip: Option<String>,
    /// `ok`, `opening` while the target has not answered, or a reason.
    pub result: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The replica does not know the question: it is of another version.
    Unknown,
    /// Why it could not be asked.
    Unreachable(String),
}

/// What to do about a replica that could not be asked.
pub(crate) fn next_of_unreachable(why: &str) -> &'static str {
    if why.contains("forbidden") || why.contains("403") {
        "it takes the permission to create pods/portforward in the connector namespace"
    } else {
        "see whether the forwarder's pods and their nodes are well: `kubectl get pods -A -o wide`"
    }
}

/// Has the gateway of `source_ip` connect to `destination` for this replica.
///
/// # Errors
/// No answer.
pub(crate) async fn probe(
    pods: &Api<Pod>,
    replica: &Pod,
    source_ip: &str,
    destination: &str,
) -> Result<Probed, NoAnswer> {
    get(pods, replica, &format!("/probe/{source_ip}/{destination}")).await
}

/// Connections that the pod at `address` has lately opened at this replica.
///
/// # Errors
/// No answer.
pub(crate) async fn flows(
    pods: &Api<Pod>,
    replica: &Pod,
    address: &str,
) -> Result<Vec<Opened>, NoAnswer> {
    get(pods, replica, &format!("/flows/{address}")).await
}

async fn get<T: DeserializeOwned>(
    pods: &Api<Pod>,
    replica: &Pod,
    path: &str,
) -> Result<T, NoAnswer> {
    let name = replica.name_any();
    let port = http_port(replica)
        .ok_or_else(|| NoAnswer::Unreachable(format!("pod {name} has no {HTTP_PORT}")))?;
    let exchange = exchange(pods, &name, port, path);
    let answer = tokio::time::timeout(LIMIT, exchange).await;
    let answer = answer.unwrap_or_else(|_| {
        Err(format!(
            "pod {name} does not answer within {} s",
            LIMIT.as_secs()
        ))
    });
    let answer = answer.map_err(NoAnswer::Unreachable)?;
    match status(&answer) {
        Some(200) => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            serde_json::from_str(body).map_err(|error| {
                NoAnswer::Unreachable(format!("pod {name} answers nonsense: {error}"))
            })
        }
        Some(404) => Err(NoAnswer::Unknown),
        Some(code) => Err(NoAnswer::Unreachable(format!(
            "pod {name} answers with status {code}"
        ))),
        None => Err(NoAnswer::Unreachable(format!(
            "pod {name} answers nonsense"
        ))),
    }
}

/// The port on which a replica answers, from its pod.
pub(crate) fn http_port(replica: &Pod) -> Option<u16> {
    let containers = &replica.spec.as_ref()?.containers;
    let environment = containers
        .iter()
        .flat_map(|container| container.env.iter().flatten());
    environment
        .into_iter()
        .find(|variable| variable.name == HTTP_PORT)?
        .value
        .as_ref()?
        .parse()
        .ok()
}

async fn exchange(pods: &Api<Pod>, name: &str, port: u16, path: &str) -> Result<String, String> {
    let forward = pods.portforward(name, &[port]).await;
    let mut forward = forward
        .map_err(|error| format!("port-forward to pod {name} fails: {}", with_causes(&error)))?;
    let mut stream = forward
        .take_stream(port)
        .ok_or_else(|| format!("port-forward to pod {name} gives no stream"))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: forwarder\r\nConnection: close\r\n\r\n");
    let broken = |error: std::io::Error| format!("the connection to pod {name} broke: {error}");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(broken)?;
    Ok(answer)
}

fn status(answer: &str) -> Option<u16> {
    answer
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_where_the_operator_wrote_it() {
        let seen = crate::prove::fixtures::healthy();
        assert_eq!(http_port(&seen.replicas[0]), Some(9402));
        assert_eq!(http_port(&Pod::default()), None);
    }

    #[test]
    fn answers_are_read_as_the_forwarder_writes_them() {
        let probed: Probed =
            serde_json::from_str(r#"{"result":"ok","bound":"192.0.2.10:51514","milliseconds":3}"#)
                .unwrap();
        assert_eq!(probed.bound.unwrap().ip().to_string(), "192.0.2.10");
        let refused: Probed = serde_json::from_str(r#"{"result":"refused","bound":null}"#).unwrap();
        assert_eq!((refused.result.as_str(), refused.bound), ("refused", None));
        let opened: Vec<Opened> = serde_json::from_str(
            r#"[{"peer":"10.244.1.9:40001","listen":8000,"source_ip":null,"destination":"203.0.113.7:8000","result":"unknown_peer"}]"#,
        )
        .unwrap();
        assert_eq!(opened[0].listen, 8000);
        assert_eq!(status("HTTP/1.1 404 Not Found\r\n\r\n"), Some(404));
    }
}
