//! Standard output for answers, standard error for everything else.
//!
//! Answers are data and are the only thing on standard output. Progress, prompts and errors go
//! to standard error, with colours and a spinner only where a person is watching.

pub(crate) mod columns;
pub(crate) mod progress;
pub(crate) mod signals;
pub(crate) mod style;
pub(crate) mod wrap;

use std::io::{self, IsTerminal, Write};

use console::Term;

use crate::failure::Failure;
use style::Style;

/// What the two outputs can show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Style of answers.
    pub answer: Style,
    /// Style of progress, prompts and errors.
    pub talk: Style,
    /// Whether questions can be asked: someone sees them and can type.
    pub can_ask: bool,
}

impl Terminal {
    /// Looks at the real outputs, `NO_COLOR`, `TERM` and the locale.
    pub(crate) fn detect() -> Self {
        let unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
            .is_some_and(|locale| style::is_utf8_locale(&locale));
        let style_of = |term: Term| Style {
            colours: term.features().colors_supported(),
            unicode,
            width: term
                .size_checked()
                .map(|(_rows, columns)| columns.max(20).into()),
        };
        Self {
            answer: style_of(Term::stdout()),
            talk: style_of(Term::stderr()),
            can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// Prints an answer.
    ///
    /// # Errors
    /// [`Failure::reader_gone`] if nobody reads any more; else why it could not be written.
    pub(crate) fn print(self, answer: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(answer.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::reader_gone()),
            Err(error) => Err(Failure::could_not_run(format!(
                "failed to print the answer: {error}"
            ))),
        }
    }

    /// Says something beside the answer, wrapped to the terminal's width.
    pub(crate) fn say(self, text: &str) {
        // Nobody is left to tell that standard error is closed.
        let _ = writeln!(io::stderr(), "{}", wrap::wrap(text, self.talk.width, ""));
    }

    /// Tells why the command did not succeed, and what to do next.
    pub(crate) fn complain(self, failure: &Failure) {
        if failure.message().is_empty() {
            return;
        }
        let style = self.talk;
        self.say(&format!("{} {}", style.bad("error:"), failure.message()));
        if let Some(next) = failure.next_step() {
            self.say(&format!("{} {next}", style.strong("next:")));
        }
    }
}

/// Writes on standard error what `-v` asks for: from 1 the programs that are run, from 6 the
/// requests to the API server.
pub(crate) fn speak_up(verbosity: u8, colours: bool) {
    let filter = match verbosity {
        0 => return,
        1..=5 => "kubectl_extconn=info",
        _ => "kubectl_extconn=debug,kube_client=debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .without_time()
        .init();
}
