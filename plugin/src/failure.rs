//! Pure: how a command ends when it does not succeed, and what the user is told.
//!
//! The exit statuses are promises to scripts; `docs/cli.md` lists them.

use std::fmt::Display;

/// Exit status of a command that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It ran, and what it was asked to do or to show is not so.
    Failed = 1,
    /// A flag or an answer is wrong or missing.
    Usage = 2,
    /// It could not run: no cluster, no permission, a program or file that is not there.
    CouldNotRun = 3,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Option<Exit>,
    message: String,
    next: Option<String>,
}

impl Failure {
    /// What was asked for did not come about. `message` is a lower-case fragment.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A flag or an answer is wrong or missing.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that the command needs is not there.
    pub(crate) fn could_not_run(message: impl Into<String>) -> Self {
        Self::new(Exit::CouldNotRun, message)
    }

    /// The user pressed Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    /// The reader of standard output is gone (`| head`): it has what it wanted.
    pub(crate) fn reader_gone() -> Self {
        Self {
            exit: None,
            message: String::new(),
            next: None,
        }
    }

    /// Ends as `exit`, having said all there is to say on standard output.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit: Some(exit),
            message: message.into(),
            next: None,
        }
    }

    /// Adds what the user should do next: a sentence or a command.
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    /// Adds another way out beside the next step; an interruption has none.
    pub(crate) fn or(self, step: impl Display) -> Self {
        if self.is_interrupted() {
            return self;
        }
        let next = match &self.next {
            Some(next) => format!("{next}; or {step}"),
            None => step.to_string(),
        };
        self.next(next)
    }

    /// Puts what was being done in front: `failed to {action}: …`.
    pub(crate) fn while_trying_to(mut self, action: impl Display) -> Self {
        if self.exit != Some(Exit::Interrupted) && !self.message.is_empty() {
            self.message = format!("failed to {action}: {}", self.message);
        }
        self
    }

    /// Whether the user pressed Ctrl-C.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.exit == Some(Exit::Interrupted)
    }

    /// Status for the shell; `0` if the reader has merely gone.
    pub(crate) fn status(&self) -> u8 {
        self.exit.map_or(0, |exit| exit as u8)
    }

    /// The fragment without the next step.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What the user should do next.
    pub(crate) fn next_step(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// A message with all its causes on one line, each said once.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_what_the_documentation_promises() {
        assert_eq!(Failure::failed("").status(), 1);
        assert_eq!(Failure::usage("").status(), 2);
        assert_eq!(Failure::could_not_run("").status(), 3);
        assert_eq!(Failure::interrupted().status(), 130);
        assert_eq!(Failure::reader_gone().status(), 0);
    }

    #[test]
    fn ways_out_are_told_one_after_the_other() {
        let failure = Failure::failed("no").or("wait").or("leave");
        assert_eq!(failure.next_step(), Some("wait; or leave"));
        assert_eq!(Failure::interrupted().or("wait").next_step(), None);
    }

    #[test]
    fn an_action_reads_as_one_sentence_with_its_cause() {
        let failure = Failure::failed("the disk is full").while_trying_to("copy the binary");
        assert_eq!(
            failure.message(),
            "failed to copy the binary: the disk is full"
        );
        assert_eq!(
            Failure::interrupted().while_trying_to("copy").message(),
            "interrupted"
        );
    }
}
