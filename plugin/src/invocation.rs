//! What every command is given: the flags of kubectl, the terminal, and how to be interrupted.

use crate::cli::kubectl_flags::KubectlFlags;
use crate::terminal::Terminal;
use crate::terminal::signals::Interrupt;

/// One run of the plugin.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    /// Flags of kubectl.
    pub kubectl: KubectlFlags,
    /// Where answers and progress go.
    pub terminal: Terminal,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}
