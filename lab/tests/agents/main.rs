//! What an administrator sees when a part of the agents' surroundings fails, and that traffic goes
//! on or heals by itself. Needs a lab with extconn in it: `make installation`.

#![allow(clippy::unwrap_used)]

mod api_server;
mod neighbours;
mod outage;
mod pod;
mod reasons;
mod token;
mod unlisted;
mod world;
