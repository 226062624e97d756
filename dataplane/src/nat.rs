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
use saved::Saved;
use transaction::transaction;

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
    #[error("rules that were written read back as others; what still differs: {difference}")]
    ReadBack {
        /// What would have to be written again.
        difference: String,
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
    /// again. Rules that are right are not touched, and nobody else's are.
    pub(crate) async fn make(self, wanted: &Ruleset) -> Result<(), NatError> {
        let present = self.saved().await?;
        self.mend(&present, wanted).await
    }

    /// As [`BackEnd::make`] for rules that have been read.
    pub(crate) async fn mend(self, present: &Saved, wanted: &Ruleset) -> Result<(), NatError> {
        let wanted = Saved::of_difference(wanted, &Ruleset::default());
        let Some(difference) = transaction(present, &wanted) else {
            return Ok(());
        };
        self.restore(difference).await?;
        match transaction(&self.saved().await?, &wanted) {
            None => Ok(()),
            Some(difference) => Err(NatError::ReadBack { difference }),
        }
    }

    /// Makes the host's rules those of `wanted`: reads them and writes what differs, taking it on
    /// trust that they are what was written.
    pub(crate) async fn write(self, wanted: &Ruleset) -> Result<(), NatError> {
        let wanted = Saved::of_difference(wanted, &Ruleset::default());
        self.restore_if_any(transaction(&self.saved().await?, &wanted))
            .await
    }

    /// Makes the host's rules those of `wanted`, taking it on trust that they are those of
    /// `present`. Reads nothing: what is not as believed is an error, or the next look's to mend.
    pub(crate) async fn change(self, present: &Ruleset, wanted: &Ruleset) -> Result<(), NatError> {
        let difference = transaction(
            &Saved::of_difference(present, wanted),
            &Saved::of_difference(wanted, present),
        );
        self.restore_if_any(difference).await
    }

    async fn restore_if_any(self, difference: Option<String>) -> Result<(), NatError> {
        match difference {
            Some(difference) => self.restore(difference).await,
            None => Ok(()),
        }
    }
}
