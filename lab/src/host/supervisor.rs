//! The first process of a host: runs its units, starts them again when they
//! end, and reaps whatever else ends in the host.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::birth::mount_proc;
use super::search_path;
use crate::paths;
use crate::topology::Host;
use crate::unit::{Reply, Request, Unit, UnitState};

/// How long a unit that ended stays down, so that a broken one does not spin.
const RESTART_DELAY: Duration = Duration::from_secs(1);

enum Event {
    ChildEnded,
    Asked(Request, Sender<Reply>),
}

struct Slot {
    unit: Unit,
    pid: Option<Pid>,
    wanted: bool,
    restarts: u32,
    start_at: Instant,
}

/// Runs until it is killed.
pub fn host_init(host: Host) -> Result<()> {
    mount_proc(host)?;
    // Before any thread starts, so that all of them have it blocked and only
    // the one that waits for it gets it.
    let mut ended = SigSet::empty();
    ended.add(Signal::SIGCHLD);
    ended.thread_block().context("block SIGCHLD")?;

    let (event_tx, event_rx) = mpsc::channel();
    let child_tx = event_tx.clone();
    std::thread::spawn(
        move || {
            while ended.wait().is_ok() && child_tx.send(Event::ChildEnded).is_ok() {}
        },
    );
    let path = paths::control(host);
    fs::remove_file(&path).ok();
    let listener =
        UnixListener::bind(&path).with_context(|| format!("listen at {}", path.display()))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let event_tx = event_tx.clone();
            // One caller that says nothing must not hold up the others.
            std::thread::spawn(move || answer(stream, &event_tx));
        }
    });
    supervise(host, &event_rx);
    Ok(())
}

/// Takes one request from a caller. A caller that goes away is its own loss.
fn answer(stream: UnixStream, event_tx: &Sender<Event>) -> Option<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone().ok()?)
        .read_line(&mut line)
        .ok()?;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => {
            let (reply_tx, reply_rx) = mpsc::channel();
            event_tx.send(Event::Asked(request, reply_tx)).ok()?;
            reply_rx.recv().ok()?
        }
        Err(error) => Reply::Refused(format!("request {line:?}: {error}")),
    };
    let mut text = serde_json::to_string(&reply).ok()?;
    text.push('\n');
    (&stream).write_all(text.as_bytes()).ok()
}

fn supervise(host: Host, event_rx: &Receiver<Event>) {
    let mut slots: BTreeMap<String, Slot> = BTreeMap::new();
    loop {
        let now = Instant::now();
        for slot in slots.values_mut() {
            if slot.wanted && slot.pid.is_none() && slot.start_at <= now {
                launch(host, slot);
            }
        }
        let wake = slots
            .values()
            .filter(|slot| slot.wanted && slot.pid.is_none())
            .map(|slot| slot.start_at)
            .min();
        let event = match wake {
            Some(at) => event_rx.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => event_rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::ChildEnded) => reap(&mut slots),
            Ok(Event::Asked(request, reply_tx)) => {
                // The caller may have gone.
                reply_tx.send(carry_out(request, &mut slots)).ok();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn launch(host: Host, slot: &mut Slot) {
    let unit = &slot.unit;
    let path = paths::log(host, &unit.name);
    let spawned = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|log| {
            Command::new(&unit.argv[0])
                .args(&unit.argv[1..])
                .env_clear()
                .env("PATH", search_path())
                .env("HOME", "/root")
                .envs(&unit.env)
                .current_dir("/")
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
        });
    match spawned {
        Ok(child) => slot.pid = i32::try_from(child.id()).ok().map(Pid::from_raw),
        Err(error) => {
            eprintln!("unit {} did not start: {error}", unit.name);
            slot.restarts += 1;
            slot.start_at = Instant::now() + RESTART_DELAY;
        }
    }
}

fn reap(slots: &mut BTreeMap<String, Slot>) {
    while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
        let Some(slot) = slots.values_mut().find(|slot| slot.pid == status.pid()) else {
            continue;
        };
        slot.pid = None;
        if slot.wanted {
            eprintln!("unit {} ended: {status:?}", slot.unit.name);
            slot.restarts += 1;
            slot.start_at = Instant::now() + RESTART_DELAY;
        }
    }
}

fn carry_out(request: Request, slots: &mut BTreeMap<String, Slot>) -> Reply {
    match request {
        Request::Start(unit) if unit.argv.is_empty() => {
            Reply::Refused(format!("unit {} has no program", unit.name))
        }
        Request::Start(unit) => {
            let slot = Slot {
                unit,
                pid: None,
                wanted: true,
                restarts: 0,
                start_at: Instant::now(),
            };
            if let Some(earlier) = slots.insert(slot.unit.name.clone(), slot) {
                terminate(&earlier);
            }
            Reply::Done
        }
        Request::Stop(name) => with_slot(slots, &name, |slot| {
            slot.wanted = false;
            terminate(slot);
        }),
        Request::Resume(name) => with_slot(slots, &name, |slot| {
            slot.wanted = true;
            slot.start_at = Instant::now();
        }),
        Request::List => Reply::Units(slots.values().map(state).collect()),
    }
}

fn with_slot(
    slots: &mut BTreeMap<String, Slot>,
    name: &str,
    change: impl FnOnce(&mut Slot),
) -> Reply {
    match slots.get_mut(name) {
        Some(slot) => {
            change(slot);
            Reply::Done
        }
        None => {
            let known: Vec<&str> = slots.keys().map(String::as_str).collect();
            Reply::Refused(format!("no unit {name}; there are {}", known.join(", ")))
        }
    }
}

fn terminate(slot: &Slot) {
    if let Some(pid) = slot.pid {
        // It may have ended since.
        kill(pid, Signal::SIGTERM).ok();
    }
}

fn state(slot: &Slot) -> UnitState {
    UnitState {
        name: slot.unit.name.clone(),
        pid: slot.pid.map(Pid::as_raw),
        restarts: slot.restarts,
        wanted: slot.wanted,
    }
}
