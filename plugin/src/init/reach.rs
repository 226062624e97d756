//! Proves that a tunnel could reach the gateway: a short-lived pod beside the forwarders dials
//! its ssh endpoint, and an ssh server answers.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::prove::dialled::{Dialled, End};
use crate::prove::pod_run;
use crate::prove::probe_pod::ProbePod;
use crate::terminal::progress::Step;

/// Dials `endpoint`, `192.0.2.1:2022`, from a pod in `namespace`.
///
/// # Errors
/// Nothing answers there, or no pod could try.
pub(crate) async fn prove(
    cluster: &Cluster,
    namespace: &str,
    operator: &Deployment,
    endpoint: &str,
    step: &Step,
    timeout: Duration,
) -> Result<(), Failure> {
    let image = environment(operator, "FORWARDER_IMAGE").ok_or_else(|| {
        Failure::failed("the operator does not say which image forwarders have")
            .next("upgrade the cluster with `kubectl extconn init`")
    })?;
    let run = run();
    let probe = ProbePod {
        name: name(),
        namespace: namespace.to_owned(),
        selector: BTreeMap::new(),
        image,
        pull_policy: environment(operator, "FORWARDER_IMAGE_PULL_POLICY"),
        dial: vec![endpoint.to_owned()],
        http_get: None,
        watched: false,
        run,
    };
    let made = pod_run::Made::default();
    let brought = pod_run::run(cluster, &probe, &made, step, timeout).await;
    let removed = pod_run::remove(cluster, namespace, &probe.name).await;
    let brought = brought?;
    removed?;
    match brought.lines.first() {
        Some(dialled) => judge(dialled),
        None => Err(Failure::failed("the pod that tried it said nothing")),
    }
}

/// Takes away what an interrupted [`prove`] has left.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn clear(cluster: &Cluster, namespace: &str) -> Result<(), Failure> {
    pod_run::remove(cluster, namespace, &name()).await
}

/// Name of the pod.
fn name() -> String {
    format!("extconn-{}", run())
}

/// What this process marks its objects with.
fn run() -> String {
    format!("init-{:x}", std::process::id())
}

/// An ssh server speaks first (RFC 4253, section 4.2).
fn judge(dialled: &Dialled) -> Result<(), Failure> {
    let to = &dialled.to;
    let why = match dialled.end {
        End::Data => return Ok(()),
        End::Failed => dialled
            .error
            .clone()
            .unwrap_or_default()
            .trim_start_matches("connect: ")
            .to_owned(),
        End::Held | End::Fin | End::Reset => "what answers there is no ssh server".to_owned(),
    };
    Err(
        Failure::failed(format!("pods do not reach the gateway at {to}: {why}")).next(
            "open TCP to it from the cluster's nodes, or name the address that they reach with --ssh-endpoint; then run this again",
        ),
    )
}

fn environment(operator: &Deployment, name: &str) -> Option<String> {
    let containers = operator
        .spec
        .iter()
        .filter_map(|spec| spec.template.spec.as_ref())
        .flat_map(|spec| &spec.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    variables
        .find(|variable| variable.name == name)
        .and_then(|variable| variable.value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(end: End, error: Option<&str>, expect: Option<&str>) {
        let answer = judge(&Dialled {
            to: "192.0.2.1:2022".into(),
            resolved: Vec::new(),
            local: None,
            end,
            error: error.map(str::to_owned),
            received: None,
        });
        match expect {
            None => assert_eq!(answer, Ok(())),
            Some(words) => {
                let failure = answer.unwrap_err();
                assert!(failure.message().contains(words), "{failure:?}");
                assert!(failure.next_step().unwrap().contains("--ssh-endpoint"));
            }
        }
    }

    #[test]
    fn only_a_server_that_speaks_first_can_be_a_gateway() {
        check(End::Data, None, None);
        check(
            End::Failed,
            Some("connect: timed out"),
            Some("192.0.2.1:2022: timed out"),
        );
        check(End::Held, None, Some("no ssh server"));
    }
}
