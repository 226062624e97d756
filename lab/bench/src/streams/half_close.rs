//! One side has said all and listens on.

use std::net::{Shutdown, TcpStream};
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::Stage;
use super::pair::{Pair, open_one, receive_whole, send};

const SOME: u64 = 256 * 1024;
const MUCH: u64 = 1 << 30;

pub fn client_first(stage: &Stage) -> Result<()> {
    let Pair { client, server } = open_one(&stage.path)?;
    one_after_the_other(client, server, SOME)
}

pub fn server_first(stage: &Stage) -> Result<()> {
    let Pair { client, server } = open_one(&stage.path)?;
    one_after_the_other(server, client, SOME)
}

pub fn much_after_the_end(stage: &Stage) -> Result<()> {
    let Pair { client, server } = open_one(&stage.path)?;
    one_after_the_other(client, server, MUCH)
}

/// The first speaks and ends its half; the second hears all of it and that it ended, and only
/// then speaks itself.
fn one_after_the_other(mut first: TcpStream, mut second: TcpStream, bytes: u64) -> Result<()> {
    send(&mut first, SOME).context("send before the end")?;
    first.shutdown(Shutdown::Write)?;
    receive_whole(&mut second, SOME).context("before the end")?;
    let sending = thread::spawn(move || -> std::io::Result<()> {
        send(&mut second, bytes)?;
        second.shutdown(Shutdown::Write)
    });
    let received = receive_whole(&mut first, bytes).context("after the end");
    let sent = sending.join().map_err(|_| anyhow!("a thread panicked"))?;
    received?;
    sent.context("send after the end")
}
