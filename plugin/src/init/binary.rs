//! Finds the gateway program that goes to a gateway host: beside this plugin, as the archives
//! hold it.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The gateway program for `architecture` (`amd64`, `arm64`).
///
/// # Errors
/// There is none, or it is for another architecture.
pub(crate) fn read(named: Option<&Path>, architecture: &str) -> Result<Vec<u8>, Failure> {
    let candidates = match named {
        Some(path) => vec![path.to_owned()],
        None => beside_this_program(architecture),
    };
    for path in &candidates {
        match std::fs::read(path) {
            Ok(content) => return checked(path, content, architecture),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::could_not_run(format!(
                    "failed to read {}: {error}",
                    path.display()
                )));
            }
        }
    }
    let looked: Vec<String> = candidates
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Err(Failure::could_not_run(format!(
        "there is no gateway program for {architecture}: looked for {}",
        looked.join(" and ")
    ))
    .next("unpack the release archive as a whole, or name the program with --gateway-binary"))
}

fn beside_this_program(architecture: &str) -> Vec<PathBuf> {
    // krew links to the program; what belongs to it lies where the link leads.
    let program = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    vec![
        folder.join(format!("extconn-gateway-linux-{architecture}")),
        folder.join("extconn-gateway"),
    ]
}

fn checked(path: &Path, content: Vec<u8>, architecture: &str) -> Result<Vec<u8>, Failure> {
    let found = elf_architecture(&content);
    if found == Some(architecture) {
        return Ok(content);
    }
    let found = found.unwrap_or("something else than Linux on amd64 or arm64");
    Err(Failure::could_not_run(format!(
        "{} is for {found}, and the host needs {architecture}",
        path.display()
    ))
    .next("name the right program with --gateway-binary"))
}

/// Architecture of a 64-bit little-endian ELF program, from its header's `e_machine`.
fn elf_architecture(content: &[u8]) -> Option<&'static str> {
    let header = content.get(..20)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    match u16::from_le_bytes([header[18], header[19]]) {
        62 => Some("amd64"),
        183 => Some("arm64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_another_architecture_is_refused() {
        let mut header = b"\x7fELF\x02\x01".to_vec();
        header.resize(20, 0);
        header[18] = 183;
        assert_eq!(elf_architecture(&header), Some("arm64"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("extconn-gateway");
        std::fs::write(&path, &header).unwrap();
        assert!(read(Some(&path), "arm64").is_ok());
        let failure = read(Some(&path), "amd64").unwrap_err();
        assert!(failure.message().contains("is for arm64"), "{failure:?}");
        std::fs::write(&path, "#!/bin/sh").unwrap();
        assert!(
            read(Some(&path), "amd64")
                .unwrap_err()
                .message()
                .contains("something else")
        );
    }

    #[test]
    fn a_missing_program_names_where_it_was_looked_for() {
        let failure = read(Some(Path::new("/nonexistent/x")), "amd64").unwrap_err();
        assert!(failure.message().contains("/nonexistent/x"), "{failure:?}");
    }
}
