//! `up`: from nothing, or from the remains of an earlier run, to a lab in
//! which everything answers.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::components::{self, MODULES};
use crate::progress::{Progress, Wait, joined};
use crate::topology::{EXTERNAL, EXTERNAL_PORT, Host};
use crate::unit::Unit;
use crate::wiring::{self, Wire};
use crate::{cluster, down, gateway, host, images, paths, pki, ssh, status, supply};

/// Time for which a child of a killed holder may still have the lock: it lets go when it becomes the
/// program that it was forked for.
const ORPHANED: Duration = Duration::from_secs(3);

/// The right to change the lab; `up` and `down` hold it one at a time.
///
/// An abstract socket: it goes with its holder and leaves no file.
pub fn lock() -> Result<UnixListener> {
    let name = SocketAddr::from_abstract_name("extconn-lab").context("name the lab's lock")?;
    let deadline = Instant::now() + ORPHANED;
    loop {
        match UnixListener::bind_addr(&name) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            bound => {
                return bound
                    .context("another extconn-lab is at work on the lab; wait for it to end");
            }
        }
    }
}

/// Brings the lab up. Does nothing, and says so, when it is up.
///
/// # Errors
/// Names what did not come, with the last lines of its log. What was started
/// stays for a look around; `down`, or another `up`, clears it away.
pub fn up(progress: &Progress) -> Result<()> {
    supply::check_machine()?;
    let _lock = lock()?;
    let began = Instant::now();
    match status::state()? {
        status::State::Up => {
            progress.say("The lab is up already; nothing to do.");
            return Ok(());
        }
        status::State::Down => {}
        status::State::Broken(why) => {
            let title = format!("clear away an earlier lab ({why})");
            progress.step(&title, down::clear)?;
        }
    }
    start(progress).map_err(|error| match progress.failure() {
        // What failed first; the others gave up because of it.
        Some(first) => anyhow!("{first}"),
        None => error,
    })?;
    let fingerprint = status::fingerprint()?;
    fs::write(paths::ready(), fingerprint).context("record that the lab is up")?;
    progress.say(&format!(
        "The lab is up ({:.0} s). Look around with\n  extconn-lab status\n  \
         extconn-lab kubectl get nodes\n  extconn-lab ssh gateway\nand take it down with\n  \
         extconn-lab down",
        began.elapsed().as_secs_f32()
    ));
    Ok(())
}

fn start(progress: &Progress) -> Result<()> {
    let archives = supply::build(progress)?;
    prepare()?;
    progress.step("start the hosts and join their networks", || {
        start_hosts(progress)
    })?;
    std::thread::scope(|scope| {
        let guests = step(scope, progress, "boot the gateway hosts", || {
            boot_guests(progress)
        });
        let external = step(scope, progress, "start the external server", || {
            start_external(progress)
        });
        let runtime = step(scope, progress, "start containerd and load images", || {
            start_runtimes(progress, &archives)
        });
        progress.step("start etcd and the API server", || {
            pki::generate()?;
            cluster::start_api_server(progress)
        })?;
        let controllers = step(
            scope,
            progress,
            "start the controllers",
            cluster::start_controllers,
        );
        joined(runtime)?;
        progress.step("join both nodes", || {
            for node in Host::NODES {
                cluster::start_agents(node)?;
            }
            cluster::wait_nodes(progress)
        })?;
        joined(controllers)?;
        progress.step("start the cluster's DNS", || {
            cluster::wait_services(progress)
        })?;
        joined(external)?;
        joined(guests)
    })
}

fn step<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    progress: &'scope Progress,
    title: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> ScopedJoinHandle<'scope, Result<T>> {
    scope.spawn(move || progress.step(title, work))
}

