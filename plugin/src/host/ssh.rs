//! One ssh connection to a gateway host, over the user's own OpenSSH.
//!
//! The user's configuration, agent, jump hosts and known_hosts all count. The first call logs
//! in, and may ask on the terminal; the others share its connection through a control socket in a
//! folder that nobody else can enter.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::process::Child;

use super::{login, marks};
use crate::cli::ssh::SshArgs;
use crate::failure::Failure;
use crate::program::{Input, Program, Said, quoted};

/// Says whose the login is and at which address it arrived, and tries whether sudo asks.
const PROBE: &str =
    "id -u; echo \"$SSH_CONNECTION\" | cut -d' ' -f3; [ \"$(id -u)\" = 0 ] || sudo -n true";

/// A login on a gateway host. The last clone that is dropped logs out.
#[derive(Clone)]
pub(crate) struct Ssh(Arc<Connection>);

struct Connection {
    destination: String,
    options: Vec<String>,
    /// Held for its drop.
    _control: Option<TempDir>,
    privilege: Privilege,
    server_address: Option<String>,
}

/// How commands become root's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Privilege {
    /// They run as the login is, which may be root's.
    Login,
    /// By `sudo -n`.
    Sudo,
}

/// Whether ssh may ask on the terminal for passwords, passphrases and unknown host keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayAsk {
    /// Somebody is there.
    Yes,
    /// Nobody is.
    No,
}

/// Options that every call gets, before those of the user.
pub(crate) fn options(args: &SshArgs, may_ask: MayAsk, control: Option<&str>) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    if let Some(file) = &args.ssh_config {
        options.extend(["-F".to_owned(), file.display().to_string()]);
    }
    if let Some(file) = &args.ssh_identity {
        options.extend(["-i".to_owned(), file.display().to_string()]);
    }
    let mut set = |option: &str| options.extend(["-o".to_owned(), option.to_owned()]);
    if let Some(control) = control {
        set("ControlMaster=auto");
        set(&format!("ControlPath={control}"));
        set("ControlPersist=120");
    }
    set("ConnectTimeout=15");
    set("ServerAliveInterval=10");
    set("ServerAliveCountMax=3");
    if may_ask == MayAsk::No {
        set("BatchMode=yes");
    }
    options
}

impl Ssh {
    /// Logs in, and runs commands as whoever that is.
    ///
    /// # Errors
    /// What ssh said, and what to do about it.
    pub(crate) async fn log_in(
        destination: &str,
        args: &SshArgs,
        may_ask: MayAsk,
    ) -> Result<Self, Failure> {
        let (connection, said) = Connection::begin(destination, args, may_ask, "true").await?;
        if said.status == Some(255) {
            return Err(login::explain(destination, &said.stderr));
        }
        Ok(Self(Arc::new(connection)))
    }

    /// Logs in and finds out how to become root.
    ///
    /// # Errors
    /// What ssh or sudo said, and what to do about it.
    pub(crate) async fn connect(
        destination: &str,
        args: &SshArgs,
        may_ask: MayAsk,
    ) -> Result<Self, Failure> {
        let probe = format!("sh -c {}", quoted(&marks::around(PROBE)));
        let (mut connection, said) = Connection::begin(destination, args, may_ask, &probe).await?;
        if said.status == Some(255) {
            return Err(login::explain(destination, &said.stderr));
        }
        let said =
            marks::within(said).map_err(|said| login::explain_no_shell(destination, &said))?;
        let mut lines = said.stdout.lines();
        let user_id = lines.next().unwrap_or_default().trim().to_owned();
        connection.server_address = lines
            .next()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty());
        if user_id != "0" {
            connection.privilege = Privilege::Sudo;
            if !said.ok() {
                return Err(login::explain_sudo(destination, &said));
            }
        }
        Ok(Self(Arc::new(connection)))
    }

    /// As the user named it.
    pub(crate) fn destination(&self) -> &str {
        &self.0.destination
    }

    /// The host's address at which the login arrived.
    pub(crate) fn server_address(&self) -> Option<&str> {
        self.0.server_address.as_deref()
    }

    /// Runs a shell script as root.
    ///
    /// # Errors
    /// The connection broke. A failing script is no error here.
    pub(crate) async fn script(&self, script: &str) -> Result<Said, Failure> {
        self.script_with(script, &[]).await
    }

    /// Runs a shell script as root with `input` on its standard input. What the login's shell
    /// prints of its own is left out.
    ///
    /// # Errors
    /// As [`Ssh::script`].
    pub(crate) async fn script_with(&self, script: &str, input: &[u8]) -> Result<Said, Failure> {
        let said = self
            .0
            .ssh(&[self.0.as_root(&marks::around(script))])
            .run(Input::Bytes(input))
            .await?;
        if said.status == Some(255) {
            let host = &self.0.destination;
            return Err(Failure::could_not_run(format!(
                "the connection to {host} broke: {}",
                said.complaint()
            ))
            .next("run the same command again: it goes on where it stopped"));
        }
        Ok(marks::within(said).unwrap_or_else(|said| said))
    }

    /// Starts a shell script as root whose output is read as it comes.
    ///
    /// # Errors
    /// ssh cannot be run.
    pub(crate) fn follow(&self, script: &str) -> Result<Child, Failure> {
        let program = self.0.ssh(&[self.0.as_root(script)]);
        let mut command = program.command();
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped());
        command.spawn().map_err(|error| program.not_run(&error))
    }

    /// The command line that runs `script` as root, as a user would type it.
    pub(crate) fn shown(&self, script: &str) -> String {
        let command = self.0.as_root(script);
        format!("ssh {} {}", self.0.destination, quoted(&command))
    }
}

impl Connection {
    /// The first command logs in. Those that follow are run as the login is.
    async fn begin(
        destination: &str,
        args: &SshArgs,
        may_ask: MayAsk,
        command: &str,
    ) -> Result<(Self, Said), Failure> {
        let control = control_folder()?;
        let socket = control
            .as_ref()
            .map(|folder| folder.path().join("socket").display().to_string());
        let connection = Self {
            destination: destination.to_owned(),
            options: options(args, may_ask, socket.as_deref()),
            _control: control,
            privilege: Privilege::Login,
            server_address: None,
        };
        let said = connection
            .ssh(&[command.to_owned()])
            .run(Input::Nothing)
            .await?;
        Ok((connection, said))
    }

    fn ssh(&self, command: &[String]) -> Program {
        Program::new("ssh")
            .args(&self.options)
            .args(["--", &self.destination])
            .args(command)
    }

    fn as_root(&self, script: &str) -> String {
        match self.privilege {
            Privilege::Login => format!("sh -c {}", quoted(script)),
            Privilege::Sudo => format!("sudo -n sh -c {}", quoted(script)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self._control.is_some() {
            let exit = Program::new("ssh").args(&self.options).args([
                "-O",
                "exit",
                "--",
                &self.destination,
            ]);
            tracing::info!("{exit}");
            let mut exit = exit.command().into_std();
            let quiet = std::process::Stdio::null;
            let _ = exit.stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
        }
    }
}

/// A folder for the control socket; `None` where OpenSSH has none (Windows).
fn control_folder() -> Result<Option<TempDir>, Failure> {
    if cfg!(not(unix)) {
        return Ok(None);
    }
    // Not $TMPDIR: the path of a Unix socket must be short.
    let short = std::path::Path::new("/tmp");
    let folder = tempfile::Builder::new()
        .prefix("extconn-ssh-")
        .tempdir_in(short);
    folder.map(Some).map_err(|error| {
        Failure::could_not_run(format!("failed to make a folder in /tmp: {error}"))
    })
}
