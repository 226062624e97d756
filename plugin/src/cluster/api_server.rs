//! What a gateway host must know of the API server: its address, its certificate, its time.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use kube::client::Body;

use super::{Cluster, api};
use crate::failure::Failure;

/// ConfigMap with the cluster's own certificate authority, in every namespace.
const ROOT_CA: &str = "kube-root-ca.crt";

/// The API server's clock, in seconds since 1970; `None` if its answer has no date.
///
/// # Errors
/// It does not answer.
pub(crate) async fn clock(cluster: &Cluster) -> Result<Option<i64>, Failure> {
    let request = kube::core::Request::new("/version").list(&ListParams::default());
    let request = request.map_err(|error| {
        Failure::could_not_run(format!(
            "failed to ask the API server for the time: {error}"
        ))
    })?;
    let request = request.map(Body::from);
    let answer = cluster
        .client
        .send(request)
        .await
        .map_err(api("ask the API server for the time"))?;
    let date = answer
        .headers()
        .get("date")
        .and_then(|date| date.to_str().ok());
    let parsed = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    Ok(parsed.map(|date| date.timestamp().as_second()))
}

/// PEM certificates by which to know the API server: those of the kubeconfig and the cluster's
/// own.
///
/// # Errors
/// There are none.
pub(crate) async fn certificate_authority(cluster: &Cluster) -> Result<String, Failure> {
    let mut pem = String::new();
    for der in cluster.config.root_cert.iter().flatten() {
        pem.push_str(&to_pem(der));
    }
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "kube-system");
    match config_maps.get_opt(ROOT_CA).await {
        Ok(found) => {
            let own = found
                .and_then(|found| found.data)
                .and_then(|data| data.get("ca.crt").cloned());
            for block in own.iter().flat_map(|own| blocks(own)) {
                if !pem.contains(&block) {
                    pem.push_str(&block);
                }
            }
        }
        Err(error) if super::is_forbidden(&error) => {}
        Err(error) => {
            return Err(api(format_args!("read ConfigMap kube-system/{ROOT_CA}"))(
                error,
            ));
        }
    }
    if pem.is_empty() {
        return Err(Failure::could_not_run(
            "the certificate authority of the API server is not known",
        )
        .next("name it with --certificate-authority"));
    }
    Ok(pem)
}

fn to_pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// The certificates of a PEM text in the form of [`to_pem`].
fn blocks(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let ends = pem.split_inclusive(END).filter(|block| block.contains(END));
    ends.map(|block| format!("{}\n", block.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_compared_in_one_form() {
        let one = to_pem(&[7; 100]);
        let text = format!("{one}\n{}", to_pem(&[8; 100]));
        assert_eq!(blocks(&text), [one, to_pem(&[8; 100])]);
        assert!(one_line_is_64_wide(&text));
    }

    fn one_line_is_64_wide(text: &str) -> bool {
        text.lines().all(|line| line.len() <= 64)
    }
}
