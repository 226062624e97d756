//! Pure: a report as tables, for a terminal or for a page.

use crate::contender::Contender;
use crate::goals::Met;
use crate::metric::{Metric, Unit};
use crate::report::{Figure, Report};
use crate::stats::Estimate;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Columns of equal width.
    Terminal,
    /// Markdown.
    Page,
}

/// Where nothing was measured.
const NOTHING: &str = "–";

/// Medians with their least and greatest, and ratios with their intervals.
pub fn figures(report: &Report, style: Style) -> String {
    let mut header = vec!["metric".to_owned()];
    header.extend(Contender::ALL.map(|contender| contender.to_string()));
    header.extend(["ours : routed", "ours : plain", "ours : OpenSSH"].map(str::to_owned));
    let mut rows = vec![header];
    rows.extend(report.figures.iter().map(figure));
    table(&rows, style)
}

fn figure(figure: &Figure) -> Vec<String> {
    let mut row = vec![figure.metric.title().to_owned()];
    row.extend(figure.values.map(|value| spread(figure.metric, value)));
    // Nobody's failures are a ratio.
    let is_count = figure.metric.unit() == Unit::Count;
    for ratio in [figure.to_routed, figure.to_plain, figure.to_openssh] {
        row.push(
            ratio
                .filter(|_| !is_count)
                .map_or(NOTHING.to_owned(), interval),
        );
    }
    row
}

/// One metric, for whoever watches a run.
pub fn one_line(figure: &Figure) -> String {
    let values = Contender::ALL.iter().zip(figure.values);
    let measured = values.filter_map(|(contender, value)| {
        let value = spread(figure.metric, Some(value?));
        Some(format!("{contender} {value}"))
    });
    let measured: Vec<String> = measured.collect();
    format!("  {}: {}", figure.metric.title(), measured.join(", "))
}

/// Goals, what was measured, whether they are met.
pub fn goals(report: &Report, style: Style) -> String {
    let mut rows = vec![
        ["", "goal", "measured", "met", "line"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(report.goals.iter().map(|verdict| {
        let met = match verdict.met {
            Met::Yes => "yes",
            Met::No => "**no**",
            Met::NotMeasured => NOTHING,
        };
        let line = match style {
            Style::Page => format!("`{}`", verdict.line),
            Style::Terminal => verdict.line.to_owned(),
        };
        let plain = |text: &str| match style {
            Style::Page => text.to_owned(),
            Style::Terminal => text.replace('*', ""),
        };
        vec![
            verdict.about.to_owned(),
            verdict.wanted.to_owned(),
            if verdict.measured.is_empty() {
                NOTHING.to_owned()
            } else {
                verdict.measured.clone()
            },
            plain(met),
            line,
        ]
    }));
    table(&rows, style)
}

fn spread(metric: Metric, value: Option<Estimate>) -> String {
    let Some(Estimate { value, low, high }) = value else {
        return NOTHING.to_owned();
    };
    let show = |value| metric.unit().show(value);
    if low == high {
        return show(value);
    }
    let (value, low, high) = (show(value), show(low), show(high));
    // With its space: a metre would else be left of a millisecond.
    let unit = &value[value.find(' ').unwrap_or(value.len())..];
    let number = |text: &str| text.strip_suffix(unit).unwrap_or(text).to_owned();
    format!("{value} ({}–{})", number(&low), number(&high))
}

fn interval(ratio: Estimate) -> String {
    let Estimate { value, low, high } = ratio;
    format!("{value:.2} ({low:.2}–{high:.2})")
}

/// Rows of equal length as a table; the first is the header.
pub fn table(rows: &[Vec<String>], style: Style) -> String {
    match style {
        Style::Terminal => columns(rows),
        Style::Page => markdown(rows),
    }
}

fn columns(rows: &[Vec<String>]) -> String {
    let length = |cell: &String| cell.chars().count();
    let widest = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(length)
            .max()
    };
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widest(column).unwrap_or_default();
            format!("{cell}{}", " ".repeat(width - length(cell)))
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if number == 0 {
            text.push_str(&format!("|{}\n", "---|".repeat(row.len())));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Results;

    fn report() -> Report {
        let mut results = Results::default();
        for (ours, plain) in [(8e9, 10e9), (8.2e9, 10e9)] {
            results.add(Metric::BulkOneToServer, Contender::Ours, ours);
            results.add(Metric::BulkOneToServer, Contender::Plain, plain);
        }
        Report::new(&results, Default::default(), Default::default(), 1.0)
    }

    #[test]
    fn columns_begin_below_each_other() {
        let text = figures(&report(), Style::Terminal);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let column = |line: &str, cell: &str| line.find(cell).map(|at| line[..at].chars().count());
        assert_eq!(column(lines[0], "plain"), column(lines[1], "10.0 Gbit/s"));
        assert!(lines[1].contains("8.10 Gbit/s (8.00–8.20)"), "{text}");
        assert!(lines[1].contains("0.81 (0.80–0.82)"), "{text}");
    }

    #[test]
    fn a_page_has_a_row_for_each_goal() {
        let text = goals(&report(), Style::Page);
        assert_eq!(text.lines().count(), 2 + crate::goals::ALL.len());
        assert!(text.starts_with("|  | goal | measured | met | line |\n|---|---|---|---|---|\n"));
    }
}
