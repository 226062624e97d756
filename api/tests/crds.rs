//! The CRDs in the chart are those of this crate: `UPDATE_EXPECT=1` rewrites them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use std::path::Path;

use kube::ResourceExt;

const HEADER: &str =
    "# Generated from api/ by `UPDATE_EXPECT=1 cargo test -p extconn-api --test crds`.\n";

#[test]
fn the_chart_holds_the_crds_of_this_crate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chart/files/crds");
    let mut expected_names = vec![];
    for crd in extconn_api::crds() {
        let file_name = format!("{}.yaml", crd.name_any());
        let text = format!("{HEADER}{}", serde_yaml::to_string(&crd).unwrap());
        let file = folder.join(&file_name);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let in_chart = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            in_chart == text,
            "{} is not what api/ says: run the tests with UPDATE_EXPECT=1 and look at the change",
            file.display()
        );
        expected_names.push(file_name);
    }
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    expected_names.sort();
    assert_eq!(names, expected_names, "files that belong to no CRD");
}

/// The fields of a schema below `path` whose description shows no example.
fn without_example(path: &str, schema: &JSONSchemaProps, found: &mut Vec<String>) {
    let properties = match (&schema.properties, &schema.items) {
        (Some(properties), _) => properties.clone(),
        (None, Some(JSONSchemaPropsOrArray::Schema(items))) => {
            items.properties.clone().unwrap_or_default()
        }
        _ => return,
    };
    for (name, field) in properties {
        let path = format!("{path}.{name}");
        let text = field.description.clone().unwrap_or_default();
        if !text.to_lowercase().contains("for example") {
            found.push(path.clone());
        }
        without_example(&path, &field, found);
    }
}

#[test]
fn every_field_that_a_user_writes_is_explained_with_an_example() {
    let crd = extconn_api::crds().remove(0);
    let schema = crd.spec.versions[0].schema.clone().unwrap();
    let schema = schema.open_api_v3_schema.unwrap();
    let spec = &schema.properties.unwrap()["spec"];
    let mut found = vec![];
    without_example("spec", spec, &mut found);
    assert!(found.is_empty(), "no example: {found:?}");
}
