//! Clusters that do not let themselves be changed, and helm's own accidents.

use extconn_lab::paths;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::ask;

use crate::stage::{
    COULD_NOT_RUN, FAILED, image_tags, init, init_under, shell, touching_nothing, workstation,
};

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_user_who_may_not_install_is_told_the_missing_verb() {
    touching_nothing(|| {
        init(&["--as=system:serviceaccount:default:default"]).fails(
            COULD_NOT_RUN,
            "you may not create customresourcedefinitions.apiextensions.k8s.io in the whole cluster",
            "create,get,list,patch,delete deployments.apps in namespace external-services",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_machine_without_helm_is_told_where_it_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["kubectl", "kubectl-extconn"] {
        let target = paths::bin().join(program);
        std::os::unix::fs::symlink(target, folder.path().join(program)).unwrap();
    }
    let path = format!("PATH={}:/usr/bin:/bin", folder.path().display());
    touching_nothing(|| {
        init_under(&["env", &path], &[]).fails(
            COULD_NOT_RUN,
            "the program helm is not installed",
            "https://helm.sh/docs/intro/install/",
        );
    });
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_cluster_that_is_away_is_told_by_its_address() {
    init(&["--server=https://172.30.0.12:6443"]).fails(
        COULD_NOT_RUN,
        "failed to reach the API server at https://172.30.0.12:6443",
        "kubectl version",
    );
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_release_that_a_killed_helm_left_pending_is_finished() {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../chart");
    // Its image is nowhere, so that helm waits until it is killed.
    let upgrade = format!(
        "helm upgrade extconn {chart} --reuse-values --set operator.image.tag=nowhere --wait >/dev/null 2>&1 & \
         until helm status extconn | grep -q 'STATUS: pending-upgrade'; do kill -0 $!; done; kill -KILL $!"
    );
    shell(Host::Workstation, &format!("set -e; {upgrade}"));
    let told = init(&[]).succeeds();
    assert!(
        told.stderr
            .contains("clear away the helm release that was left pending-upgrade"),
        "{told:#?}"
    );
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn an_image_that_cannot_be_pulled_ends_the_wait_and_the_right_one_is_taken_next() {
    let values = workstation(&["helm", "get", "values", "extconn", "-o", "json"]);
    let values: serde_json::Value = serde_json::from_str(&values.stdout).unwrap();
    let right = values["operator"]["image"]["tag"].as_str().unwrap();
    init(&["--set=operator.image.tag=nowhere"]).fails(FAILED, "ImagePull", "--registry");
    init(&[&format!("--set=operator.image.tag={right}")]).succeeds();
    init(&[]).changes_nothing();
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn what_has_gone_since_helm_applied_it_is_brought_back() {
    let operator = "deployment/extconn-operator";
    let within = ["-n", "external-services"];
    let broken = [
        (
            &["delete", operator][..],
            "Deployment extconn-operator is gone",
        ),
        (
            &["scale", operator, "--replicas=0"],
            "has 0 replicas instead of 2",
        ),
        (
            &["delete", "serviceaccount/extconn-gateway"],
            "ServiceAccount extconn-gateway is gone",
        ),
    ];
    for (by, words) in broken {
        ask::cluster_ok(&[by, &within].concat(), "").unwrap();
        let told = init(&[]).succeeds();
        assert!(told.stderr.contains(words), "{words}: {told:#?}");
        init(&[]).changes_nothing();
    }
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn a_release_of_another_chart_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let templates = folder.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    let chart = "apiVersion: v2\nname: redis\nversion: 1.0.0\n";
    std::fs::write(folder.path().join("Chart.yaml"), chart).unwrap();
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: redis}\n";
    std::fs::write(templates.join("object.yaml"), object).unwrap();
    let tags = image_tags();
    workstation(&["kubectl", "extconn", "uninstall", "--yes"]).succeeds();
    let path = folder.path().display().to_string();
    workstation(&["helm", "install", "extconn", &path]).succeeds();
    init(&[]).fails(
        FAILED,
        "is of the chart redis",
        "helm -n default uninstall extconn",
    );
    workstation(&["kubectl", "extconn", "uninstall", "--yes"]).succeeds();
    workstation(&["helm", "uninstall", "extconn"]).succeeds();
    init(&[&tags[0], &tags[1]]).succeeds();
}
