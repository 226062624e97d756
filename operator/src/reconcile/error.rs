//! Why a reconcile failed. Every variant is retried with backoff.

use kube::runtime::finalizer;

use crate::controller::stores::WatchEnded;

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a request, or did not answer.
    #[error("failed to {verb} {object}: {}", cause(.source))]
    Request {
        /// What was tried: `apply`, `delete`, `read`.
        verb: &'static str,
        /// Kind, namespace and name.
        object: String,
        /// Why it did not work.
        source: kube::Error,
    },
    /// Several things failed; the others went on.
    #[error("{}", join(.0))]
    Several(Vec<Error>),
    /// A watch has ended for good: the process is stopping.
    #[error(transparent)]
    WatchEnded(#[from] WatchEnded),
    /// The finalizer could not be set or removed, or what it guards has failed.
    #[error("{}", innermost(.0))]
    Finalizer(#[source] Box<finalizer::Error<Error>>),
}

impl Error {
    /// Whether the API server does not permit what was tried, and nothing else went wrong.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::Request { source, .. } => {
                matches!(source, kube::Error::Api(status) if status.code == 403)
            }
            Self::Several(errors) => errors.iter().all(Self::is_forbidden),
            Self::WatchEnded(_) | Self::Finalizer(_) => false,
        }
    }
}

/// Collects what goes wrong while the rest goes on.
#[derive(Debug, Default)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Keeps the error, if it is one.
    pub fn note<T>(&mut self, result: Result<T, Error>) {
        if let Err(error) = result {
            self.0.push(error);
        }
    }

    /// All that was noted.
    pub fn into_result(mut self) -> Result<(), Error> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(self.0.remove(0)),
            _ => Err(Error::Several(self.0)),
        }
    }
}

/// Whether the object is not, or no longer, there.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn cause(error: &kube::Error) -> String {
    match error {
        // The sentence of the API server, without the fields that a log would add.
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

fn join(errors: &[Error]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn innermost(error: &finalizer::Error<Error>) -> String {
    match error {
        finalizer::Error::ApplyFailed(error) | finalizer::Error::CleanupFailed(error) => {
            error.to_string()
        }
        finalizer::Error::AddFinalizer(error) => {
            format!("failed to add the finalizer: {}", cause(error))
        }
        finalizer::Error::RemoveFinalizer(error) => {
            format!("failed to remove the finalizer: {}", cause(error))
        }
        other => other.to_string(),
    }
}
