//! The version that is upgraded from.
//!
//! With `EXTCONN_BEFORE=FOLDER` it is a real one: the folder holds its chart/, extconn-operator and
//! extconn-forwarder. Without, nothing is built: it is this one in other clothes. Its images go by
//! another tag, its chart calls itself 0.0.1, and its ExternalServices have no `bidirectional`. An
//! upgrade from it proves that Helm replaces definitions, operator and forwarders, and that traffic
//! lives through it, and a rollback the same of the way back. That this version reads what an older
//! program wrote, only the real one proves.

use std::fs;
use std::path::{Path, PathBuf};

use extconn_lab::images;
use extconn_lab::installation::tree;
use serde_json::Value;
use tempfile::TempDir;

/// Tag of its images.
pub const TAG: &str = "before";

/// A field that its ExternalServices lack, if it is not a real one.
const NEW_FIELD: &str = "bidirectional";

/// Its chart, and the values for it.
pub struct Before {
    pub chart: PathBuf,
    pub values: Vec<String>,
    /// Whether [`NEW_FIELD`] tells the two apart.
    pub lacks_field: bool,
    _folder: TempDir,
}

/// Makes it, with the values of the present installation.
pub fn before(file: &Path, present: &Value) -> Before {
    let folder = tempfile::tempdir().unwrap();
    let mut values = vec![format!("--values={}", file.display())];
    let given = std::env::var_os("EXTCONN_BEFORE").map(PathBuf::from);
    for component in ["operator", "forwarder"] {
        let program = format!("extconn-{component}");
        let name = format!("localhost/{program}:{TAG}");
        match &given {
            Some(given) => load(&name, component, &given.join(&program), folder.path()),
            None => {
                let tag = present[component]["image"]["tag"].as_str().unwrap();
                images::tag(&format!("localhost/{program}:{tag}"), &name).unwrap();
            }
        }
        values.push(format!("--set={component}.image.tag={TAG}"));
    }
    Before {
        lacks_field: given.is_none(),
        chart: match given {
            Some(given) => given.join("chart"),
            None => disguised(folder.path()),
        },
        values,
        _folder: folder,
    }
}

fn load(name: &str, component: &str, program: &Path, folder: &Path) {
    let context = folder.join(component);
    fs::create_dir(&context).unwrap();
    fs::copy(program, context.join(program.file_name().unwrap())).unwrap();
    let dockerfile = tree().join(component).join("Dockerfile");
    images::load(&images::build(name, &dockerfile, &context).unwrap()).unwrap();
}

/// This chart as an older one.
fn disguised(folder: &Path) -> PathBuf {
    let chart = folder.join("chart");
    copy(&tree().join("chart"), &chart);
    change(&chart.join("Chart.yaml"), |chart| {
        chart["version"] = "0.0.1".into()
    });
    let definition = "files/crds/externalservices.submariner.io.yaml";
    change(&chart.join(definition), |definition| {
        let version = &mut definition["spec"]["versions"][0];
        let schema = &mut version["schema"]["openAPIV3Schema"];
        let fields = schema["properties"]["spec"]["properties"].as_object_mut();
        fields
            .unwrap()
            .remove(NEW_FIELD)
            .expect("the field is there");
    });
    chart
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn change(file: &Path, how: impl FnOnce(&mut Value)) {
    let mut document = serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    how(&mut document);
    fs::write(file, serde_yaml::to_string(&document).unwrap()).unwrap();
}

/// Path, for kubectl, of what tells whether the API server knows the field.
pub fn field_path() -> String {
    let spec = ".spec.versions[0].schema.openAPIV3Schema.properties.spec.properties";
    format!("-o=jsonpath={{{spec}.{NEW_FIELD}.type}}")
}
