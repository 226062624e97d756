//! Questions on the terminal.

use console::{Term, measure_text_width, truncate_str};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input};
use tokio::task::block_in_place;

use super::{Choice, Line, Prompter};
use crate::failure::Failure;
use crate::terminal::Terminal;
use crate::terminal::signals::Asking;

/// How many items of a list are shown at once.
const ROWS: usize = 10;

/// Asks whoever sits at the terminal.
pub(crate) struct Asker {
    terminal: Terminal,
    theme: Box<dyn Theme>,
    width: usize,
}

impl Asker {
    /// Asks in the style of `terminal`.
    pub(crate) fn new(terminal: Terminal) -> Self {
        let theme: Box<dyn Theme> = if terminal.talk.unicode && terminal.talk.colours {
            Box::new(ColorfulTheme::default())
        } else {
            Box::new(SimpleTheme)
        };
        Self {
            terminal,
            theme,
            width: terminal.talk.width.unwrap_or(80),
        }
    }

    /// The question, or a short one in its stead where it would wrap: dialoguer takes a question for
    /// one line when it clears it. The whole one is then said above.
    fn fitting<'a>(&self, question: &'a str, short: &'a str, answer: usize) -> &'a str {
        const SIGNS: usize = 8;
        if measure_text_width(question) + answer + SIGNS < self.width {
            return question;
        }
        self.terminal.say(question);
        short
    }

    /// Reading the terminal blocks this thread, and only this thread.
    fn ask<T>(&self, question: impl FnOnce(&Term) -> dialoguer::Result<T>) -> Result<T, Failure> {
        let _asking = Asking::begin();
        block_in_place(|| question(&Term::stderr())).map_err(|error| {
            let dialoguer::Error::IO(error) = error;
            match error.kind() {
                std::io::ErrorKind::Interrupted | std::io::ErrorKind::UnexpectedEof => {
                    // The cursor stands behind the question.
                    let _ = Term::stderr().write_line("");
                    Failure::interrupted()
                }
                _ => Failure::could_not_run(format!("failed to ask on the terminal: {error}")),
            }
        })
    }
}

impl Prompter for Asker {
    fn line(&self, line: &Line<'_>) -> Result<String, Failure> {
        // An address, or what is offered.
        let default = line.default.as_ref().map_or(0, |default| default.len() + 3);
        let question = self.fitting(line.question, "Answer", default.max(16));
        self.ask(|term| {
            let mut input = Input::<String>::with_theme(self.theme.as_ref())
                .with_prompt(question)
                .validate_with(|answer: &String| (line.check)(answer));
            if let Some(default) = &line.default {
                input = input.default(default.clone());
            }
            input.interact_text_on(term)
        })
    }

    fn choose(&self, choice: &Choice<'_>) -> Result<usize, Failure> {
        // A line that wraps would not be cleared as a whole.
        let room = self.width.saturating_sub(4).max(8);
        let items: Vec<_> = choice
            .items
            .iter()
            .map(|item| truncate_str(item, room, "…").into_owned())
            .collect();
        let question = format!("{} (type to filter)", choice.question);
        let question = self.fitting(&question, "Choose", 0);
        self.ask(|term| {
            FuzzySelect::with_theme(self.theme.as_ref())
                .with_prompt(question)
                .items(&items)
                .default(0)
                .max_length(ROWS)
                .interact_on(term)
        })
    }

    fn agree(&self, question: &str) -> Result<bool, Failure> {
        self.ask(|term| {
            Confirm::with_theme(self.theme.as_ref())
                .with_prompt(question)
                .default(true)
                .interact_on(term)
        })
    }

    fn is_interactive(&self) -> bool {
        true
    }
}
