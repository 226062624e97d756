//! The time from dialling to the first byte of the answer, one connection after the other.

use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use crate::path::{Buffers, PATIENCE, Path};

/// Dials `count` times; the time to the first byte of each answer, in seconds.
///
/// # Errors
/// A connection was refused or not answered.
pub fn run(path: &Path, count: usize) -> Result<Vec<f64>> {
    let listener = path.listen(Buffers::Automatic)?;
    let answer = move || -> Result<()> {
        for _ in 0..count {
            let (mut server, _) = listener.accept().context("nothing got through")?;
            server.set_read_timeout(Some(PATIENCE))?;
            let mut request = [0; 128];
            server.read_exact(&mut request)?;
            server.write_all(&request)?;
        }
        Ok(())
    };
    let dial = || -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let begin = Instant::now();
            let mut client = path.connect_from_inside(Buffers::Automatic)?;
            client.set_read_timeout(Some(PATIENCE))?;
            client.write_all(&[0; 128])?;
            client.read_exact(&mut [0])?;
            times.push(begin.elapsed().as_secs_f64());
            client.read_to_end(&mut Vec::new())?;
        }
        Ok(times)
    };
    thread::scope(|scope| {
        let answering = scope.spawn(answer);
        let times = path.client.enter(dial)?.context("dial");
        answering
            .join()
            .map_err(|_| anyhow!("a thread panicked"))??;
        times
    })
}
