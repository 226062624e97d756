//! What a proxy may do to a stream and what not, tried on every contender: the same scenarios
//! through a plain proxy, OpenSSH and extconn, from outside, with real sockets on both sides.

mod cut;
mod drops;
mod half_close;
mod isolation;
pub mod pair;
mod pattern;
mod reset;
pub mod table;
mod vanish;

use anyhow::{Context, Result};

use crate::contender::{Contender, Rekey, Running};
use crate::network::{Link, Network};
use crate::path::Path;
use table::{Outcome, Row};

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What must hold, as a sentence.
    pub promise: &'static str,
    /// How often the tunnel exchanges keys.
    rekey: Rekey,
    /// Tries it; an error says how it was broken.
    run: fn(&Stage) -> Result<()>,
}

/// What a scenario has. Contenders are started for it alone, so it may destroy them.
struct Stage<'a> {
    network: &'a Network,
    running: &'a Running,
    path: Path,
}

const fn scenario(promise: &'static str, run: fn(&Stage) -> Result<()>) -> Scenario {
    Scenario {
        promise,
        rekey: Rekey::Seldom,
        run,
    }
}

/// All scenarios, in the order of the table.
pub const ALL: [Scenario; 13] = [
    scenario(
        "the client ends its half first; the answer arrives whole",
        half_close::client_first,
    ),
    scenario(
        "the server ends its half first; the rest of the request arrives whole",
        half_close::server_first,
    ),
    scenario(
        "1 GiB after the client ended its half arrives whole",
        half_close::much_after_the_end,
    ),
    scenario(
        "a reset by the server is a reset for the client",
        reset::by_the_server,
    ),
    scenario(
        "a reset by the client is a reset for the server",
        reset::by_the_client,
    ),
    scenario(
        "a refused connection is a reset, no empty answer",
        reset::refused,
    ),
    scenario(
        "100 answers, gateway's end killed: what arrived is right, no cut looks like an end",
        cut::gateway_killed,
    ),
    scenario(
        "100 requests, forwarder's end killed: what arrived is right, no cut looks like an end",
        cut::forwarder_killed,
    ),
    scenario(
        "the way between both ends goes dead: clients know within 6 s",
        cut::way_goes_dead,
    ),
    scenario(
        "a client and a server vanish without a word: the other side knows within 80 s",
        vanish::client_and_server,
    ),
    scenario(
        "a reader that is stuck for a minute delays none of 50 others by 250 ms",
        isolation::stuck_reader,
    ),
    scenario(
        "16 streams both ways with 64 KiB socket buffers arrive whole",
        isolation::duplex,
    ),
    Scenario {
        promise: "the same with new keys every 16 MiB",
        rekey: Rekey::Often,
        run: isolation::duplex,
    },
];

/// Contenders that stand between client and server.
pub const CONTENDERS: [Contender; 3] = [Contender::Plain, Contender::OpenSsh, Contender::Ours];

/// Tries every scenario on every contender.
///
/// # Errors
/// The network could not be made. A contender that breaks a promise is no error.
pub fn run(mut say: impl FnMut(&str)) -> Result<Vec<Row>> {
    let network = Network::build(&Link::Cable).context("make the network")?;
    let mut rows = Vec::new();
    for scenario in &ALL {
        say(scenario.promise);
        rows.push(Row {
            promise: scenario.promise,
            outcomes: CONTENDERS.map(|contender| try_one(scenario, contender, &network)),
        });
    }
    Ok(rows)
}

fn try_one(scenario: &Scenario, contender: Contender, network: &Network) -> Outcome {
    let tried = contender
        .start(network, scenario.rekey)
        .context("it did not start")
        .and_then(|running| {
            let path = running.egress(network);
            (scenario.run)(&Stage {
                network,
                running: &running,
                path,
            })
        });
    match tried {
        Ok(()) => Outcome::Holds,
        Err(error) => Outcome::Broken(format!("{error:#}")),
    }
}
