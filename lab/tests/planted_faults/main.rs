//! `kubectl extconn test` on a path that works, and with twelve faults planted one after another,
//! each a real one: it must name the hop that is broken. Needs the lab with extconn in it.
//!
//! All share one scenario, so they are trials of a harness of their own, which makes it once and
//! takes it away at the end.

mod faults;
mod path;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use extconn_lab::walkthrough::dump;
use libtest_mimic::{Arguments, Failed, Trial};

use faults::FAULTS;
use path::Path;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let asked = arguments.ignored || arguments.include_ignored;
    // Without the lab nothing is made: the trials are only listed, or skipped.
    let path = if asked && !arguments.list {
        match Path::make() {
            Ok(path) => Some(Arc::new(path)),
            Err(error) => {
                eprintln!("the path to test cannot be made: {error:?}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        None
    };
    let conclusion = libtest_mimic::run(&arguments, trials(path.as_ref()));
    let removed = path.map_or(Ok(()), |path| path.remove());
    match (conclusion.has_failed(), removed) {
        (false, Ok(())) => ExitCode::SUCCESS,
        (_, removed) => {
            if let Err(error) = removed {
                eprintln!("the path does not go away: {error:?}");
            }
            ExitCode::FAILURE
        }
    }
}

fn trials(path: Option<&Arc<Path>>) -> Vec<Trial> {
    let trial = |name: &str, run: fn(&Path) -> anyhow::Result<()>| {
        let path = path.map(Arc::clone);
        let run = move || match path {
            Some(path) => judged(&path, run(&path)),
            None => Ok(()),
        };
        Trial::test(name, run).with_ignored_flag(true)
    };
    let mut trials = vec![
        trial("a_path_that_works_is_proven_at_every_hop", path::works),
        trial(
            "nobody_but_the_pod_itself_may_ask_a_forwarder",
            path::keeps_to_itself,
        ),
        trial("interrupted_it_leaves_no_pod", path::interrupted),
    ];
    trials.extend(FAULTS.iter().map(|fault| {
        let path = path.map(Arc::clone);
        let run = move || match path {
            Some(path) => judged(&path, fault.find(&path)),
            None => Ok(()),
        };
        Trial::test(fault.name, run).with_ignored_flag(true)
    }));
    trials.push(trial("after_all_faults_the_path_works_again", path::works));
    trials
}

fn judged(path: &Path, outcome: anyhow::Result<()>) -> Result<(), Failed> {
    eprint!("{:.0} s in all ", path.begun.elapsed().as_secs_f32());
    outcome.map_err(|error| {
        dump::write(&path.scenario);
        Failed::from(format!("{error:?}"))
    })
}
