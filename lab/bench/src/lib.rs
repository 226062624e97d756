//! Measures what extconn carries beside what people would use instead: a plain two-hop TCP
//! proxy, OpenSSH, and a routed connection, in network namespaces of its own.

pub mod measure;
pub mod network;
pub mod stats;
pub mod wan;
