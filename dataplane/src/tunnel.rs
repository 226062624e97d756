//! One ssh connection between forwarder and gateway, and many flows inside it.

pub(crate) mod backlog;
pub(crate) mod decoder;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod link;
mod outbox;
pub(crate) mod policy;
pub(crate) mod pool;
pub(crate) mod probe;
pub mod reason;
pub(crate) mod request;
pub(crate) mod socket;
pub(crate) mod ssh;
mod unread;
pub(crate) mod window;
