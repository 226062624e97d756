//! Pure: what was proven, for people.

use super::hop::{Hop, Outcome, PathReport, TestReport};
use crate::terminal::style::{Mood, Style};
use crate::terminal::wrap;

/// Every hop under what it belongs to, and a verdict for each ExternalService.
pub(crate) fn table(report: &TestReport, style: Style) -> String {
    let mut text = String::new();
    for path in &report.paths {
        for stretch in &path.stretches {
            text.push_str(&format!("{}\n", style.strong(&stretch.title)));
            for hop in &stretch.hops {
                text.push_str(&wrap::wrap(&line(hop, style), style.width, "    "));
                text.push('\n');
                if let Some(next) = hop.next.as_ref().filter(|_| hop.outcome != Outcome::Proven) {
                    text.push_str(&wrap::wrap(
                        &format!("      {} {next}", style.strong("next:")),
                        style.width,
                        "  ",
                    ));
                    text.push('\n');
                }
            }
        }
        text.push_str(&format!(
            "\n{}\n",
            wrap::wrap(&verdict(path, style), style.width, "  ")
        ));
    }
    text
}

fn line(hop: &Hop, style: Style) -> String {
    let (sign, word) = match hop.outcome {
        Outcome::Proven => (style.sign(Mood::Good), ""),
        Outcome::Failed => (style.sign(Mood::Bad), ""),
        Outcome::NotProven => (style.sign(Mood::Unsure), "not proven: "),
        Outcome::NotTried => (style.faint("-"), "not tried: "),
        Outcome::NotAsked => (style.faint("-"), "not asked: "),
    };
    let of = if hop.of.is_empty() {
        String::new()
    } else {
        format!(" {}", hop.of)
    };
    format!("  {sign} {}{of}: {word}{}", hop.name, hop.message)
}

fn verdict(path: &PathReport, style: Style) -> String {
    let name = &path.external_service;
    if path.success {
        let count = path.count(Outcome::Proven);
        return format!(
            "{} {name}: proven, {count} of {count} hops",
            style.sign(Mood::Good)
        );
    }
    let culprit = path.culprit().map_or(String::new(), |hop| {
        format!(": {}: {}", hop.name, hop.message)
    });
    if path.count(Outcome::Failed) > 0 {
        format!("{} {name} does not work{culprit}", style.sign(Mood::Bad))
    } else {
        format!("{} {name} is not proven{culprit}", style.sign(Mood::Unsure))
    }
}

/// For programs that collect test results: one test case for each hop.
pub(crate) fn junit(report: &TestReport) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kubectl extconn test\">\n"
            .to_owned();
    for path in &report.paths {
        let all: usize = path
            .stretches
            .iter()
            .map(|stretch| stretch.hops.len())
            .sum();
        let failures = path.count(Outcome::Failed) + path.count(Outcome::NotProven);
        let skipped = path.count(Outcome::NotTried) + path.count(Outcome::NotAsked);
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{all}\" failures=\"{failures}\" skipped=\"{skipped}\">\n",
            escaped(&path.external_service)
        ));
        for stretch in &path.stretches {
            for hop in &stretch.hops {
                let name = format!("{} {}", hop.name, hop.of);
                text.push_str(&format!(
                    "    <testcase classname=\"{}\" name=\"{}\">",
                    escaped(&stretch.title),
                    escaped(name.trim())
                ));
                let message = escaped(&hop.message);
                text.push_str(&match hop.outcome {
                    Outcome::Proven => format!("<system-out>{message}</system-out>"),
                    Outcome::Failed => format!(
                        "<failure message=\"{message}\">{}</failure>",
                        escaped(hop.next.as_deref().unwrap_or_default())
                    ),
                    Outcome::NotProven => format!(
                        "<failure message=\"not proven: {message}\">{}</failure>",
                        escaped(hop.next.as_deref().unwrap_or_default())
                    ),
                    Outcome::NotTried | Outcome::NotAsked => {
                        format!("<skipped message=\"{message}\"/>")
                    }
                });
                text.push_str("</testcase>\n");
            }
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text that XML takes in attributes and elements; control characters have no place in it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::hop::Stretch;
    use super::*;

    fn report(hops: Vec<Hop>) -> TestReport {
        let stretch = Stretch {
            title: "ns1/db".into(),
            hops,
        };
        TestReport::new(vec![PathReport::new("ns1/db".into(), vec![stretch])])
    }

    #[test]
    fn the_verdict_names_the_hop_to_look_at() {
        let failed = report(vec![
            Hop::proven("object", "", "fine"),
            Hop::failed("target", "x:1", "it refuses", "start it"),
        ]);
        let text = table(&failed, Style::default());
        assert_eq!(
            text,
            "ns1/db\n  + object: fine\n  x target x:1: it refuses\n      next: start it\n\nx ns1/db does not work: target: it refuses\n"
        );
        let unproven = table(
            &report(vec![Hop::not_proven("target", "", "cannot ask", "upgrade")]),
            Style::default(),
        );
        assert!(
            unproven.contains("? ns1/db is not proven: target: cannot ask"),
            "{unproven}"
        );
    }

    #[test]
    fn junit_counts_what_is_not_proven_as_a_failure() {
        let xml = junit(&report(vec![
            Hop::not_proven("target", "", "a < \"b\" & c", ""),
            Hop::not_asked("x", "", "y"),
        ]));
        assert!(
            xml.contains("tests=\"2\" failures=\"1\" skipped=\"1\""),
            "{xml}"
        );
        assert!(
            xml.contains("not proven: a &lt; &quot;b&quot; &amp; c"),
            "{xml}"
        );
    }
}
