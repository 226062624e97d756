//! `docs/checks.md` is made of the checks themselves.

use super::When;
use super::checks::ALL;

fn page() -> String {
    let mut page = "# Checks\n\n\
        `kubectl extconn check` looks at these, in this order; `--only` and `--skip` take a check or a\n\
        group. A failure makes the exit status 1, a warning does not. Made from the checks\n\
        themselves: `make generate` writes this page.\n"
        .to_owned();
    let mut group = "";
    for check in ALL {
        if check.group != group {
            group = check.group;
            page.push_str(&format!("\n## {group}\n"));
        }
        let when = match check.when {
            When::Always => "",
            When::Before => " Only with `--pre`.",
            When::After => " Not with `--pre`.",
        };
        page.push_str(&format!(
            "\n### {}\n\n{}{when}\n\nIf it fails: {}.\n",
            check.name, check.why, check.hint
        ));
    }
    page
}

#[test]
fn the_page_on_checks_says_what_the_checks_say() {
    crate::derived::compare("docs/checks.md", &page());
}
