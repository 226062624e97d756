//! Measures what extconn carries beside what people would use instead: a plain two-hop TCP
//! proxy, OpenSSH, and a routed connection, in network namespaces of its own.

pub mod contender;
pub mod effort;
pub mod goals;
mod input;
pub mod lines;
pub mod load;
pub mod measure;
pub mod metric;
pub mod network;
pub mod page;
pub mod path;
pub mod report;
pub mod results;
pub mod run;
pub mod stats;
pub mod streams;
pub mod table;
pub mod wan;
