//! Pure: ExternalServices in a file of YAML documents.

use extconn_api::ExternalService;
use serde::Deserialize;
use serde_json::Value;

/// An ExternalService as it is written, with what was understood of it.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// As it is written: what is sent, so that the API server can refuse misspelt fields.
    pub written: Value,
    /// What was understood.
    pub object: ExternalService,
}

/// All ExternalServices of a YAML or JSON text; those without a namespace get `namespace`.
///
/// # Errors
/// No document, one that is no ExternalService, or a field of the wrong type.
pub(crate) fn read(text: &str, namespace: &str) -> Result<Vec<Manifest>, String> {
    let documents: Vec<Value> =
        serde_yaml::from_multiple(text).map_err(|error| format!("it is no YAML: {error}"))?;
    let mut manifests = Vec::new();
    for mut written in documents.into_iter().filter(|document| !document.is_null()) {
        let kind = format!(
            "{} {}",
            word(&written["apiVersion"]),
            word(&written["kind"])
        );
        if kind != "submariner.io/v1alpha1 ExternalService" {
            return Err(format!(
                "it holds {kind}; only submariner.io/v1alpha1 ExternalService is understood"
            ));
        }
        if written["metadata"].is_object() && written["metadata"]["namespace"].is_null() {
            written["metadata"]["namespace"] = namespace.into();
        }
        let object = ExternalService::deserialize(&written).map_err(|error| {
            format!(
                "ExternalService {}: {error}",
                word(&written["metadata"]["name"])
            )
        })?;
        if object.metadata.name.is_none() {
            return Err("an ExternalService has no metadata.name".to_owned());
        }
        manifests.push(Manifest { written, object });
    }
    if manifests.is_empty() {
        Err("it holds no ExternalService".to_owned())
    } else {
        Ok(manifests)
    }
}

/// The manifest of an object.
pub(crate) fn of(object: ExternalService) -> Manifest {
    let written = serde_json::to_value(&object).expect("objects have string keys only");
    Manifest { written, object }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("without a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "
apiVersion: submariner.io/v1alpha1
kind: ExternalService
metadata: {name: db}
spec:
  targetIP: 203.0.113.7
  sources: [{service: {name: web}, sourceIP: 192.0.2.10}]
  ports: [{port: 80}]
";

    #[test]
    fn several_documents_are_read_and_get_the_namespace() {
        let text = format!(
            "---\n{ONE}---\n{}---\n",
            ONE.replace("name: db", "name: db2, namespace: other")
        );
        let manifests = read(&text, "ns1").unwrap();
        let namespaces: Vec<_> = manifests
            .iter()
            .map(|m| m.object.metadata.namespace.as_deref().unwrap())
            .collect();
        assert_eq!(namespaces, ["ns1", "other"]);
        assert_eq!(manifests[0].written["metadata"]["namespace"], "ns1");
    }

    #[test]
    fn a_misspelt_field_is_kept_for_the_api_server_to_refuse() {
        let manifests = read(&ONE.replace("ports:", "portz: 1\n  ports:"), "ns1").unwrap();
        assert_eq!(manifests[0].written["spec"]["portz"], 1);
    }

    #[test]
    fn what_is_no_external_service_is_named() {
        for (text, words) in [
            ("", "no ExternalService"),
            ("a: [", "no YAML"),
            ("apiVersion: v1\nkind: Pod\n", "v1 Pod"),
            (&*ONE.replace("name: db", "labels: {}"), "metadata.name"),
            (
                &*ONE.replace("port: 80", "port: http"),
                "ExternalService db",
            ),
        ] {
            let error = read(text, "ns1").unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
