//! Pure: the generated part of the documentation's page.

use anyhow::{Result, bail};

use crate::report::Report;
use crate::table::{self, Style};

/// A part of the page that a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What `run` measured.
    Figures,
    /// What `streams` found.
    Streams,
}

impl Part {
    fn marks(self) -> (String, String) {
        let subcommand = match self {
            Part::Figures => "run",
            Part::Streams => "streams",
        };
        let mark = |end| format!("<!-- extconn-bench {subcommand}: {end} -->");
        (mark("begin"), mark("end"))
    }
}

/// The page with one generated part replaced, everything else as it is.
///
/// # Errors
/// The page has no such part.
pub fn rewrite(page: &str, part: Part, text: &str) -> Result<String> {
    let (begin_mark, end_mark) = part.marks();
    let (Some(begin), Some(end)) = (page.find(&begin_mark), page.find(&end_mark)) else {
        bail!("there is no part between {begin_mark:?} and {end_mark:?}");
    };
    if end < begin {
        bail!("{end_mark:?} comes before {begin_mark:?}");
    }
    let (before, after) = (&page[..begin], &page[end..]);
    Ok(format!("{before}{begin_mark}\n\n{text}\n{after}"))
}

/// What a run says, as a page shows it.
pub fn figures(report: &Report) -> String {
    let machine = &report.machine;
    let noise = &report.noise;
    format!(
        "{}\n\
         {} GiB of memory, kernel {}, {}. The run took {:.0} s; the hypervisor took {:.2} % of \
         the processors' time, other programs and the kernel's own work {:.1} %.\n\n\
         ### Goals\n\n{}\n\
         ### Figures\n\n\
         Medians with the least and the greatest sample; ratios of medians with their 95 % \
         bootstrap interval.\n\n{}",
        machine.processors,
        machine.memory_gib,
        machine.kernel,
        machine.openssh,
        report.seconds,
        noise.stolen * 100.0,
        noise.foreign * 100.0,
        table::goals(report, Style::Page),
        table::figures(report, Style::Page),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_part_changes() {
        let (begin, end) = Part::Streams.marks();
        let page = format!("# Benchmarks\n\n{begin}\nold\n{end}\n\nThe end.\n");
        let rewritten = rewrite(&page, Part::Streams, "| a |\n").unwrap();
        assert!(rewritten.starts_with("# Benchmarks\n\n"));
        assert!(rewritten.ends_with(&format!("{end}\n\nThe end.\n")));
        assert!(!rewritten.contains("old") && rewritten.contains("| a |"));
        let again = rewrite(&rewritten, Part::Streams, "| a |\n").unwrap();
        assert_eq!(again, rewritten);
    }

    #[test]
    fn a_page_without_the_marks_is_left_alone() {
        let (begin, end) = Part::Figures.marks();
        rewrite("# Benchmarks\n", Part::Figures, "").unwrap_err();
        rewrite(&format!("{end}\n{begin}\n"), Part::Figures, "").unwrap_err();
        rewrite(&format!("{begin}\n{end}\n"), Part::Streams, "").unwrap_err();
    }
}
