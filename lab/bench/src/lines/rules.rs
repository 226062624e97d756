//! How long a gateway takes to put many grants into force, and one change of them.

use anyhow::{Context, Result};

use super::{Bench, Line, Place};
use crate::contender::tunnel_end::RulesTook;
use crate::contender::{Contender, Program, own_command};
use crate::metric::Metric;
use crate::network::plan::Host;

pub const LINE: Line = Line {
    name: "rules",
    place: Place::Alone,
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    for _ in 0..bench.effort.long_repetitions {
        let mut command = own_command(bench.network, Host::Gateway, "gateway-rules")?;
        let (_, line) = Program::start(&mut command, "")?;
        let took: RulesTook =
            serde_json::from_str(&line).with_context(|| format!("read {line:?}"))?;
        let results = &mut bench.results;
        results.add(Metric::RulesFromEmpty, Contender::Ours, took.from_empty);
        for seconds in took.one_changed {
            results.add(Metric::RulesOneChanged, Contender::Ours, seconds);
        }
    }
    Ok(())
}
