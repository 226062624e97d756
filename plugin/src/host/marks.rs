//! Pure: tells what a script on a host prints from what the login's shell prints around it, such
//! as a greeting in `~/.bashrc`.

use crate::program::Said;

/// Lines of their own, which nobody prints by chance.
const BEGIN: &str = "extconn-script-begins";
const END: &str = "extconn-script-ends";

/// The script between marks on its standard output, and after one on its standard error.
pub(crate) fn around(script: &str) -> String {
    format!(
        "printf '\\n%s\\n' {BEGIN}; printf '\\n%s\\n' {BEGIN} >&2; (\n{script}\n); \
         status=$?; printf '\\n%s\\n' {END}; exit $status"
    )
}

/// What stands between the marks, byte for byte; all after the first one if the script broke off.
///
/// # Errors
/// No script was run: what was said instead.
pub(crate) fn within(said: Said) -> Result<Said, Said> {
    let Some(from) = after_begin(&said.stdout) else {
        return Err(said);
    };
    let to = from.rfind(&format!("\n{END}\n")).unwrap_or(from.len());
    let stdout = from[..to].to_owned();
    let stderr = format!("\n{}\n", said.stderr);
    let stderr = after_begin(&stderr).unwrap_or(&stderr).trim().to_owned();
    Ok(Said {
        status: said.status,
        stdout,
        stderr,
    })
}

fn after_begin(text: &str) -> Option<&str> {
    text.split_once(&format!("\n{BEGIN}\n"))
        .map(|(_, after)| after)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a shell says that is noisy before and after.
    fn noisy(script: &str) -> Said {
        let line =
            format!("printf 1000; echo hm >&2; sh -c \"$1\"; s=$?; echo bye; exit $s # {BEGIN}");
        let around = around(script);
        let output = Command::new("sh")
            .args(["-c", &line, "sh", &around])
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr).trim().to_owned(),
        }
    }

    fn check(script: &str, status: i32, stdout: &str, stderr: &str) {
        let said = within(noisy(script)).unwrap();
        let expect = Said {
            status: Some(status),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        };
        assert_eq!(said, expect);
    }

    #[test]
    fn a_script_is_read_byte_for_byte_with_its_status() {
        check("printf a", 0, "a", "");
        check("echo a; echo; echo b", 0, "a\n\nb\n", "");
        check("echo no >&2; exit 3 # why", 3, "", "no");
    }

    #[test]
    fn what_runs_no_script_is_given_back() {
        let login = Said {
            status: Some(142),
            stdout: "Please login as the user debian\n".into(),
            stderr: String::new(),
        };
        assert_eq!(within(login.clone()), Err(login));
    }
}
