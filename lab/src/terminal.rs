//! Somebody at a terminal of the workstation: reads the screen, types, presses keys.
//!
//! `script` (util-linux) makes the terminal; what is typed goes through it, so Ctrl-C is the
//! terminal's own and reaches every program in the foreground.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::host;
use crate::topology::Host;

/// Longest wait for words on the screen.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Keys beside letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Enter.
    Enter,
    /// Arrow down.
    Down,
    /// Ctrl-C.
    CtrlC,
}

impl Key {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Enter => b"\r",
            Self::Down => b"\x1b[B",
            Self::CtrlC => b"\x03",
        }
    }
}

/// A command that runs on a terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    /// All that was written to the terminal.
    written: Arc<Mutex<Vec<u8>>>,
    /// How much of its text was waited for already.
    read: usize,
    columns: NonZero<u16>,
}

/// What is left when a command has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit status, `128 + signal` if a signal ended it.
    pub status: i32,
    /// The bytes that came, with colours and movements.
    pub raw: String,
    /// What stands on the screen at the end, as if it had room for all lines.
    pub screen: String,
}

/// More lines than any command writes.
const ROWS: NonZero<u16> = NonZero::new(1000).expect("it is not 0");

impl Terminal {
    /// Runs a shell's command line on a terminal of so many columns, in a UTF-8 locale.
    ///
    /// # Errors
    /// The lab is not up, or has no `script`.
    pub fn run(columns: u16, line: &str) -> Result<Self> {
        let width = NonZero::new(columns).context("a terminal has columns")?;
        let line = format!(
            "stty rows 50 cols {columns}; export TERM=xterm-256color LC_ALL=C.UTF-8; {line}"
        );
        let argv = ["script", "-qefc", &line, "/dev/null"];
        let mut child = host::command(Host::Workstation, &argv)?
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run script")?;
        let keyboard = child.stdin.take().context("the child's input is piped")?;
        let mut output = child.stdout.take().context("the child's output is piped")?;
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                let mut written = sink.lock().unwrap_or_else(PoisonError::into_inner);
                written.extend_from_slice(&piece[..count]);
            }
        });
        Ok(Self {
            child,
            keyboard,
            written,
            read: 0,
            columns: width,
        })
    }

    /// Waits until `words` are written after those that were waited for last.
    ///
    /// # Errors
    /// They do not come, or the command ends before: with what came instead.
    pub fn wait_for(&mut self, words: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let ended = self
                .child
                .try_wait()
                .context("look after script")?
                .is_some();
            let text = plain(&self.raw());
            let fresh = text.get(self.read..).unwrap_or_default();
            if let Some(at) = fresh.find(words) {
                self.read += at + words.len();
                return Ok(());
            }
            if ended || begin.elapsed() > PATIENCE {
                bail!("{words:?} did not come on the terminal; instead:\n{fresh}");
            }
            std::thread::sleep(POLL);
        }
    }

    /// Types `text` and presses Enter.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn answer(&mut self, text: &str) -> Result<()> {
        self.type_bytes(text.as_bytes())?;
        self.press(Key::Enter)
    }

    /// Presses a key.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn press(&mut self, key: Key) -> Result<()> {
        self.type_bytes(key.bytes())
    }

    fn type_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.keyboard
            .write_all(bytes)
            .and_then(|()| self.keyboard.flush())
            .context("type on the terminal")
    }

    /// Waits until the command has ended.
    ///
    /// # Errors
    /// It does not.
    pub fn end(mut self) -> Result<Ended> {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().context("look after script")? {
                break status;
            }
            if begin.elapsed() > 2 * PATIENCE {
                bail!("the command does not end:\n{}", plain(&self.raw()));
            }
            std::thread::sleep(POLL);
        };
        let raw = self.raw();
        let mut screen = vt100::Parser::new(ROWS, self.columns, 0);
        screen.process(raw.as_bytes());
        Ok(Ended {
            status: status.code().unwrap_or(-1),
            screen: screen.screen().contents().trim_end().to_owned(),
            raw,
        })
    }

    fn raw(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Twice: the first asks a program to end in order. Nobody is left if it has ended.
        for _ in 0..2 {
            let _ = self.press(Key::CtrlC);
        }
    }
}

/// The text without colours and movements (ECMA-48 control sequences).
pub fn plain(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' if characters.next() == Some('[') => {
                // Parameters, then one final character.
                characters.find(|c| ('@'..='~').contains(c));
            }
            '\x1b' | '\r' => {}
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_neither_colours_nor_movements() {
        assert_eq!(
            plain("\x1b[?25l\x1b[2K\x1b[1;32m✓\x1b[0m done\r\n\x1b[1A"),
            "✓ done\n"
        );
    }
}
