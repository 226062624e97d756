//! A long way between two network namespaces: delay, rate, loss and a queue that overflows, each
//! way. A TUN device at each end; this program carries packets from one to the other.
//!
//! Standard input: a line of options, as on the command line, replaces the profile while packets
//! flow, so `--loss 100%` is a cut cable; the end of it ends the program.

mod direction;
mod end;
pub mod profile;
mod queue;

use std::io::{self, BufRead, Write};
use std::sync::{Arc, RwLock};
use std::thread;

use anyhow::{Context, Result, anyhow};
use clap::Parser;

use direction::Direction;
use end::End;
use profile::Profile;

/// The two ends and what lies between.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Network namespace of one end: a file such as /run/netns/NAME or /proc/PID/ns/net.
    #[arg(long, value_name = "FILE")]
    left: String,
    /// Network namespace of the other end.
    #[arg(long, value_name = "FILE")]
    right: String,
    /// Name of the interface in both; addresses and routes are the caller's business.
    #[arg(long, value_name = "NAME", default_value = "wan")]
    interface: String,
    /// Largest packet, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    mtu: u16,
    /// Take packets of up to 64 KiB as the kernel has them, which is cheap. They are lost as a
    /// whole, so leave it out where there is loss.
    #[arg(long)]
    offload: bool,
    #[command(flatten)]
    profile: Profile,
}

/// A line on standard input.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Change {
    #[command(flatten)]
    profile: Profile,
}

/// Carries packets until standard input ends. Writes `ready` once both interfaces are there.
///
/// # Errors
/// A namespace does not exist, an interface of that name does, or not root.
pub fn run(options: &Options) -> Result<()> {
    let left = Arc::new(End::create(&options.left, options)?);
    let right = Arc::new(End::create(&options.right, options)?);
    let profile = Arc::new(RwLock::new(options.profile.clone()));
    for (number, from, to) in [(0, &left, &right), (1, &right, &left)] {
        let mut direction = Direction {
            from: Arc::clone(from),
            to: Arc::clone(to),
            profile: Arc::clone(&profile),
        };
        thread::Builder::new()
            .name(format!("direction-{number}"))
            .spawn(move || {
                if let Err(error) = direction.carry(number) {
                    let _ = writeln!(io::stderr(), "extconn-bench wan: {error:#}");
                    std::process::exit(1);
                }
            })?;
    }
    writeln!(io::stdout(), "ready")?;
    for line in io::stdin().lock().lines() {
        let line = line.context("read standard input")?;
        let change = Change::try_parse_from(line.split_whitespace())?;
        *profile
            .write()
            .map_err(|_| anyhow!("a direction panicked"))? = change.profile;
    }
    Ok(())
}
