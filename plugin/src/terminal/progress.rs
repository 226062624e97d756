//! Steps on standard error: a spinner where someone watches, one line for each step elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Terminal;
use super::style::Mood;
use crate::failure::Failure;

/// One step under way. Dropped without [`Step::done`] or [`Step::failed`], it leaves no trace but
/// the lines that it printed.
pub(crate) struct Step {
    terminal: Terminal,
    name: String,
    begun: Instant,
    spinner: ProgressBar,
}

impl Step {
    /// Begins a step; `name` is what is being done, `installing the chart`.
    pub(crate) fn begin(terminal: Terminal, name: impl Into<String>) -> Self {
        let name = name.into();
        let watched = terminal.talk.width.is_some();
        let spinner = if watched {
            let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            spinner.set_style(spinner_style(terminal.talk.unicode));
            spinner.set_message(name.clone());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        } else {
            ProgressBar::hidden()
        };
        Self {
            terminal,
            name,
            begun: Instant::now(),
            spinner,
        }
    }

    /// Shows what the step is waiting for, beside its name.
    pub(crate) fn waiting_for(&self, what: &str) {
        self.spinner.set_message(format!("{}: {what}", self.name));
    }

    /// Ends the step as `work` ends: `Ok` is what is now so.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) async fn ends(
        &self,
        work: impl Future<Output = Result<String, Failure>>,
    ) -> Result<(), Failure> {
        match work.await {
            Ok(outcome) => {
                self.end(Mood::Good, &outcome);
                Ok(())
            }
            Err(failure) => {
                self.end(Mood::Bad, &self.name);
                Err(failure)
            }
        }
    }

    /// The step succeeded; `outcome` is what is now so.
    pub(crate) fn done(self, outcome: &str) {
        self.end(Mood::Good, outcome);
    }

    /// The step did not succeed; the failure itself is told by whoever ends the command.
    pub(crate) fn failed(self) {
        self.end(Mood::Bad, &self.name);
    }

    fn end(&self, mood: Mood, text: &str) {
        self.spinner.finish_and_clear();
        let style = self.terminal.talk;
        let seconds = self.begun.elapsed().as_secs_f32();
        let took = if seconds < 1.0 {
            String::new()
        } else {
            style.faint(&format!(" ({seconds:.0} s)"))
        };
        self.terminal
            .say(&format!("{} {text}{took}", style.sign(mood)));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}

fn spinner_style(unicode: bool) -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .expect("the template is valid");
    if unicode {
        style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
    } else {
        style.tick_chars("|/-\\ ")
    }
}
