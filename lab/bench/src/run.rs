//! A run: places are made one after the other, and the lines that belong there are measured.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

use crate::contender::{Contender, Rekey, Running, install_openssh};
use crate::effort::Effort;
use crate::lines::{self, Bench, Line, Place};
use crate::measure::cpu;
use crate::measure::machine::{Machine, raise_open_files};
use crate::measure::noise::Baseline;
use crate::network::{Network, leftovers};
use crate::page::{self, Part};
use crate::report::Report;
use crate::results::Results;
use crate::streams;
use crate::table::{self, Style};

/// What to run and where its result goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Measure this line only; may be given more than once.
    #[arg(long, value_name = "LINE", value_parser = line_name)]
    only: Vec<String>,
    /// Under a minute: bulk and short connections beside the plain proxy. Fails if ours is slower
    /// than half of it by more than the samples' spread.
    #[arg(long, conflicts_with_all = ["only", "write"])]
    short: bool,
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// Rewrite the generated part of this page too.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Where the result of the streams goes.
#[derive(Clone, Debug, clap::Args)]
pub struct StreamsOptions {
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// Rewrite the generated part of this page too.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables for people.
    Table,
    /// Everything, for programs.
    Json,
}

fn line_name(text: &str) -> Result<String, String> {
    let names: Vec<&str> = lines::ALL.iter().map(|line| line.name).collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("the lines are {}", names.join(", ")))
}

/// Lines of the short form and whom they need.
const SHORT_LINES: [&str; 2] = ["bulk", "short"];
const SHORT_CONTENDERS: [Contender; 2] = [Contender::Plain, Contender::Ours];

/// Runs what the options say.
///
/// # Errors
/// Not root, a contender does not work, or, in the short form, a gross regression.
pub fn run(options: &Options) -> Result<()> {
    prepare()?;
    let (report, broken) = if options.short {
        let wanted = |line: &&Line| SHORT_LINES.contains(&line.name);
        let takes_part = |contender| SHORT_CONTENDERS.contains(&contender);
        measure(wanted, Effort::SHORT, takes_part, |_| Ok(()))?
    } else {
        let names = &options.only;
        let wanted = |line: &&Line| names.is_empty() || names.iter().any(|name| name == line.name);
        let places = lines::ALL.iter().filter(wanted).map(|line| line.place);
        if places
            .into_iter()
            .any(|place| place.contenders().contains(&Contender::OpenSsh))
        {
            install_openssh()?;
        }
        let write = |report: &Report| match &options.write {
            Some(file) => write(file, Part::Figures, &page::figures(report)),
            None => Ok(()),
        };
        measure(wanted, Effort::FULL, |_| true, write)?
    };
    print(&report, options.output)?;
    if !broken.is_empty() {
        bail!("not measured: {}", broken.join("; "));
    }
    let slow = report.gross_regressions();
    if options.short && !slow.is_empty() {
        let titles: Vec<&str> = slow.iter().map(|metric| metric.title()).collect();
        bail!("slower than half of a plain proxy: {}", titles.join("; "));
    }
    Ok(())
}

/// Tries the streams' promises instead of measuring.
///
/// # Errors
/// Not root, or the network cannot be made. Broken promises are no error.
pub fn run_streams(options: &StreamsOptions) -> Result<()> {
    prepare()?;
    install_openssh()?;
    let begin = Instant::now();
    let rows = streams::run(|promise| say(begin, promise))?;
    let table = streams::table::rows(&rows);
    let mut output = io::stdout().lock();
    match options.output {
        Format::Json => writeln!(output, "{}", serde_json::to_string_pretty(&rows)?)?,
        Format::Table => writeln!(output, "\n{}", table::table(&table, Style::Terminal))?,
    }
    if let Some(file) = &options.write {
        write(file, Part::Streams, &table::table(&table, Style::Page))?;
    }
    Ok(())
}

