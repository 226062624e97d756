//! Files that only the gateway reads: written as a whole or not at all, and private.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}: {reason}", path = path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    reason: String,
}

impl FileError {
    fn new(action: &'static str, path: &Path, reason: impl ToString) -> Self {
        Self {
            action,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// The text of a file; `None` if there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FileError::new("read", path, e)),
    }
}

/// Puts a file with mode 0600 in place of the old one. After a crash there is the one or the
/// other, never a part.
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let written = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // It has mode 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    written().map_err(|e: io::Error| FileError::new("write", path, e))
}

/// Reads what [`write_json`] wrote; `None` if there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let parse = |text: String| {
        serde_json::from_str(&text).map_err(|e| FileError::new("understand", path, e))
    };
    read(path)?.map(parse).transpose()
}

/// Writes a value that [`read_json`] reads.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let json = serde_json::to_vec(value).map_err(|e| FileError::new("write", path, e))?;
    write(path, &json)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_stays_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, b"first and long").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("second"));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_file_is_no_error_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last-good.json");
        assert!(read_json::<Vec<u8>>(&path).unwrap().is_none());
        write(&path, b"[1, 2").unwrap();
        let error = read_json::<Vec<u8>>(&path).unwrap_err().to_string();
        assert!(
            error.contains("understand") && error.contains("last-good.json"),
            "{error}"
        );
    }
}
