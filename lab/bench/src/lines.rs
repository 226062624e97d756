//! What is measured, one file each. A line takes its samples from every contender in turn, again
//! and again, so that a disturbance of the machine meets all of them.

mod bulk;
mod duplex;
mod first_byte;
mod held;
mod idle;
mod ingress;
mod latency;
mod loss;
mod rules;
mod short;
mod stuck;
mod wan;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::contender::{Contender, Running};
use crate::effort::Effort;
use crate::metric::Metric;
use crate::network::{Link, Network};
use crate::results::Results;
use crate::wan::profile::Profile;

/// A line of the benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What `--only` takes.
    pub name: &'static str,
    /// Where.
    pub place: Place,
    /// Takes the samples.
    pub run: fn(&mut Bench) -> Result<()>,
}

/// A link and the contenders that are started on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A cable, with every contender.
    Cable,
    /// A cable; the line starts what it needs.
    Alone,
    /// 50 ms there and back.
    Far,
    /// The same with 0.1 % loss; each sample starts its contender.
    Lossy,
    /// The same with 1 % loss; each sample starts its contender.
    VeryLossy,
}

/// All lines, those of one place together.
pub const ALL: [Line; 13] = [
    bulk::LINE,
    ingress::LINE,
    duplex::LINE,
    short::LINE,
    latency::LINE,
    idle::LINE,
    held::LINE,
    rules::LINE,
    stuck::LINE,
    wan::LINE,
    first_byte::LINE,
    loss::LOW,
    loss::HIGH,
];

/// What a line needs.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The hosts.
    pub network: &'a Network,
    /// What carries, in the order of the tables' columns.
    pub contenders: &'a [Running],
    /// How long and how often.
    pub effort: Effort,
    /// Where samples go.
    pub results: &'a mut Results,
}

impl Bench<'_> {
    /// Takes `repetitions` samples of every contender, each of them in turn.
    fn in_turn(
        &mut self,
        repetitions: usize,
        mut sample: impl FnMut(&mut Self, &Running) -> Result<()>,
    ) -> Result<()> {
        let contenders = self.contenders;
        for _ in 0..repetitions {
            for running in contenders {
                sample(self, running).with_context(|| running.contender.to_string())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, metric: Metric, running: &Running, sample: f64) {
        self.results.add(metric, running.contender, sample);
    }
}

impl Place {
    /// What joins forwarder and gateway there.
    pub fn link(self) -> Link {
        match self {
            Place::Cable | Place::Alone => Link::Cable,
            Place::Far => Link::Wan(far(0.0)),
            Place::Lossy => Link::Wan(far(0.001)),
            Place::VeryLossy => Link::Wan(far(0.01)),
        }
    }

    /// Whether its lines start who is measured, each as it needs.
    pub fn starts_none(self) -> bool {
        matches!(self, Place::Alone | Place::Lossy | Place::VeryLossy)
    }

    /// Who is measured there.
    pub fn contenders(self) -> &'static [Contender] {
        match self {
            Place::Alone => &[],
            Place::Cable => &Contender::ALL,
            // What a second hop without ssh does on a long way is no question here.
            Place::Far | Place::Lossy | Place::VeryLossy => {
                &[Contender::Routed, Contender::OpenSsh, Contender::Ours]
            }
        }
    }
}

/// 50 ms there and back at 1 Gbit/s, with a queue of as many bytes as are on the way.
fn far(loss: f64) -> Profile {
    Profile {
        delay: Duration::from_millis(25),
        rate: Some(1_000_000_000),
        loss,
        queue: 6_250_000,
        seed: 1,
    }
}
