//! Pure: candidates in the form that kubectl understands, which is cobra's.

use clap_complete::engine::CompletionCandidate;

/// Tells the shell to offer no files beside the candidates.
const NO_FILES: &str = ":4";

/// One line for each candidate, its help behind a tab, and the directive at the end.
pub(crate) fn cobra(candidates: Vec<CompletionCandidate>) -> String {
    let mut text = String::new();
    for candidate in candidates
        .iter()
        .filter(|candidate| !candidate.is_hide_set())
    {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let help = help.lines().next().unwrap_or_default().trim();
        text.push_str(&value);
        if !help.is_empty() {
            text.push('\t');
            text.push_str(help);
        }
        text.push('\n');
    }
    text.push_str(NO_FILES);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_candidate_is_a_line_with_its_help() {
        let candidates = vec![
            CompletionCandidate::new("status").help(Some("Show it\nin more words".into())),
            CompletionCandidate::new("secret").hide(true),
            CompletionCandidate::new("ns1"),
        ];
        assert_eq!(cobra(candidates), "status\tShow it\nns1\n:4\n");
    }
}
