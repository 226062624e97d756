//! The CRDs in the chart are those of this crate: `UPDATE_EXPECT=1` rewrites them.

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
