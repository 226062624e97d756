//! Pure: what `kubectl extconn version` answers.

use std::collections::BTreeMap;

use extconn_api::names;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use serde::Serialize;

/// Label that Deployments of ours carry.
const COMPONENT: &str = "app.kubernetes.io/component";

/// Versions of the parts that take part in an installation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Versions {
    /// This plugin.
    client: Build,
    /// Versions of what takes part beside this plugin, by component: image tags of what runs in
    /// the cluster, and what gateways say. One entry for each version in use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cluster: BTreeMap<String, Vec<String>>,
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

impl Versions {
    /// The plugin's own version and nothing else.
    pub(crate) fn of_the_client() -> Self {
        Self {
            client: Build {
                version: format!("v{}", env!("CARGO_PKG_VERSION")),
                platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            },
            cluster: BTreeMap::new(),
        }
    }

    /// Adds the versions that gateways write on the Leases that they renew.
    pub(crate) fn add_gateways(&mut self, leases: &[Lease]) {
        let told = leases.iter().filter_map(|lease| {
            let annotations = lease.metadata.annotations.as_ref()?;
            annotations.get(names::ANNOTATION_VERSION)
        });
        for version in told {
            self.add("gateway", format!("v{version}"));
        }
    }

    fn add(&mut self, component: &str, version: String) {
        let versions = self.cluster.entry(component.to_owned()).or_default();
        if !versions.contains(&version) {
            versions.push(version);
            versions.sort();
        }
    }

    /// Adds the versions of the images that `deployments` run.
    pub(crate) fn add_deployments(&mut self, deployments: &[Deployment]) {
        for deployment in deployments {
            let labels = deployment.metadata.labels.as_ref();
            let component = labels.and_then(|labels| labels.get(COMPONENT)).cloned();
            let component = component.unwrap_or_else(|| "forwarder".to_owned());
            let template = deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.template.spec.as_ref());
            for container in template.iter().flat_map(|pod| &pod.containers) {
                let tag = version_of(container.image.as_deref().unwrap_or_default());
                self.add(&component, tag);
            }
        }
    }

    /// One sentence for each component whose minor version is not the client's.
    pub(crate) fn skew(&self) -> Vec<String> {
        let client = minor(&self.client.version);
        let all = self
            .cluster
            .iter()
            .flat_map(|(component, tags)| tags.iter().map(move |tag| (component, tag)));
        all.filter(|(_, tag)| minor(tag).is_some() && minor(tag) != client)
            .map(|(component, tag)| {
                format!(
                    "the {component} is {tag}, this plugin is {}: upgrade the older one",
                    self.client.version
                )
            })
            .collect()
    }

    /// For people, with a final newline.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "Client version: {} ({})\n",
            self.client.version, self.client.platform
        );
        for (component, tags) in &self.cluster {
            let mut name = component.clone();
            name[..1].make_ascii_uppercase();
            text.push_str(&format!("{name} version: {}\n", tags.join(", ")));
        }
        text
    }
}

/// `v` and the tag of an image reference; the whole reference if it has none.
fn version_of(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        Some((_, tag)) if !image.contains('@') => format!("v{}", tag.trim_start_matches('v')),
        _ => image.to_owned(),
    }
}

/// Major and minor of `v1.2.3`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v')?.splitn(3, '.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(component: &str, image: &str) -> Deployment {
        serde_json::from_value(serde_json::json!({
            "metadata": {"labels": {COMPONENT: component}},
            "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "c", "image": image}]}}}
        }))
        .unwrap()
    }

    #[test]
    fn each_tag_in_use_is_listed_once() {
        let mut versions = Versions::of_the_client();
        let image = "localhost/extconn-forwarder:9.1.0";
        versions.add_deployments(&[
            deployment("forwarder", image),
            deployment("forwarder", image),
        ]);
        assert!(
            versions.text().ends_with("Forwarder version: v9.1.0\n"),
            "{}",
            versions.text()
        );
        assert_eq!(versions.skew().len(), 1, "{:?}", versions.skew());
    }

    #[test]
    fn gateways_are_compared_by_what_they_write_on_their_leases() {
        let lease = serde_json::json!({
            "metadata": {"annotations": {names::ANNOTATION_VERSION: "9.2.0"}}
        });
        let mut versions = Versions::of_the_client();
        versions.add_gateways(&[serde_json::from_value(lease).unwrap(), Lease::default()]);
        assert!(versions.text().ends_with("Gateway version: v9.2.0\n"));
        assert_eq!(versions.skew().len(), 1, "{:?}", versions.skew());
    }

    #[test]
    fn an_image_by_digest_is_shown_whole() {
        let image = "registry:5000/extconn-operator@sha256:0123";
        assert_eq!(version_of(image), image);
        assert_eq!(
            version_of("registry:5000/extconn-operator"),
            "registry:5000/extconn-operator"
        );
    }

    #[test]
    fn the_client_alone_is_one_line() {
        let text = Versions::of_the_client().text();
        assert!(text.starts_with("Client version: v"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
