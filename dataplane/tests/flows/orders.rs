//! Every order in which two sides may end a connection, each way round: what one side says, the
//! other one hears, behind everything that was sent before it.

use std::net::SocketAddrV4;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::world::{PATIENCE, SERVICE, SOURCE_IP_1, TARGET, World, bind, connect};

/// Which side does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its half is complete.
    Fin,
    /// Both halves are not.
    Reset,
}

use End::{Fin, Reset};
use Side::{Client, Server};

/// Every order: a reset ends it, and so does the second clean end.
const ORDERS: [&[(Side, End)]; 8] = [
    &[(Client, Reset)],
    &[(Server, Reset)],
    &[(Client, Fin), (Client, Reset)],
    &[(Client, Fin), (Server, Reset)],
    &[(Client, Fin), (Server, Fin)],
    &[(Server, Fin), (Client, Reset)],
    &[(Server, Fin), (Server, Reset)],
    &[(Server, Fin), (Client, Fin)],
];

/// Whether a side waits until the other one has heard what was done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    EachHeard,
    AtOnce,
}

/// Bytes that each side sends before it does something, unless its half is complete.
const SAID: usize = 100_000;

/// A side of a connection, and what has happened to it.
struct Party {
    stream: Option<TcpStream>,
    /// What it has sent and what it has read.
    sent: usize,
    read: usize,
    finished: bool,
}

impl Party {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(stream),
            sent: 0,
            read: 0,
            finished: false,
        }
    }

    async fn says(&mut self) {
        if let (false, Some(stream)) = (self.finished, &mut self.stream) {
            // The other side may have reset it.
            if stream.write_all(&[0x5a; SAID]).await.is_ok() {
                self.sent += SAID;
            }
        }
    }

    async fn does(&mut self, end: End) {
        match end {
            Fin => {
                self.finished = true;
                if let Some(stream) = &mut self.stream {
                    // As above.
                    let _ = stream.shutdown().await;
                }
            }
            Reset => self.stream.take().into_iter().for_each(crate::world::reset),
        }
    }

    /// Reads up to so many bytes in all, or to an end.
    async fn hears(&mut self, up_to: usize) -> Option<End> {
        let stream = self.stream.as_mut().expect("whoever reset hears nothing");
        let mut buffer = vec![0; 1 << 16];
        while self.read < up_to {
            let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
            match read.expect("it ends in time") {
                Ok(0) => return Some(Fin),
                Ok(read) => self.read += read,
                Err(_) => return Some(Reset),
            }
        }
        None
    }

    /// Whether a reset comes behind a clean end that has been heard, which only writing or the
    /// socket's error tells.
    async fn is_reset_later(&mut self) -> bool {
        let stream = self.stream.as_mut().expect("whoever reset hears nothing");
        let broken = async {
            loop {
                let error = SockRef::from(&*stream).take_error().unwrap();
                if error.is_some() || stream.write_all(b"?").await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, broken).await.is_ok()
    }
}

async fn check(order: &[(Side, End)], pace: Pace, client: TcpStream, server: TcpStream) {
    let what = format!("{order:?} {pace:?}");
    let (mut client, mut server) = (Party::new(client), Party::new(server));
    let (mut client_heard, mut server_heard) = (None, None);
    for (side, end) in order {
        client.says().await;
        server.says().await;
        if pace == Pace::EachHeard {
            if server_heard.is_none() {
                assert_eq!(server.hears(client.sent).await, None, "{what}: too early");
            }
            if client_heard.is_none() {
                assert_eq!(client.hears(server.sent).await, None, "{what}: too early");
            }
        }
        let (doing, hearing, heard) = match side {
            Client => (&mut client, &mut server, &mut server_heard),
            Server => (&mut server, &mut client, &mut client_heard),
        };
        doing.does(*end).await;
        if pace == Pace::EachHeard {
            if *heard == Some(Fin) {
                assert!(hearing.is_reset_later().await, "{what}");
                *heard = Some(Reset);
            } else {
                *heard = hearing.hears(usize::MAX).await;
            }
            assert_eq!(*heard, Some(*end), "{what}");
            // A reset loses what is on its way, a clean end loses nothing.
            assert!(*end == Reset || hearing.read == doing.sent, "{what}");
        }
    }
    if pace == Pace::AtOnce {
        let reset_by = order.iter().find(|(_, end)| *end == Reset);
        match reset_by.map(|(side, _)| side) {
            None => {
                assert_eq!(client.hears(usize::MAX).await, Some(Fin), "{what}");
                assert_eq!(server.hears(usize::MAX).await, Some(Fin), "{what}");
                assert_eq!((client.read, server.read), (server.sent, client.sent));
            }
            Some(Client) => hears_reset(&mut server, &client, &what).await,
            Some(Server) => hears_reset(&mut client, &server, &what).await,
        }
    }
}

/// Hears the reset of a side that did all at once: a clean end of it only if there was one, with
/// everything before it.
async fn hears_reset(party: &mut Party, other: &Party, what: &str) {
    if party.hears(usize::MAX).await == Some(Fin) {
        assert!(other.finished, "{what}: a reset was heard as a clean end");
        assert_eq!(party.read, other.sent, "{what}");
        assert!(party.is_reset_later().await, "{what}");
    }
    assert!(party.read <= other.sent, "{what}");
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    timeout(PATIENCE, listener.accept())
        .await
        .unwrap()
        .unwrap()
        .0
}

#[tokio::test]
async fn every_order_of_ends_from_pod_to_external_server() {
    let world = World::start().await;
    let target = world.target().await;
    for order in ORDERS {
        for pace in [Pace::EachHeard, Pace::AtOnce] {
            let (client, server) = world.flow(&target).await;
            check(order, pace, client, server).await;
        }
    }
}

#[tokio::test]
async fn every_order_of_ends_from_external_server_to_service() {
    let world = World::start().await;
    let service = world.network.cluster.run(bind(SERVICE)).await;
    for order in ORDERS {
        for pace in [Pace::EachHeard, Pace::AtOnce] {
            let dial = connect(*TARGET.ip(), SocketAddrV4::new(SOURCE_IP_1, 80));
            let client = world.network.outside.run(dial).await.unwrap();
            let server = accepted(&service).await;
            check(order, pace, client, server).await;
        }
    }
}
