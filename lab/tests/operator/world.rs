//! The API server, what the chart puts into it, and a user of it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::http::Request;
use extconn_lab::control_plane::ControlPlane;
use extconn_lab::progress::Progress;
use extconn_lab::{installation, supply};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::door::Door;

pub const CONNECTOR: &str = "external-services";

/// The ServiceAccount that the chart gives the operator.
const OPERATOR: &str = "external-services:extconn-operator";

/// Of the kinds that the chart has, those that only a cluster with nodes can carry out.
const RUNS: [&str; 2] = ["Deployment", "Job"];

pub struct World {
    pub plane: ControlPlane,
    pub client: Client,
}

impl World {
    /// A control plane with the chart's objects, but nothing that runs.
    pub async fn new() -> World {
        let plane = ControlPlane::start().unwrap();
        let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let client = Client::try_from(config.unwrap()).unwrap();
        let world = World { plane, client };
        world.install();
        world
    }

    /// Installs the chart but for what runs.
    pub fn install(&self) {
        let mut objects = Self::of_chart(&[]);
        objects.retain(|object| !RUNS.contains(&object["kind"].as_str().unwrap()));
        // Everything else needs one of these.
        let first = |object: &Value| {
            let kind = object["kind"].as_str().unwrap();
            !["Namespace", "CustomResourceDefinition"].contains(&kind)
        };
        objects.sort_by_key(first);
        self.apply(&objects);
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all"], "");
    }

    /// All that the chart makes with these arguments of Helm's.
    pub fn of_chart(args: &[&str]) -> Vec<Value> {
        let helm = supply::program(&Progress::new(), "helm").unwrap();
        let chart = installation::tree().join("chart");
        let rendered = Command::new(helm)
            .args(["template", "extconn"])
            .arg(chart)
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success(), "{said}");
        let text = String::from_utf8(rendered.stdout).unwrap();
        let documents = text.split("\n---").map(|document| {
            let document: Option<Value> = serde_yaml::from_str(document).unwrap();
            document.unwrap_or_default()
        });
        documents.filter(Value::is_object).collect()
    }

    /// A way for an operator to the API server.
    pub async fn door(&self) -> Door {
        Door::open(self.client.clone(), OPERATOR).await
    }

    /// Runs kubectl as the administrator; what it printed.
    pub fn kubectl(&self, args: &[&str], input: &str) -> String {
        let output = self.plane.kubectl(args, input).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Applies objects, as a user would.
    pub fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &list.to_string(),
        );
    }

    /// Where an object is.
    pub fn path(object: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let version = text(&object["apiVersion"]);
        let group = if version.contains('/') { "apis" } else { "api" };
        let kind = format!("{}s", text(&object["kind"]).to_lowercase());
        let metadata = &object["metadata"];
        let name = text(&metadata["name"]);
        match metadata["namespace"].as_str() {
            Some(namespace) => format!("/{group}/{version}/namespaces/{namespace}/{kind}/{name}"),
            None => format!("/{group}/{version}/{kind}/{name}"),
        }
    }

    /// Server-side apply, as the user.
    pub async fn put(&self, object: &Value) -> Value {
        self.patch(&Self::path(object), "application/apply-patch+yaml", object)
            .await
            .unwrap()
    }

    /// Patches an object; `kind`: the media type of the patch.
    pub async fn patch(&self, path: &str, kind: &str, patch: &Value) -> kube::Result<Value> {
        let query = match kind {
            "application/apply-patch+yaml" => "?fieldManager=user&force=true",
            _ => "?fieldManager=user",
        };
        let request = Request::patch(format!("{path}{query}"))
            .header("content-type", kind)
            .body(patch.to_string().into_bytes())
            .unwrap();
        self.client.request(request).await
    }

    /// What the API server says to an object that it would not take; nothing is stored. As
    /// kubectl does, it asks for unknown fields to be refused.
    pub async fn refusal(&self, object: &Value) -> Option<String> {
        let path = Self::path(object);
        let (all, _) = path.rsplit_once('/').unwrap();
        let request = Request::post(format!("{all}?dryRun=All&fieldValidation=Strict"))
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(_) => None,
            Err(kube::Error::Api(status)) => Some(status.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Deletes an object, if it is there.
    pub async fn delete(&self, path: &str) {
        let request = Request::delete(path).body(vec![]).unwrap();
        match self.client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => drop(result.unwrap()),
        }
    }

    /// What the user has in namespaces of their own, of `externalservices` or `services`.
    pub async fn users(&self, kind: &str) -> Vec<Value> {
        let (path, kind, version) = match kind {
            "services" => ("/api/v1/services", "Service", "v1"),
            _ => (
                "/apis/submariner.io/v1alpha1/externalservices",
                "ExternalService",
                "submariner.io/v1alpha1",
            ),
        };
        let all = self.list(path).await.into_values();
        all.filter(|object| {
            let namespace = &object["metadata"]["namespace"];
            ![CONNECTOR, "default", "zoo"].contains(&namespace.as_str().unwrap())
                || kind == "ExternalService"
        })
        .map(|mut object| {
            object["kind"] = kind.into();
            object["apiVersion"] = version.into();
            object
        })
        .collect()
    }

    /// Reads from the API server.
    pub async fn get(&self, path: &str) -> Value {
        let request = Request::get(path).body(vec![]).unwrap();
        self.client.request(request).await.unwrap()
    }

    /// Reads what may not be there.
    pub async fn get_opt(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(vec![]).unwrap();
        match self.client.request(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            result => Some(result.unwrap()),
        }
    }

    /// The items of a list, by `namespace/name`.
    pub async fn list(&self, path: &str) -> BTreeMap<String, Value> {
        let list = self.get(path).await;
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| (key(item), item.clone())).collect()
    }

    /// An ExternalService as it is.
    pub async fn external_service(&self, namespace: &str, name: &str) -> Value {
        let path =
            format!("/apis/submariner.io/v1alpha1/namespaces/{namespace}/externalservices/{name}");
        self.get(&path).await
    }
}

pub fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    format!(
        "{}/{}",
        metadata["namespace"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap()
    )
}

/// A number that the environment may set.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Asks until there is an answer.
pub async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// A Service with a selector and these TCP ports, which every namespace may list.
pub fn service(namespace: &str, name: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|port| json!({"name": format!("p{port}"), "port": port, "protocol": "TCP"}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": namespace, "name": name,
            "annotations": {"extconn.submariner.io/exposed-to": "*"},
        },
        "spec": {"selector": {"app": name}, "ports": ports},
    })
}

/// An ExternalService. `sources`: Service namespace, Service name, source IP.
pub fn external_service(
    (namespace, name): (&str, &str),
    target: &str,
    sources: &[(&str, &str, &str)],
    ports: &[u16],
) -> Value {
    let sources: Vec<Value> = sources
        .iter()
        .map(|(namespace, name, source_ip)| {
            json!({"service": {"namespace": namespace, "name": name}, "sourceIP": source_ip})
        })
        .collect();
    let ports: Vec<Value> = ports.iter().map(|port| json!({"port": port})).collect();
    json!({
        "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"targetIP": target, "sources": sources, "ports": ports},
    })
}
