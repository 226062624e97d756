//! Gateway hosts: how to reach them, what is found there, and whether a gateway can run there.

pub(crate) mod facts;
pub(crate) mod login;
pub(crate) mod marks;
pub(crate) mod preflight;
pub(crate) mod ssh;
