//! The main job, shown: each check answers what *the other side* saw, never what was intended.
//!
//! `demo` runs the checks in the order of a story and prints a table; the end-to-end tests run
//! the same checks one by one in namespaces of their own.

pub mod access;
pub mod ask;
pub mod dump;
pub mod egress;
pub mod ingress;
pub mod leftovers;
pub mod removal;
pub mod scenario;
pub mod story;
pub mod workload;

pub use scenario::Scenario;

/// One line of the walkthrough's table.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What was tried.
    pub tried: String,
    /// What the other side saw.
    pub seen: String,
    /// Whether that is what extconn promises.
    pub holds: bool,
}

impl Observation {
    /// Fails with what was seen if the promise does not hold.
    ///
    /// # Errors
    /// The promise does not hold.
    pub fn require(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.holds, "{}: seen: {}", self.tried, self.seen);
        Ok(())
    }
}
