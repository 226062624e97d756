//! Errors stay errors.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::SockRef;

use super::Stage;
use super::pair::{Ending, Pair, WAIT, open_one, receive, send};
use crate::path::Buffers;

const SOME: u64 = 64 * 1024;

pub fn by_the_server(stage: &Stage) -> Result<()> {
    let Pair { client, server } = open_one(&stage.path)?;
    reset_after_some(server, client)
}

pub fn by_the_client(stage: &Stage) -> Result<()> {
    let Pair { client, server } = open_one(&stage.path)?;
    reset_after_some(client, server)
}

/// Nobody listens at the target. The client's own connection was accepted before that is known,
/// so it has to see it afterwards.
pub fn refused(stage: &Stage) -> Result<()> {
    let Ok(mut client) = stage.path.connect(Buffers::Automatic) else {
        return Ok(());
    };
    client.set_read_timeout(Some(WAIT))?;
    // The kernel tells of a reset once: to the write, if it is that early, and the read after it
    // then sees an end that nobody sent.
    let ending = match client.write_all(b"request") {
        Ok(()) => receive(&mut client)?.1,
        Err(_) => Ending::Reset,
    };
    ensure!(ending == Ending::Reset, "the client saw {}", ending.name());
    Ok(())
}

/// Everything that was sent has arrived when the reset is made, so that it overtakes nothing.
fn reset_after_some(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    send(&mut from, SOME)?;
    let mut arrived = vec![0; SOME as usize];
    std::io::Read::read_exact(&mut to, &mut arrived).context("before the reset")?;
    SockRef::from(&from).set_linger(Some(Duration::ZERO))?;
    drop(from);
    let (_, ending) = receive(&mut to)?;
    ensure!(
        ending == Ending::Reset,
        "the other side saw {}",
        ending.name()
    );
    Ok(())
}
