//! Runs the user's own programs: ssh, helm.

use std::fmt;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::Failure;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    argv: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error, without blank ends.
    pub stderr: String,
}

/// What goes into a program's standard input.
pub(crate) enum Input<'a> {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(&'a [u8]),
}

impl Program {
    /// A program by name, looked for on the PATH.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            argv: vec![name.to_owned()],
            environment: Vec::new(),
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds an environment variable, for what must not be seen in a process list.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Runs it to its end. A failing status is no error here.
    ///
    /// # Errors
    /// It is not installed or cannot be run, or Ctrl-C ended it.
    pub(crate) async fn run(&self, input: Input<'_>) -> Result<Said, Failure> {
        tracing::info!("{self}");
        let mut child = self
            .command()
            .stdin(if matches!(input, Input::Nothing) {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.not_run(&error))?;
        let stdin = child.stdin.take();
        let feed = async move {
            if let (Some(mut stdin), Input::Bytes(bytes)) = (stdin, input) {
                // A program that ends early has said why on its standard error.
                let _ = stdin.write_all(bytes).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        let output = output.map_err(|error| self.not_run(&error))?;
        if by_ctrl_c(output.status) {
            return Err(Failure::interrupted());
        }
        Ok(Said {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// The command, for those who connect its ends themselves. Dropping the child ends it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command
            .args(&self.argv[1..])
            .envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.kill_on_drop(true);
        command
    }

    /// What to tell when it could not be run.
    pub(crate) fn not_run(&self, error: &std::io::Error) -> Failure {
        let name = &self.argv[0];
        if error.kind() == std::io::ErrorKind::NotFound {
            Failure::could_not_run(format!("the program {name} is not installed")).next(match name
                .as_str()
            {
                "helm" => {
                    "install Helm 3.14 or later, see https://helm.sh/docs/intro/install/".to_owned()
                }
                "ssh" => "install the OpenSSH client".to_owned(),
                other => format!("install {other}"),
            })
        } else {
            Failure::could_not_run(format!("failed to run {name}: {error}"))
        }
    }
}

/// Whether Ctrl-C ended a program: the terminal tells it and us, and it may be the first to end.
fn by_ctrl_c(status: std::process::ExitStatus) -> bool {
    #[cfg(unix)]
    {
        const SIGINT: i32 = 2;
        std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGINT)
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

impl Said {
    /// Whether the program succeeded.
    pub(crate) fn ok(&self) -> bool {
        self.status == Some(0)
    }

    /// The last line of what it complained about, or its status if it said nothing.
    pub(crate) fn complaint(&self) -> String {
        match self
            .stderr
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
        {
            Some(line) => line.trim().to_owned(),
            None => self.status.map_or("it was killed".to_owned(), |status| {
                format!("it ended with status {status}")
            }),
        }
    }

    /// All that a script complained about, as one line, without its name in front of its lines.
    pub(crate) fn complaints(&self, script: &str) -> String {
        let name = format!("{script}: ");
        let lines = self.stderr.lines().map(str::trim);
        let lines: Vec<&str> = lines
            .map(|line| line.strip_prefix(&name).unwrap_or(line))
            .filter(|line| !line.is_empty())
            .collect();
        if lines.is_empty() {
            self.complaint()
        } else {
            lines.join("; ")
        }
    }

    /// All that it complained about from its line `Error: …` on, as one line.
    pub(crate) fn error_text(&self) -> String {
        let from = self
            .stderr
            .find("Error: ")
            .map_or(0, |at| at + "Error: ".len());
        let lines = self.stderr[from..].lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            self.complaint()
        } else {
            lines.join("; ")
        }
    }
}

impl fmt::Display for Program {
    /// As it would be typed into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.argv.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// `word` in quotes if a shell would not take it as it is.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether a program of this name is on the PATH.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| {
        let file = folder.join(name);
        file.is_file() || file.with_extension("exe").is_file()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_it_would_be_typed() {
        let program = Program::new("ssh").args(["-p", "22", "root@gw", "echo 'hi there'"]);
        assert_eq!(
            program.to_string(),
            r"ssh -p 22 root@gw 'echo '\''hi there'\'''"
        );
    }

    #[tokio::test]
    async fn input_output_and_status_come_through() {
        let said = Program::new("sh")
            .args(["-c", "cat; echo no >&2; exit 3"])
            .run(Input::Bytes(b"yes"))
            .await
            .unwrap();
        assert_eq!(
            (said.status, said.stdout.as_str(), said.complaint().as_str()),
            (Some(3), "yes", "no")
        );
    }

    #[test]
    fn a_script_that_fails_is_quoted_from_its_first_line_on() {
        let said = |stderr: &str| Said {
            status: Some(1),
            stdout: String::new(),
            stderr: stderr.to_owned(),
        };
        let both = said("extconn-gateway: the cause\n\ninstall.sh: nothing was changed");
        assert_eq!(
            both.complaints("install.sh"),
            "extconn-gateway: the cause; nothing was changed"
        );
        assert_eq!(said("").complaints("install.sh"), "it ended with status 1");
    }

    #[tokio::test]
    async fn a_program_that_ctrl_c_has_ended_is_an_interruption() {
        let killed = |signal: &str| {
            let line = format!("kill -{signal} $$");
            async move {
                // What started the tests may ignore Ctrl-C, and a shell cannot undo that.
                Program::new("env")
                    .args(["--default-signal", "sh", "-c", &line])
                    .run(Input::Nothing)
                    .await
            }
        };
        let failure = killed("INT").await.unwrap_err();
        assert_eq!(failure.message(), Failure::interrupted().message());
        assert_eq!(killed("TERM").await.unwrap().status, None);
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let failure = Program::new("extconn-no-such-program")
            .run(Input::Nothing)
            .await
            .unwrap_err();
        assert_eq!(failure.status(), 3);
        assert!(
            failure
                .message()
                .contains("extconn-no-such-program is not installed")
        );
    }
}
