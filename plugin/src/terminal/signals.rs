//! Ctrl-C and SIGTERM: the command in hand is told and may clean up; a second one ends at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// How long a prompt may take to notice a signal by itself, before the process ends under it.
const PROMPT_ENDS_WITHIN: Duration = Duration::from_millis(500);

/// Whether a prompt has the terminal.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Becomes true once, at the first Ctrl-C or SIGTERM.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(CancellationToken);

impl Interrupt {
    /// Takes over the signals. Call once, within the runtime.
    pub(crate) fn install() -> Self {
        let token = CancellationToken::new();
        let told = token.clone();
        tokio::spawn(async move {
            loop {
                next_signal().await;
                let second = told.is_cancelled();
                told.cancel();
                if ASKING.load(Ordering::SeqCst) {
                    tokio::time::sleep(PROMPT_ENDS_WITHIN).await;
                } else if !second {
                    continue;
                }
                restore_cursor();
                std::process::exit(Failure::interrupted().status().into());
            }
        });
        Self(token)
    }

    /// Runs `work` until it is done or the user interrupts; then it is dropped where it stands.
    ///
    /// # Errors
    /// Those of `work`, and [`Failure::interrupted`].
    pub(crate) async fn unless<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => Err(Failure::interrupted()),
            result = work => result,
        }
    }
}

/// Marks, for as long as it lives, that a prompt has the terminal.
pub(crate) struct Asking;

impl Asking {
    /// A prompt begins.
    pub(crate) fn begin() -> Self {
        ASKING.store(true, Ordering::SeqCst);
        Self
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.store(false, Ordering::SeqCst);
    }
}

/// Prompts and spinners hide the cursor; whoever leaves in their midst must show it again.
pub(crate) fn restore_cursor() {
    let term = console::Term::stderr();
    if term.is_term() {
        let _ = term.show_cursor();
    }
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
