//! What is sent through a path: load generators and the servers that answer them.

pub mod bulk;
pub mod first_byte;
pub mod hold;
pub mod open_loop;
pub mod realtime;
pub mod short;
pub mod stuck;
