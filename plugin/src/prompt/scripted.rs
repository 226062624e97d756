//! Answers from a list, for tests of what follows from the answers.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{Choice, Line, Prompter};
use crate::failure::Failure;

/// Gives its answers in order. A choice is answered by the beginning of an item, a question to
/// agree to by `yes` or `no`.
pub(crate) struct Scripted(RefCell<VecDeque<&'static str>>);

impl Scripted {
    /// Will give `answers`.
    pub(crate) fn new(answers: &[&'static str]) -> Self {
        Self(RefCell::new(answers.iter().copied().collect()))
    }

    /// Panics unless every answer was asked for.
    pub(crate) fn finish(self) {
        assert!(
            self.0.borrow().is_empty(),
            "not asked for: {:?}",
            self.0.borrow()
        );
    }

    fn next(&self, question: &str) -> &'static str {
        let answer = self.0.borrow_mut().pop_front();
        answer.unwrap_or_else(|| panic!("no answer to {question:?}"))
    }
}

impl Prompter for Scripted {
    fn line(&self, line: &Line<'_>) -> Result<String, Failure> {
        let answer = self.next(line.question);
        let answer = if answer.is_empty() {
            line.default.clone().expect("a default")
        } else {
            answer.to_owned()
        };
        (line.check)(&answer).map_err(Failure::usage)?;
        Ok(answer)
    }

    fn choose(&self, choice: &Choice<'_>) -> Result<usize, Failure> {
        let answer = self.next(choice.question);
        let found = choice
            .items
            .iter()
            .position(|item| item.starts_with(answer));
        Ok(found.unwrap_or_else(|| panic!("{answer:?} is not among {:?}", choice.items)))
    }

    fn agree(&self, question: &str) -> Result<bool, Failure> {
        Ok(self.next(question) == "yes")
    }

    fn is_interactive(&self) -> bool {
        true
    }
}
