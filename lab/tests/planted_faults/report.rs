//! What `kubectl extconn test -o json` answers.

use serde::Deserialize;

/// The whole answer.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// Whether all that was asked is proven.
    pub success: bool,
    paths: Vec<PathReport>,
}

#[derive(Debug, Deserialize)]
struct PathReport {
    stretches: Vec<Stretch>,
}

#[derive(Debug, Deserialize)]
struct Stretch {
    title: String,
    hops: Vec<Hop>,
}

/// One hop.
#[derive(Clone, Debug, Deserialize)]
pub struct Hop {
    /// What it is.
    pub name: String,
    /// `proven`, `failed`, `notProven`, `notTried` or `notAsked`.
    pub outcome: String,
    /// What was seen.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub next: String,
    /// Title of the stretch that it is in.
    #[serde(skip)]
    pub of: String,
}

impl Report {
    /// Every hop in order.
    pub fn hops(&self) -> Vec<Hop> {
        let stretches = self.paths.iter().flat_map(|path| &path.stretches);
        let hops = stretches.flat_map(|stretch| {
            stretch.hops.iter().map(|hop| Hop {
                of: stretch.title.clone(),
                ..hop.clone()
            })
        });
        hops.collect()
    }

    /// The hops of this outcome, in order.
    pub fn with(&self, outcome: &str) -> Vec<Hop> {
        let mut hops = self.hops();
        hops.retain(|hop| hop.outcome == outcome);
        hops
    }
}