/// The state folder, with the programs in it.
fn prepare() -> Result<()> {
    let bin = paths::bin();
    fs::create_dir_all(&bin).with_context(|| format!("make {}", bin.display()))?;
    // A copy: the hosts run it, and builds replace the original.
    let own = std::env::current_exe().context("find this program")?;
    fs::copy(&own, bin.join("extconn-lab")).context("copy this program")?;
    let go = components::go_version()?;
    for module in &MODULES {
        let folder = module.folder(&go)?;
        for program in module.programs {
            for name in program.names {
                symlink(folder.join(program.file), bin.join(name))
                    .with_context(|| format!("link {name}"))?;
            }
        }
    }
    ssh::make_keys()
}

fn start_hosts(progress: &Progress) -> Result<()> {
    std::thread::scope(|scope| {
        let starts = Host::ALL.map(|host| scope.spawn(move || host::start(host)));
        starts.into_iter().try_for_each(joined)
    })?;
    for host in Host::ALL {
        progress.wait_for(
            &format!("host {host}"),
            Duration::from_secs(20),
            || {
                Ok(match host::units(host) {
                    Ok(_) => Wait::Over(()),
                    Err(error) => Wait::NotYet(format!("{error:#}")),
                })
            },
            || host::tail(host, "init"),
        )?;
        host::name_netns(host)?;
    }
    wiring::router().iter().try_for_each(pull)?;
    for host in Host::ALL {
        let process = host::process(host).with_context(|| format!("host {host} ended"))?;
        wiring::cable(host, process.pid).iter().try_for_each(pull)?;
    }
    Ok(())
}

/// Runs one wiring command: with the machine's pids and files, in the host's
/// network.
fn pull(wire: &Wire) -> Result<()> {
    let process = host::process(wire.host).with_context(|| format!("host {} ended", wire.host))?;
    let output = std::process::Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", process.pid))
        .arg("--")
        .args(&wire.argv)
        .stdin(Stdio::null())
        .output()
        .context("run nsenter")?;
    if !output.status.success() {
        bail!(
            "`{}` in {}: {}",
            wire.argv.join(" "),
            wire.host,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn start_runtimes(progress: &Progress, archives: &[PathBuf]) -> Result<()> {
    std::thread::scope(|scope| {
        let starts =
            Host::NODES.map(|node| scope.spawn(move || cluster::start_runtime(progress, node)));
        starts.into_iter().try_for_each(joined)
    })?;
    for archive in archives {
        images::load(archive)?;
    }
    Ok(())
}

fn boot_guests(progress: &Progress) -> Result<()> {
    ssh::introduce()?;
    Host::GUESTS.into_iter().try_for_each(gateway::boot)?;
    for guest in Host::GUESTS {
        await_ssh(progress, guest, "guest")?;
    }
    Ok(())
}

fn await_ssh(progress: &Progress, server: Host, unit: &str) -> Result<()> {
    progress.wait_for(
        &format!("ssh to host {server}"),
        Duration::from_secs(90),
        || {
            Ok(match ssh::answers(server)? {
                Ok(()) => Wait::Over(()),
                Err(why) => Wait::NotYet(why),
            })
        },
        || host::tail(server, unit),
    )
}

fn start_external(progress: &Progress) -> Result<()> {
    let address = format!("{EXTERNAL}:{EXTERNAL_PORT}");
    let log = paths::access_log().display().to_string();
    let name = "the external server";
    let argv = [
        "witness", "serve", "-listen", &address, "-log", &log, "-name", name,
    ];
    host::start_unit(Host::External, Unit::new("server", argv))?;
    let page = format!("http://{address}/");
    progress.wait_for(
        "the external server's page",
        Duration::from_secs(20),
        || {
            let output = crate::exec(Host::Third, &["witness", "get", &page])?;
            Ok(if output.status.success() {
                Wait::Over(())
            } else {
                Wait::NotYet(String::from_utf8_lossy(&output.stderr).trim().to_owned())
            })
        },
        || host::tail(Host::External, "server"),
    )?;
    ssh::serve(Host::External)?;
    await_ssh(progress, Host::External, "sshd")
}
