//! Pure: what `kubectl extconn version` answers.

use serde::Serialize;

use crate::Output;

/// Versions of the parts that take part in an installation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Versions {
    /// This plugin.
    client: Build,
}

/// One part's build.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    /// Semantic version with a leading `v`.
    version: String,
    /// Operating system and architecture, `linux/x86_64`.
    platform: String,
}

/// The plugin's own version.
pub(crate) fn client() -> Versions {
    Versions {
        client: Build {
            version: format!("v{}", env!("CARGO_PKG_VERSION")),
            platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        },
    }
}

/// The answer in the form asked for, with a final newline.
pub(crate) fn render(versions: &Versions, output: Output) -> String {
    match output {
        Output::Text => {
            format!(
                "Client version: {} ({})\n",
                versions.client.version, versions.client.platform
            )
        }
        Output::Json => {
            let mut text = serde_json::to_string_pretty(versions).expect("strings serialise");
            text.push('\n');
            text
        }
        Output::Yaml => serde_yaml::to_string(versions).expect("strings serialise"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_in(output: Output) -> String {
        let text = render(&client(), output);
        assert!(text.ends_with('\n'), "{text:?} lacks its final newline");
        let value: serde_json::Value = match output {
            Output::Json => serde_json::from_str(&text).unwrap(),
            _ => serde_yaml::from_str(&text).unwrap(),
        };
        value["client"]["version"].as_str().unwrap().to_owned()
    }

    #[test]
    fn json_and_yaml_carry_the_version_of_the_package() {
        let expect = format!("v{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(version_in(Output::Json), expect);
        assert_eq!(version_in(Output::Yaml), expect);
    }

    #[test]
    fn text_is_one_line_for_people() {
        let text = render(&client(), Output::Text);
        assert!(text.starts_with("Client version: v"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