fn prepare() -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("network namespaces need root: run it as root");
    }
    remove_everything_on_signals()?;
    leftovers::remove_of_the_dead();
    raise_open_files();
    Ok(())
}

fn write(file: &Path, part: Part, text: &str) -> Result<()> {
    let name = file.display();
    let old = std::fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    let rewritten = page::rewrite(&old, part, text).with_context(|| format!("rewrite {name}"))?;
    std::fs::write(file, rewritten).with_context(|| format!("write {name}"))
}

/// Measures lines, says how each comes out, and hands on what there is after each. A line that fails
/// keeps no other one from being measured: the second part of the result says which did, and why.
fn measure(
    wanted: impl Fn(&&Line) -> bool,
    effort: Effort,
    takes_part: impl Fn(Contender) -> bool,
    after_line: impl Fn(&Report) -> Result<()>,
) -> Result<(Report, Vec<String>)> {
    let begin = Instant::now();
    let noise = Baseline::take();
    let machine = Machine::find();
    let mut results = Results::default();
    let mut broken = Vec::new();
    let report = |results: &Results| {
        let seconds = begin.elapsed().as_secs_f64();
        let noise = noise.noise(Duration::ZERO);
        Report::new(results, machine.clone(), noise, seconds)
    };
    let lines: Vec<&Line> = lines::ALL.iter().filter(wanted).collect();
    for here in lines.chunk_by(|one, next| one.place == next.place) {
        let place = here[0].place;
        let network = Network::build(&place.link()).context("make the network")?;
        let contenders = start_all(place, &network, &takes_part)?;
        for line in here {
            say(begin, line.name);
            let before: Vec<_> = results.metrics().collect();
            let mut bench = Bench {
                network: &network,
                contenders: &contenders,
                effort,
                results: &mut results,
            };
            if let Err(error) = (line.run)(&mut bench) {
                broken.push(format!("{}: {error:#}", line.name));
                say(begin, &format!("{} failed: {error:#}", line.name));
            }
            let report = report(&results);
            for figure in &report.figures {
                if !before.contains(&figure.metric) {
                    say(begin, &table::one_line(figure));
                }
            }
            after_line(&report)?;
        }
    }
    Ok((report(&results), broken))
}

fn start_all(
    place: Place,
    network: &Network,
    takes_part: impl Fn(Contender) -> bool,
) -> Result<Vec<Running>> {
    if place.starts_none() {
        return Ok(Vec::new());
    }
    let contenders = place.contenders().iter().filter(|one| takes_part(**one));
    contenders
        .map(|contender| {
            let started = contender.start(network, Rekey::Seldom);
            started.with_context(|| format!("start {contender}"))
        })
        .collect()
}

fn say(begin: Instant, what: &str) {
    let seconds = begin.elapsed().as_secs();
    let _ = writeln!(io::stderr(), "[{seconds:4} s] {what}");
}

fn print(report: &Report, format: Format) -> Result<()> {
    let mut output = io::stdout().lock();
    match format {
        Format::Json => writeln!(output, "{}", serde_json::to_string_pretty(report)?)?,
        Format::Table => {
            writeln!(output, "\n{}", table::figures(report, Style::Terminal))?;
            writeln!(output, "{}", table::goals(report, Style::Terminal))?;
            let noise = &report.noise;
            writeln!(
                output,
                "{:.0} s; stolen by the hypervisor {:.2} %, used by others {:.1} %",
                report.seconds,
                noise.stolen * 100.0,
                noise.foreign * 100.0
            )?;
        }
    }
    Ok(())
}

/// A signal ends the run, but not before what it made is removed.
fn remove_everything_on_signals() -> Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    // Threads that are started later inherit this; children do not.
    signals.thread_block()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let signal = signals.wait();
            for pid in cpu::family(&[std::process::id().cast_signed()])
                .into_iter()
                .skip(1)
            {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
            leftovers::remove(&leftovers::prefix(std::process::id()));
            std::process::exit(signal.map_or(1, |signal| 128 + signal as i32));
        })?;
    Ok(())
}
