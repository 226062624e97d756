//! Which process a recorded pid means: a pid alone may have been given to
//! somebody else, a pid with its start time cannot.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

/// A process, told apart from later ones that got the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// In the machine's pid namespace.
    pub pid: i32,
    /// Clock ticks since the machine's boot, from /proc/PID/stat.
    start: u64,
}

impl Process {
    /// The running process with this pid; `None` if there is none, or only
    /// one that waits to be reaped.
    pub fn find(pid: i32) -> io::Result<Option<Process>> {
        let text = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(text) => text,
            // ESRCH: it went between open and read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(parse_stat(&text)
            .filter(|(state, _)| !matches!(state, 'Z' | 'X'))
            .map(|(_, start)| Process { pid, start }))
    }

    /// Whether exactly this process still runs.
    pub fn is_running(self) -> bool {
        matches!(Process::find(self.pid), Ok(Some(process)) if process == self)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.start)
    }
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Process, String> {
        let parsed = text.trim().split_once(' ').and_then(|(pid, start)| {
            Some(Process {
                pid: pid.parse().ok()?,
                start: start.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| format!("{text:?} is not a pid and a start time"))
    }
}

/// State and start time out of /proc/PID/stat. The second field is the
/// program's name and may hold spaces and parentheses, so count from its end.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // Field 22 of the whole line, proc_pid_stat(5).
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b) (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 9 10";
        assert_eq!(parse_stat(line), Some(('S', 777)));
        assert_eq!(parse_stat("42 (cut off"), None);
    }

    #[test]
    fn a_process_is_itself_and_not_a_later_one_with_its_pid() {
        let me = Process::find(std::process::id() as i32).unwrap().unwrap();
        assert!(me.is_running());
        assert_eq!(me.to_string().parse(), Ok(me));
        let earlier = Process {
            start: me.start - 1,
            ..me
        };
        assert!(!earlier.is_running());
    }
}
