//! Keeps the rules of a host as they are wanted, whatever others do to them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::NatError;
use super::programs::BackEnd;
use super::ruleset::Ruleset;
use super::saved::Saved;
use crate::gateway::RulesState;

/// Time between two looks at the rules: they are repaired within 5 s.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Time after the last look at which a change has to wait for the next one, so that there is one
/// however fast changes come. Before that a change ends the look: many rules take long to read.
const LOOK_AT_LATEST: Duration = Duration::from_secs(4);
/// Time before a failed write is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Keeps the rules of a host as they are wanted. They stay when it is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    wanted_tx: mpsc::Sender<Wanted>,
    state_rx: watch::Receiver<RulesState>,
    _keeping: AbortOnDropHandle<()>,
}

struct Wanted {
    ruleset: Ruleset,
    written_tx: oneshot::Sender<Result<(), NatError>>,
}

impl Keeper {
    /// Touches nothing until it is told what is wanted. Must be called inside a tokio runtime.
    pub(crate) fn start(back_end: Option<BackEnd>) -> Self {
        let (wanted_tx, wanted_rx) = mpsc::channel(1);
        let (state_tx, state_rx) = watch::channel(RulesState::Applied);
        let keeping = tokio::spawn(keep(back_end, wanted_rx, state_tx));
        Self {
            wanted_tx,
            state_rx,
            _keeping: AbortOnDropHandle::new(keeping),
        }
    }

    /// Makes the rules those of `ruleset` and keeps them so.
    ///
    /// # Errors
    /// They could not be written at once. It is tried again until they can.
    pub(crate) async fn apply(&self, ruleset: Ruleset) -> Result<(), NatError> {
        let (written_tx, written) = oneshot::channel();
        let wanted = Wanted {
            ruleset,
            written_tx,
        };
        let stopped = || NatError::Command {
            program: "iptables".to_owned(),
            reason: "the task that writes rules has ended, start the gateway again".to_owned(),
        };
        self.wanted_tx.send(wanted).await.map_err(|_| stopped())?;
        written.await.map_err(|_| stopped())?
    }

    /// Whether the rules are as wanted, as it changes.
    pub(crate) fn state(&self) -> watch::Receiver<RulesState> {
        self.state_rx.clone()
    }
}

async fn keep(
    back_end: Option<BackEnd>,
    mut wanted_rx: mpsc::Receiver<Wanted>,
    state_tx: watch::Sender<RulesState>,
) {
    let Some(mut wanted) = wanted_rx.recv().await else {
        return;
    };
    let back_end = match back_end {
        Some(back_end) => back_end,
        None => BackEnd::probe().await,
    };
    info!(?back_end, "nat rules are written by iptables");
    // What is in the kernel, as far as is known.
    let mut present: Option<Arc<Ruleset>> = None;
    let mut looked_at = Instant::now();
    loop {
        let ruleset = Arc::new(wanted.ruleset);
        let written = write(back_end, present.take(), &ruleset).await;
        let mut look_at = match &written {
            Ok(Trusted::AsRead) => looked_at + LOOK_EVERY,
            Ok(Trusted::AsWritten) => Instant::now(),
            Err(_) => Instant::now() + RETRY_AFTER,
        };
        present = written.is_ok().then(|| Arc::clone(&ruleset));
        let written = written.map(drop);
        publish(&state_tx, &written);
        // Whoever asked may have gone.
        let _ = wanted.written_tx.send(written);
        wanted = loop {
            let look = async {
                sleep_until(look_at).await;
                back_end.saved().await
            };
            let may_wait = looked_at.elapsed() < LOOK_AT_LATEST;
            let read = tokio::select! {
                biased;
                next = wanted_rx.recv(), if may_wait => match next {
                    Some(next) => break next,
                    None => return,
                },
                read = look => read,
            };
            let made = mend(back_end, read, &ruleset).await;
            looked_at = Instant::now();
            look_at = looked_at
                + if made.is_ok() {
                    LOOK_EVERY
                } else {
                    RETRY_AFTER
                };
            present = made.is_ok().then(|| Arc::clone(&ruleset));
            publish(&state_tx, &made);
        };
    }
}

/// How it is known that rules are in the kernel.
enum Trusted {
    /// A look has found those that were changed since.
    AsRead,
    /// The programs say so.
    AsWritten,
}

/// Writes what changed if it is known what is there, else looks first.
async fn write(
    back_end: BackEnd,
    present: Option<Arc<Ruleset>>,
    wanted: &Ruleset,
) -> Result<Trusted, NatError> {
    // Somebody may have changed what is there: then it is looked at.
    if let Some(present) = present
        && back_end.change(&present, wanted).await.is_ok()
    {
        return Ok(Trusted::AsRead);
    }
    let written = back_end.write(wanted).await;
    nothing_if_not_installed(written, wanted).map(|()| Trusted::AsWritten)
}

async fn mend(
    back_end: BackEnd,
    read: Result<Saved, NatError>,
    wanted: &Ruleset,
) -> Result<(), NatError> {
    let mended = match read {
        Ok(present) => back_end.mend(&present, wanted).await,
        Err(error) => Err(error),
    };
    nothing_if_not_installed(mended, wanted)
}

/// No rules are wanted, and where iptables is not, there are none.
fn nothing_if_not_installed(
    result: Result<(), NatError>,
    wanted: &Ruleset,
) -> Result<(), NatError> {
    match result {
        Err(NatError::NotInstalled { .. }) if wanted.0.is_empty() => Ok(()),
        result => result,
    }
}

fn publish(state_tx: &watch::Sender<RulesState>, written: &Result<(), NatError>) {
    let state = match written {
        Ok(()) => RulesState::Applied,
        Err(error) => {
            warn!(%error, "nat rules are not as wanted, trying again");
            RulesState::Failed(error.to_string())
        }
    };
    state_tx.send_if_modified(|published| {
        let changed = *published != state;
        *published = state;
        changed
    });
}
