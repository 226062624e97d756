//! Pure: the command line as types.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use extconn_lab::Host;

/// A real Kubernetes cluster, gateway host and external server on one machine.
#[derive(Debug, Parser)]
#[command(
    name = "extconn-lab",
    version,
    after_help = "Examples:
  extconn-lab up
  extconn-lab kubectl get pods -A
  extconn-lab exec third -- witness get http://192.168.122.139:8000/
  extconn-lab ssh gateway
  extconn-lab down

Hosts: router, node1, node2, workstation, gateway, gateway2, external, third.
It needs root, a Debian with apt, and Go. It touches nothing of the machine's
own network."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Install the Debian packages that the lab needs, starting no service
    Prerequisites,
    /// Build what the lab is made of into the cache, without starting it
    Build,
    /// Bring the lab up; does nothing when it is up
    #[command(
        after_help = "The first time takes about ten minutes: it builds Kubernetes.
The results are kept in ${XDG_CACHE_HOME:-~/.cache}/extconn-lab."
    )]
    Up,
    /// Take the lab down without a trace, in whatever state it is
    Down {
        /// Remove the cache as well
        #[arg(long)]
        purge_cache: bool,
    },
    /// Show the main job at work: brings the lab up, installs, tries, prints a table
    Demo,
    /// Give the lab that is up what a user downloads, and install nothing
    #[command(
        after_help = "The images under the chart's own tags on both nodes, and kubectl-extconn on the
workstation's PATH. Then try it as a user would:
  extconn-lab exec workstation -- kubectl extconn init"
    )]
    Provide,
    /// Install extconn, as it was built, in the lab that is up
    Install,
    /// Remove extconn from the lab
    Uninstall,
    /// Show the hosts and what runs in them
    Status {
        /// How to show it
        #[arg(short, long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// Run a command in a host; its exit code is passed on
    #[command(after_help = "Examples:
  extconn-lab exec gateway -- iptables -t nat -S
  extconn-lab exec node1 -- ctr -n k8s.io images ls -q
  echo hello | extconn-lab exec external -- cat")]
    Exec {
        /// Which host
        host: Host,
        /// Program and arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run kubectl on the workstation as the cluster's administrator
    #[command(disable_help_flag = true)]
    Kubectl {
        /// Passed to kubectl
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run helm on the workstation as the cluster's administrator
    #[command(disable_help_flag = true)]
    Helm {
        /// Passed to helm
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run one of the lab's programs on the machine itself, with no lab up
    #[command(
        disable_help_flag = true,
        after_help = "Example:
  extconn-lab tool helm lint chart"
    )]
    Tool {
        /// Which program: helm or kubectl
        name: String,
        /// Passed to it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Log in from the workstation by ssh; only the gateway host has an sshd
    Ssh {
        /// Which host
        host: Host,
        /// Run this instead of a shell
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Show the logs of a host's units
    Logs {
        /// Which host
        host: Host,
        /// Which unit, such as kubelet; all of them without it
        unit: Option<String>,
        /// Show the end and wait for more
        #[arg(short, long)]
        follow: bool,
    },
    /// Stop or start a unit of a host, to see what its absence does
    Unit {
        /// What to do with it
        #[arg(value_enum)]
        action: UnitAction,
        /// Which host
        host: Host,
        /// Which unit, such as kube-apiserver
        unit: String,
    },
    /// Build an image from a Dockerfile and load it into both nodes
    #[command(after_help = "Example:
  extconn-lab build-image localhost/extconn-operator:0.1.0 \\
    --file operator/Dockerfile --context dist/operator")]
    BuildImage {
        /// Name and tag of the image
        name: String,
        /// The Dockerfile
        #[arg(short, long)]
        file: PathBuf,
        /// The folder that its COPYs are relative to
        #[arg(short, long)]
        context: PathBuf,
    },
    /// Load an OCI or docker archive into both nodes
    LoadImage {
        /// The archive
        archive: PathBuf,
    },
    /// Make a host's namespaces
    #[command(hide = true)]
    HostBirth {
        /// Which host
        host: Host,
    },
    /// Be a host's first process
    #[command(hide = true)]
    HostInit {
        /// Which host
        host: Host,
    },
}

/// How to print.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What to do with a unit.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum UnitAction {
    /// End it and leave it down.
    Stop,
    /// Start it again.
    Start,
}
