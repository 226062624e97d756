//! Opens ports and accepts connections, and goes on accepting whatever happens.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tracing::warn;

use crate::relay::socket::reset_when_closed;

/// Connections that the kernel may hold for us.
const BACKLOG: u32 = 4096;
/// Time to wait when the process is out of file descriptors.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);

/// Opens a port.
pub(crate) fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections that ended a moment ago do not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::V4(address))?;
    socket.listen(BACKLOG)
}

/// Opens a port whose connections are proxied.
pub(crate) fn listen_proxied(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = listen(address)?;
    reset_when_closed(&listener)?;
    Ok(listener)
}

/// The next connection, for whichever worker will have it; `None` when that one failed, which says
/// nothing of those after it.
pub(crate) async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let accepted = listener.accept().await;
    match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            // Out of file descriptors or memory: accepting at once would only spin.
            warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(OUT_OF_FILES_PAUSE).await;
            None
        }
    }
}
