//! Questions to the user. Every question has a flag that answers it, and says which.

mod ask;
mod unattended;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// A question whose answer is a line of text.
pub(crate) struct Line<'a> {
    /// What is asked, without a colon: `Address of the external server`.
    pub question: &'a str,
    /// Flag that answers it, `--target`.
    pub flag: &'a str,
    /// Answer if the user just presses Enter, or nobody can be asked.
    pub default: Option<String>,
    /// Says what is wrong with an answer.
    pub check: &'a dyn Fn(&str) -> Result<(), String>,
}

/// A question whose answer is one of a list.
pub(crate) struct Choice<'a> {
    /// What is asked, without a colon.
    pub question: &'a str,
    /// Flag that answers it.
    pub flag: &'a str,
    /// The list; the user can filter it by typing.
    pub items: &'a [String],
}

/// Whoever answers.
pub(crate) trait Prompter {
    /// A line of text that passed its check.
    ///
    /// # Errors
    /// Nobody can be asked and there is no default: names the flag. Or the user interrupted.
    fn line(&self, line: &Line<'_>) -> Result<String, Failure>;

    /// The index of one item.
    ///
    /// # Errors
    /// As [`Prompter::line`].
    fn choose(&self, choice: &Choice<'_>) -> Result<usize, Failure>;

    /// Whether the user agrees. Only `--yes` agrees where nobody can be asked.
    ///
    /// # Errors
    /// As [`Prompter::line`].
    fn agree(&self, question: &str) -> Result<bool, Failure>;

    /// Whether optional questions make sense: somebody is there.
    fn is_interactive(&self) -> bool;
}

/// Asks the user if there is one and `yes` was not given.
pub(crate) fn prompter(terminal: Terminal, yes: bool) -> Box<dyn Prompter> {
    if terminal.can_ask && !yes {
        Box::new(ask::Asker::new(terminal))
    } else {
        Box::new(unattended::Unattended { yes })
    }
}

#[cfg(test)]
pub(crate) mod scripted;
