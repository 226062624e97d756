//! Packets that get lost for a while without anybody being told, and who notices.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::Stage;
use super::pair::{Ending, receive};
use crate::network::plan::Host;

/// Does `work` while packets are dropped on which one of these iptables matches fits, each with
/// its chain.
pub fn while_dropping(
    stage: &Stage,
    matches: &[(Host, String)],
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    rules(stage, "-I", matches)?;
    let worked = work();
    rules(stage, "-D", matches)?;
    worked
}

/// Each of these ends, by name, sees a reset in the given time.
pub fn all_see_a_reset<const N: usize>(
    ends: [(&str, TcpStream); N],
    within: Duration,
) -> Result<()> {
    let watching = ends.map(|(name, end)| (name, thread::spawn(move || ending(end, within))));
    for (name, thread) in watching {
        let (ending, after) = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        ensure!(
            ending == Ending::Reset,
            "the {name} saw {} in {:.1} s",
            ending.name(),
            after.as_secs_f64()
        );
    }
    Ok(())
}

fn ending(mut end: TcpStream, within: Duration) -> Result<(Ending, Duration)> {
    end.set_read_timeout(Some(within))?;
    let begin = Instant::now();
    let (_, ending) = receive(&mut end)?;
    Ok((ending, begin.elapsed()))
}

fn rules(stage: &Stage, action: &str, matches: &[(Host, String)]) -> Result<()> {
    for (host, matched) in matches {
        let rule = format!("-w {action} {matched} -j DROP");
        let mut command = stage.network.host(*host).command("iptables");
        let output = command.args(rule.split(' ')).output()?;
        ensure!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
