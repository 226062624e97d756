//! What the user sees while something takes its time.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Shows steps on stderr: spinners on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Progress {
    spinners: Option<MultiProgress>,
    failure: OnceLock<String>,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

impl Progress {
    /// Looks at stderr once.
    pub fn new() -> Progress {
        Progress {
            spinners: std::io::stderr().is_terminal().then(MultiProgress::new),
            failure: OnceLock::new(),
        }
    }

    /// Does `work` and shows `title` with the time that it took. Steps may run
    /// in several threads at once.
    pub fn step<T>(&self, title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let spinner = self.spinners.as_ref().map(|all| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let spinner = all.add(ProgressBar::new_spinner().with_style(style));
            spinner.set_message(title.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            eprintln!("      .. {title}");
        }
        let outcome = work().with_context(|| title.to_owned());
        if let Err(error) = &outcome {
            // Later ones are its consequences.
            self.failure.set(format!("{error:#}")).ok();
        }
        let took = began.elapsed().as_secs_f32();
        let line = match &outcome {
            Ok(_) => format!("{took:6.1} s {title}"),
            Err(_) => format!("  FAILED {title} after {took:.1} s"),
        };
        match spinner {
            Some(spinner) => {
                spinner.set_style(
                    ProgressStyle::with_template("{msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                spinner.finish_with_message(line);
            }
            None => eprintln!("{line}"),
        }
        outcome
    }

    /// Why the first step that failed did so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Asks `poll` again and again until it has an answer.
    ///
    /// # Errors
    /// After `patience`: `what` did not come, why `poll` last thought so, and
    /// what `evidence` shows. An error of `poll`, and the failure of any other
    /// step, end the wait at once.
    pub fn wait_for<T>(
        &self,
        what: &str,
        patience: Duration,
        mut poll: impl FnMut() -> Result<Wait<T>>,
        evidence: impl Fn() -> String,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            match poll()? {
                Wait::Over(value) => return Ok(value),
                Wait::NotYet(why) if began.elapsed() > patience => {
                    bail!(
                        "{what} did not come within {} s: {why}\n{}",
                        patience.as_secs(),
                        evidence()
                    );
                }
                Wait::NotYet(why) if self.failure().is_some() => {
                    bail!("{what} is not awaited any more ({why})");
                }
                Wait::NotYet(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// One line for the user.
    pub fn say(&self, line: &str) {
        match &self.spinners {
            // Beside the spinners, not through them. A lost line is no harm.
            Some(all) => all.println(line).unwrap_or_default(),
            None => eprintln!("{line}"),
        }
    }
}

/// The outcome of a step that ran in a thread of its own.
pub(crate) fn joined<T>(handle: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle
        .join()
        .map_err(|_| anyhow!("a step panicked; see above"))?
}

/// What a poll found.
#[derive(Debug)]
pub enum Wait<T> {
    /// The awaited thing.
    Over(T),
    /// Nothing yet, and what is missing.
    NotYet(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_says_what_was_missing_and_shows_the_evidence() {
        let error = Progress::new()
            .wait_for::<()>(
                "node1 Ready",
                Duration::ZERO,
                || Ok(Wait::NotYet("no network".into())),
                || "log line".into(),
            )
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "node1 Ready did not come within 0 s: no network\nlog line"
        );
    }

    #[test]
    fn a_wait_ends_with_what_came() {
        let mut left = 3;
        let came = Progress::new().wait_for(
            "the third try",
            Duration::from_secs(60),
            || {
                left -= 1;
                Ok(if left == 0 {
                    Wait::Over("here")
                } else {
                    Wait::NotYet(format!("{left} to go"))
                })
            },
            String::new,
        );
        assert_eq!(came.unwrap(), "here");
    }
}
