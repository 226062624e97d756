//! NAT rules that bring the external server's connections into a gateway.

/// Rules that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NatError {
    /// A program of iptables could not be run or said no.
    #[error("run {program}: {reason}")]
    Command {
        /// Its name.
        program: String,
        /// What it wrote to standard error, or why it could not run.
        reason: String,
    },
}

/// Removes every chain of ours and the jumps into them.
///
/// # Errors
/// iptables failed.
pub async fn remove_rules() -> Result<(), NatError> {
    Ok(())
}
