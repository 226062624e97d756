//! Pure: text in the width of a terminal.

use console::measure_text_width;

/// `text` broken between words so that no line is wider than `width`; following lines begin with
/// `indent`. A word that is too long keeps its line. Without a width, the text as it is.
pub(crate) fn wrap(text: &str, width: Option<usize>, indent: &str) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    let lines: Vec<String> = text
        .lines()
        .map(|line| wrap_line(line, width, indent))
        .collect();
    lines.join("\n")
}

fn wrap_line(line: &str, width: usize, indent: &str) -> String {
    if measure_text_width(line) <= width {
        return line.to_owned();
    }
    let lead: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut out = lead.clone();
    let mut used = lead.len();
    let mut first = true;
    for word in line.split_whitespace() {
        let wide = measure_text_width(word);
        if first {
            out.push_str(word);
            used += wide;
            first = false;
        } else if used + 1 + wide <= width {
            out.push(' ');
            out.push_str(word);
            used += 1 + wide;
        } else {
            out.push('\n');
            out.push_str(&lead);
            out.push_str(indent);
            out.push_str(word);
            used = lead.len() + measure_text_width(indent) + wide;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_within_the_width_and_their_indent() {
        let text = "  the gateway at 192.0.2.1 does not answer on port 2022";
        let wrapped = wrap(text, Some(24), "  ");
        for line in wrapped.lines() {
            assert!(line.len() <= 24, "{line:?}");
            assert!(line.starts_with("  "), "{line:?}");
        }
        assert_eq!(
            wrapped.split_whitespace().count(),
            text.split_whitespace().count()
        );
    }

    #[test]
    fn colours_take_no_room() {
        let text = "\x1b[31merror:\x1b[0m abc def";
        assert_eq!(wrap(text, Some(14), ""), text);
    }

    #[test]
    fn a_pipe_has_no_width() {
        let text = "word ".repeat(100);
        assert_eq!(wrap(&text, None, ""), text);
    }
}
