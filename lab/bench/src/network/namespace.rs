//! A network namespace with a name, and how to do things inside it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

/// Where `ip netns` keeps them.
pub const FOLDER: &str = "/run/netns";

/// A network namespace in [`FOLDER`]. Removing it is the business of
/// [`leftovers`](super::leftovers).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes an empty one.
    ///
    /// # Errors
    /// Not root, or the name is taken.
    pub fn create(name: String) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", &name]))?;
        Ok(Self { name })
    }

    /// Name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// File that stands for it.
    pub fn path(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }

    /// Runs `ip` inside.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        run(Command::new("ip")
            .args(["-n", &self.name])
            .args(arguments.split_whitespace()))
    }

    /// A program that will run inside. It gets the pid of the spawned child and dies when the
    /// thread that spawns it ends.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path()))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(program);
        command
    }

    /// Sets a value under /proc/sys.
    ///
    /// # Errors
    /// The kernel does not know it or refuses the value.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let file = Path::new("/proc/sys").join(name.replace('.', "/"));
        self.enter(|| fs::write(&file, value))?
            .with_context(|| format!("set {name} to {value} in {}", self.name))
    }

    /// Runs something on a thread that is inside. A socket that it opens stays inside, wherever
    /// it is used later.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.join()?;
                Ok(work())
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread inside, for good.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn join(&self) -> Result<()> {
        join(&self.path())
    }
}

/// Moves the calling thread into the network namespace that a file stands for, for good.
///
/// # Errors
/// No such file, or not root.
pub fn join(path: &str) -> Result<()> {
    let file = File::open(path).with_context(|| format!("open network namespace {path}"))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter network namespace {path}"))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}", said.trim());
    }
    Ok(())
}
