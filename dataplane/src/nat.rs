//! NAT rules that bring the external server's connections into a gateway: a value, written in one
//! transaction, looked at again and again, and repaired.

pub(crate) mod keeper;
#[cfg(test)]
mod packets;
mod programs;
pub(crate) mod ruleset;
mod saved;
mod transaction;

use ruleset::Ruleset;
use transaction::{JumpChange, jump_changes, transaction};

pub use programs::BackEnd;

/// Rules that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NatError {
    /// There is no such program.
    #[error("run {program}: no such program, install the package iptables")]
    NotInstalled {
        /// Its name.
        program: String,
    },
    /// A program of iptables failed.
    #[error("run {program}: {reason}")]
    Command {
        /// Its name.
        program: String,
        /// What it wrote to standard error, or why it could not run.
        reason: String,
    },
    /// The programs say that all went well, and the rules are others than those written.
    #[error("rules in chain {chain} read back as {present:?} after {wanted:?} was written")]
    ReadBack {
        /// First chain that differs.
        chain: String,
        /// What it holds.
        present: Vec<String>,
        /// What was written.
        wanted: Vec<String>,
    },
}

/// Removes every chain of ours and the jumps into them, from both back ends.
///
/// # Errors
/// iptables failed; what could be removed is.
pub async fn remove_rules() -> Result<(), NatError> {
    let nothing = Ruleset::default();
    let default = BackEnd::HostDefault.make(&nothing).await;
    let other = match BackEnd::probe_other().await {
        Some(other) => other.make(&nothing).await,
        None => Ok(()),
    };
    for removed in [default, other] {
        match removed {
            // Nothing can be left of a program that is not there.
            Ok(()) | Err(NatError::NotInstalled { .. }) => {}
            failed => return failed,
        }
    }
    Ok(())
}

impl BackEnd {
    /// Makes the host's rules those of `wanted`: reads them, writes what differs, and reads them
    /// again. Chains that are right are not touched, and nobody else's are.
    pub(crate) async fn make(self, wanted: &Ruleset) -> Result<(), NatError> {
        if self.write_difference(wanted).await? {
            let present = self.saved().await?.chains;
            for (chain, lines) in wanted.lines() {
                let read = present.get(&chain).cloned().unwrap_or_default();
                if read != lines {
                    return Err(NatError::ReadBack {
                        chain: chain.name,
                        present: read,
                        wanted: lines,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether anything differed.
    async fn write_difference(self, wanted: &Ruleset) -> Result<bool, NatError> {
        let wanted = wanted.lines();
        let present = self.saved().await?;
        let jumps = jump_changes(&present, &wanted);
        let chains = transaction(&present.chains, &wanted);
        let differed = !jumps.is_empty() || chains.is_some();
        // A chain cannot be removed while a jump leads to it, nor led to before it is there.
        for change in &jumps {
            if let JumpChange::Delete(jump) = change {
                self.delete_jump(jump.clone()).await?;
            }
        }
        if let Some(chains) = chains {
            self.restore(chains).await?;
        }
        for change in jumps {
            if let JumpChange::Insert(hook) = change {
                self.insert_jump(hook).await?;
            }
        }
        Ok(differed)
    }

    /// Makes the host's rules those of `wanted`, taking it on trust that they are those of
    /// `present`. The jumps must be right.
    pub(crate) async fn change(self, present: &Ruleset, wanted: &Ruleset) -> Result<(), NatError> {
        match transaction(&present.lines(), &wanted.lines()) {
            Some(chains) => self.restore(chains).await,
            None => Ok(()),
        }
    }
}
