//! Pure: colours and signs, as far as an output can show them.

/// What one output can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether colours are welcome.
    pub colours: bool,
    /// Whether characters beyond ASCII are shown.
    pub unicode: bool,
    /// Columns of the terminal; `None` if the output is a file or a pipe, which has no width.
    pub width: Option<usize>,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mood {
    /// As it should be.
    Good,
    /// Not known, or not proven.
    Unsure,
    /// Not as it should be.
    Bad,
}

impl Style {
    /// The sign for `mood`: one character, coloured.
    pub(crate) fn sign(self, mood: Mood) -> String {
        match (mood, self.unicode) {
            (Mood::Good, true) => self.good("✓"),
            (Mood::Good, false) => self.good("+"),
            (Mood::Unsure, true) => self.unsure("‼"),
            (Mood::Unsure, false) => self.unsure("?"),
            (Mood::Bad, true) => self.bad("✗"),
            (Mood::Bad, false) => self.bad("x"),
        }
    }

    /// `text` in the colour of `mood`.
    pub(crate) fn in_mood(self, mood: Mood, text: &str) -> String {
        match mood {
            Mood::Good => self.good(text),
            Mood::Unsure => self.unsure(text),
            Mood::Bad => self.bad(text),
        }
    }

    /// Green.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Yellow.
    pub(crate) fn unsure(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Red.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Bold.
    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Less important.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Whether a locale such as `C.UTF-8` or `de_DE.utf8` has characters beyond ASCII.
pub(crate) fn is_utf8_locale(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_and_unicode_every_sign_is_one_ascii_character() {
        let plain = Style::default();
        for mood in [Mood::Good, Mood::Unsure, Mood::Bad] {
            let sign = plain.sign(mood);
            assert!(sign.is_ascii() && sign.len() == 1, "{sign:?}");
        }
    }

    #[test]
    fn colours_end_where_the_text_ends() {
        let style = Style {
            colours: true,
            ..Style::default()
        };
        assert_eq!(style.bad("no"), "\x1b[31mno\x1b[0m");
    }
}
