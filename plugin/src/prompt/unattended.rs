//! Pure: answers where nobody can be asked: the defaults, and otherwise the flag to give.

use super::{Choice, Line, Prompter};
use crate::failure::Failure;

/// No terminal, or `--yes`.
pub(crate) struct Unattended {
    /// Whether `--yes` was given.
    pub yes: bool,
}

impl Unattended {
    fn missing(&self, question: &str, flag: &str) -> Failure {
        let why = if self.yes {
            "--yes asks nothing"
        } else {
            "there is no terminal to ask on"
        };
        Failure::usage(format!("{flag} is missing ({question}), and {why}"))
            .next(format!("give {flag}"))
    }
}

impl Prompter for Unattended {
    fn line(&self, line: &Line<'_>) -> Result<String, Failure> {
        let answer = line
            .default
            .clone()
            .ok_or_else(|| self.missing(line.question, line.flag))?;
        (line.check)(&answer).map_err(|wrong| Failure::usage(format!("{}: {wrong}", line.flag)))?;
        Ok(answer)
    }

    fn choose(&self, choice: &Choice<'_>) -> Result<usize, Failure> {
        Err(self.missing(choice.question, choice.flag))
    }

    fn agree(&self, question: &str) -> Result<bool, Failure> {
        if self.yes {
            Ok(true)
        } else {
            Err(self.missing(question, "--yes"))
        }
    }

    fn is_interactive(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_answer_names_its_flag_and_is_wrong_usage() {
        let line = Line {
            question: "Target",
            flag: "--target",
            default: None,
            check: &|_| Ok(()),
        };
        for yes in [true, false] {
            let failure = Unattended { yes }.line(&line).unwrap_err();
            assert_eq!(failure.status(), 2);
            assert!(failure.message().contains("--target"), "{failure:?}");
        }
    }

    #[test]
    fn only_yes_agrees() {
        assert_eq!(Unattended { yes: true }.agree("Apply?"), Ok(true));
        let failure = Unattended { yes: false }.agree("Apply?").unwrap_err();
        assert!(failure.message().contains("--yes"), "{failure:?}");
    }

    #[test]
    fn a_default_that_is_wrong_is_not_taken() {
        let check = |_: &str| Err("no".to_owned());
        let line = Line {
            question: "Q",
            flag: "--q",
            default: Some("x".into()),
            check: &check,
        };
        assert_eq!(
            Unattended { yes: true }.line(&line).unwrap_err().status(),
            2
        );
    }
}
