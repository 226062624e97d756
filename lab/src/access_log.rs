//! What the external server saw.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::paths;

/// One line of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Access {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Who: as the server's socket says.
    pub peer: SocketAddr,
    /// `GET /path` for a request, `UDP text` for a datagram; `None` for a
    /// connection itself, which is logged when it is accepted.
    pub request: Option<String>,
}

/// A place in the external server's access log.
#[derive(Clone, Copy, Debug)]
pub struct AccessLog {
    /// In bytes from the beginning.
    offset: u64,
}

impl AccessLog {
    /// The end of the log as it is.
    ///
    /// # Errors
    /// There is no log: the lab is not up.
    pub fn mark() -> Result<AccessLog> {
        let path = paths::access_log();
        let offset = fs::metadata(&path)
            .with_context(|| format!("look at {}", path.display()))?
            .len();
        Ok(AccessLog { offset })
    }

    /// What was logged from this place on, oldest first. It is complete for
    /// every answer that a client has got.
    pub fn since(self) -> Result<Vec<Access>> {
        let path = paths::access_log();
        let mut file = fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        parse(&text)
    }
}

/// Whole lines only: the last one may be on its way.
fn parse(text: &str) -> Result<Vec<Access>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("read {line:?}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_and_its_request_are_told_apart_and_a_cut_line_waits() {
        let text = "{\"time_ms\":1,\"peer\":\"192.0.2.7:99\"}\n\
                    {\"time_ms\":2,\"peer\":\"192.0.2.7:99\",\"request\":\"GET /\"}\n\
                    {\"time_ms\":3,\"pe";
        let seen = parse(text).unwrap();
        let requests: Vec<_> = seen
            .iter()
            .map(|access| access.request.as_deref())
            .collect();
        assert_eq!(requests, [None, Some("GET /")]);
        assert_eq!(seen[0].peer, "192.0.2.7:99".parse().unwrap());
        assert_eq!(parse("").unwrap(), []);
    }
}
