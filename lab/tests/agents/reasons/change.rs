//! Something that is changed for a while.

use extconn_lab::walkthrough::ask;

use crate::world::on_gateway;

/// Is taken back when this ends, whatever happens.
pub struct Change {
    back: Option<Box<dyn FnOnce()>>,
}

impl Change {
    /// What `there` did is undone by `back`.
    pub fn new(there: impl FnOnce(), back: impl FnOnce() + 'static) -> Self {
        let change = Self {
            back: Some(Box::new(back)),
        };
        there();
        change
    }

    /// Two shell lines on the gateway host.
    pub fn on_gateway(there: &str, back: &str) -> Self {
        let back = back.to_owned();
        Self::new(|| drop(on_gateway(there)), move || drop(on_gateway(&back)))
    }

    /// A host file of the gateway in the place of its own.
    pub fn of_host_file(host: &serde_json::Value) -> Self {
        let (file, kept) = (
            "/etc/extconn/gateway.yaml",
            "/etc/extconn/gateway.yaml.kept",
        );
        let restart = "systemctl restart extconn-gateway";
        Self::on_gateway(
            &format!(
                "set -e; cp --preserve {file} {kept}; cat >{file} <<'HOST'\n{host}\nHOST\n{restart}"
            ),
            &format!("mv {kept} {file} && {restart}"),
        )
    }

    /// An object that is in the cluster meanwhile.
    pub fn of_objects(objects: serde_json::Value) -> Self {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let list = list.to_string();
        let given = list.clone();
        Self::new(
            move || drop(ask::cluster_ok(&["apply", "-f", "-"], &given).unwrap()),
            move || drop(ask::cluster_ok(&["delete", "-f", "-"], &list).unwrap()),
        )
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            back();
        }
    }
}
