//! Pure: which contender keeps which promise.

use serde::Serialize;

use super::CONTENDERS;

/// A promise and how each contender of [`CONTENDERS`] kept it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What must hold.
    pub promise: &'static str,
    /// In the contenders' order.
    pub outcomes: [Outcome; CONTENDERS.len()],
}

/// Whether a promise was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was.
    Holds,
    /// It was not, and how.
    Broken(String),
}

/// Rows for a table, the header first.
pub fn rows(rows: &[Row]) -> Vec<Vec<String>> {
    let mut header = vec!["promise".to_owned()];
    header.extend(CONTENDERS.map(|contender| contender.to_string()));
    let mut table = vec![header];
    table.extend(rows.iter().map(|row| {
        let mut cells = vec![row.promise.to_owned()];
        cells.extend(row.outcomes.iter().map(|outcome| match outcome {
            Outcome::Holds => "holds".to_owned(),
            Outcome::Broken(how) => format!("broken: {}", how.replace('|', "/")),
        }));
        cells
    }));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_says_how() {
        let row = Row {
            promise: "a reset is a reset",
            outcomes: [
                Outcome::Holds,
                Outcome::Broken("a | b".to_owned()),
                Outcome::Holds,
            ],
        };
        let table = rows(&[row]);
        assert_eq!(table[0], ["promise", "plain", "OpenSSH", "ours"]);
        assert_eq!(
            table[1],
            ["a reset is a reset", "holds", "broken: a / b", "holds"]
        );
    }
}
