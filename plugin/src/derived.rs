//! Files that are made from the code, compared with what is in the tree.

use std::path::Path;

/// Compares a file of the source tree with what it should be; `UPDATE_EXPECT=1` writes it.
pub(crate) fn compare(path: &str, expect: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, expect).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = found
        .lines()
        .zip(expect.lines())
        .position(|(found, expect)| found != expect);
    let at = differs.unwrap_or_else(|| found.lines().count().min(expect.lines().count()));
    assert!(
        found == expect,
        "{path} is out of date from line {}: run `make generate`",
        at + 1
    );
}
