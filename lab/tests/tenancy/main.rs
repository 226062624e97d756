//! Who may claim what, tried by a tenant who means harm: each attack of docs/security.md on the
//! real API server, with admission and without it, and consent that is given and taken back while
//! traffic flows. Needs the lab, as end_to_end does.

#![allow(clippy::unwrap_used)]

mod many;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use extconn_lab::topology::{EXTERNAL, GATEWAY, Host};
use extconn_lab::walkthrough::ask::{self, cluster, cluster_ok};
use extconn_lab::walkthrough::scenario::Source;
use extconn_lab::walkthrough::{Scenario, access, dump, egress, ingress, workload};
use extconn_lab::{AccessLog, Host as AnyHost};
use serde_json::{Value, json};

/// How long something that is on its way may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long traffic may go on after its permission is gone.
const CUT: Duration = Duration::from_secs(5);

/// Where the gateway's host file is on its host.
const HOST_FILE: &str = "/etc/extconn/gateway.yaml";

/// Eve has the first namespace of the scenario, the bank the second.
struct Tenants {
    scenario: Scenario,
}

impl Tenants {
    fn eve(&self) -> &Source {
        &self.scenario.sources[0]
    }

    fn bank(&self) -> &Source {
        &self.scenario.sources[1]
    }

    /// An ExternalService of `of`'s namespace that lists one Service.
    fn external_service(
        &self,
        of: &Source,
        name: &str,
        service: (&str, &str),
        as_: &Source,
    ) -> Value {
        let (namespace, service) = service;
        json!({
            "apiVersion": "submariner.io/v1alpha1", "kind": "ExternalService",
            "metadata": {"name": name, "namespace": of.namespace},
            "spec": {
                "targetIP": EXTERNAL,
                "sources": [{"service": {"namespace": namespace, "name": service},
                             "sourceIP": as_.source_ip}],
                "ports": [{"port": 8000}],
            },
        })
    }

    /// What pods get from the external server by the name of an ExternalService.
    fn asks(&self, name: &str, source: &Source) -> Result<ask::Said> {
        let scenario = Scenario {
            name: name.into(),
            ..self.scenario.clone()
        };
        egress::get(
            &scenario,
            &source.namespace,
            &source.pod,
            &access::unique_word(),
        )
    }

    /// Fails unless the external server sees pods of `source` as its source IP.
    fn is_seen_as(&self, name: &str, source: &Source) -> Result<()> {
        let said = self.asks(name, source)?;
        ensure!(
            said.stdout.contains(&source.source_ip.to_string()),
            "{}",
            said.stderr
        );
        Ok(())
    }
}

/// Runs `body` with two tenants, and takes all that was made away.
fn with_tenants(test: &str, body: impl FnOnce(&Tenants) -> Result<()>) {
    let scenario = Scenario::temporary(&format!("{test}-{:x}", std::process::id()));
    let tenants = Tenants { scenario };
    let outcome = set_up(&tenants).and_then(|()| body(&tenants));
    if outcome.is_err() {
        dump::write(&tenants.scenario);
    }
    let removed = workload::delete(&tenants.scenario);
    outcome.and(removed).unwrap();
}

/// Workloads, and a right for eve to write ExternalServices and Services of her own namespace.
fn set_up(tenants: &Tenants) -> Result<()> {
    workload::create(&tenants.scenario)?;
    let namespace = &tenants.eve().namespace;
    let binding = |name: &str, role: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": role,
            "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}],
        })
    };
    workload::apply(&[
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "externalservices", "namespace": namespace},
            "rules": [{"apiGroups": ["submariner.io"], "resources": ["externalservices"],
                       "verbs": ["*"]}],
        }),
        binding(
            "externalservices",
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "externalservices"}),
        ),
        binding(
            "edit",
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}),
        ),
    ])
}

/// Waits until `look` finds something.
fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until `Ready` of an ExternalService has this status and reason; answers the message.
fn await_ready(namespace: &str, name: &str, status: &str, reason: &str) -> Result<String> {
    let path = "-o=jsonpath={range .status.conditions[?(@.type==\"Ready\")]}{.status} {.reason} {.message}{end}";
    let mut last = String::new();
    until(
        &format!("{namespace}/{name} is {status} {reason}"),
        PATIENCE,
        || {
            last = cluster_ok(&["get", "externalservice", "-n", namespace, name, path], "")?;
            let message = last.strip_prefix(&format!("{status} {reason} "));
            Ok(message.map(str::to_owned))
        },
    )
    .with_context(|| format!("it says {last:?}"))
}

fn create_as_eve(object: &Value, more: &[&str]) -> Result<ask::Said> {
    let create = ["create", "--as=eve", "-f", "-"];
    cluster(&[&create[..], more].concat(), &object.to_string())
}

/// Sets the chart's policies up or takes them away, and waits until the API server knows it.
fn admission(enabled: bool, probe: &Value) -> Result<()> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../chart");
    let set = format!("--set=admission.enabled={enabled}");
    let helm = [
        "helm",
        "upgrade",
        "extconn",
        chart,
        "--reuse-values",
        "--wait",
        &set,
    ];
    let said = ask::host(Host::Workstation, &helm)?;
    ensure!(said.success, "helm upgrade: {}", said.stderr);
    until(&format!("admission.enabled={enabled}"), PATIENCE, || {
        let accepted = create_as_eve(probe, &["--dry-run=server"])?.success;
        Ok((accepted != enabled).then_some(()))
    })
}

/// Reserves the bank's source IP for its namespace, or for nobody in particular.
fn reserve(source: &Source, namespaces: Option<&str>) -> Result<()> {
    let text = ask::host(Host::Gateway, &["cat", HOST_FILE])?.stdout;
    let mut file: Value = serde_yaml::from_str(&text)?;
    for entry in file["sourceIPs"].as_array_mut().context("a list")? {
        let entry = entry.as_object_mut().context("an object")?;
        entry.remove("namespaces");
        if let Some(namespace) = namespaces
            && entry["ip"] == source.source_ip.to_string()
        {
            entry.insert("namespaces".into(), json!([namespace]));
        }
    }
    let script = format!("printf '%s' \"$1\" > {HOST_FILE} && systemctl restart extconn-gateway");
    let said = ask::host(
        Host::Gateway,
        &["sh", "-c", &script, "sh", &file.to_string()],
    )?;
    ensure!(said.success, "the host file: {}", said.stderr);
    await_reservation(source, namespaces.unwrap_or_default())
}

/// Waits until admission knows for which namespace a source IP is reserved; none is empty.
fn await_reservation(source: &Source, namespace: &str) -> Result<()> {
    let key = format!(
        "-o=jsonpath={{.spec.entries.source-ip\\.{}}}",
        source.source_ip.to_string().replace('.', "\\.")
    );
    let get = [
        "get",
        "permissions.extconn.submariner.io",
        "extconn-permissions",
        "-n",
        "external-services",
        &key,
    ];
    until("the reservation is published", PATIENCE, || {
        Ok((cluster_ok(&get, "")? == namespace).then_some(()))
    })
}

/// What eve tries, what admission says to it (nothing if it cannot know), and what `Ready` says
/// when it has been let through.
struct Attack {
    name: &'static str,
    object: Value,
    admission: Option<&'static str>,
    reason: &'static str,
    says: String,
}

fn attacks(tenants: &Tenants) -> Vec<Attack> {
    let (eve, bank) = (tenants.eve(), tenants.bank());
    let own = (eve.namespace.as_str(), eve.service.as_str());
    let banks = (bank.namespace.as_str(), bank.service.as_str());
    let of_eve = |name: &str, service, as_| tenants.external_service(eve, name, service, as_);
    let name = |attack: &str| format!("{}-{attack}", tenants.scenario.name);
    let mut at_gateway = of_eve(&name("e"), own, eve);
    at_gateway["spec"]["targetIP"] = json!(GATEWAY);
    vec![
        Attack {
            name: "(a) another team's Service, towards a server of hers",
            object: of_eve(&name("a"), banks, eve),
            admission: Some("does not consent to"),
            reason: "SourceNotPermitted",
            says: format!("exposed-to={}", eve.namespace),
        },
        Attack {
            name: "(b) another team's source IP, for a Service of hers",
            object: of_eve(&name("b"), own, bank),
            admission: Some("is reserved for ExternalServices of the namespaces"),
            reason: "SourceIPNotPermitted",
            says: format!("namespaces {}, not {}", bank.namespace, eve.namespace),
        },
        Attack {
            name: "(c) another team's name",
            object: of_eve(&name("bank"), own, eve),
            admission: None,
            reason: "NameConflict",
            says: format!("older ExternalService {}", bank.namespace),
        },
        Attack {
            name: "(d) the API server",
            object: of_eve(&name("d"), ("default", "kubernetes"), eve),
            admission: Some("is the cluster's API server"),
            reason: "SourceNotPermitted",
            says: "take it out of spec.sources".into(),
        },
        Attack {
            name: "(e) the gateway host itself",
            object: at_gateway,
            admission: None,
            reason: "GatewayNotProgrammed",
            says: "an address of the gateway host itself".into(),
        },
    ]
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn what_belongs_to_another_is_refused_with_admission_and_without() {
    with_tenants("attacks", |tenants| {
        let bank = tenants.bank();
        let name = format!("{}-bank", tenants.scenario.name);
        let own = (bank.namespace.as_str(), bank.service.as_str());
        workload::apply(&[tenants.external_service(bank, &name, own, bank)])?;
        await_ready(&bank.namespace, &name, "True", "Ready")?;
        let outcome = reserve(bank, Some(&bank.namespace)).and_then(|()| try_all(tenants, &name));
        let restored = reserve(bank, None);
        outcome.and(restored)
    });
}

fn try_all(tenants: &Tenants, banks: &str) -> Result<()> {
    let (eve, bank) = (tenants.eve(), tenants.bank());
    let attacks = attacks(tenants);
    refused_by_schema(tenants)?;
    for attack in &attacks {
        let said = create_as_eve(&attack.object, &[])?;
        match attack.admission {
            Some(words) => ensure!(
                !said.success && said.stderr.contains(words),
                "{} with admission: {}{}",
                attack.name,
                said.stdout,
                said.stderr
            ),
            None => {
                ensure!(said.success, "{}: {}", attack.name, said.stderr);
                gets_nothing(tenants, attack)?;
            }
        }
    }
    admission(false, &attacks[0].object)?;
    let outcome = attacks.iter().try_for_each(|attack| {
        let said = create_as_eve(&attack.object, &[])?;
        ensure!(
            said.success,
            "{} without admission: {}",
            attack.name,
            said.stderr
        );
        gets_nothing(tenants, attack)
    });
    let restored = admission(true, &attacks[0].object);
    outcome.and(restored)?;
    refused_by_schema(tenants)?;
    // The bank has noticed nothing.
    await_ready(&bank.namespace, banks, "True", "Ready")?;
    tenants.is_seen_as(banks, bank)?;
    let said = tenants.asks(banks, eve)?;
    ensure!(!said.success, "eve is let in: {}", said.stdout);
    Ok(())
}

/// Addresses that no external server can have are in no mode accepted.
fn refused_by_schema(tenants: &Tenants) -> Result<()> {
    let eve = tenants.eve();
    let own = (eve.namespace.as_str(), eve.service.as_str());
    for target in ["127.0.0.1", "169.254.169.254", "224.0.0.1"] {
        let mut object = tenants.external_service(eve, "e", own, eve);
        object["spec"]["targetIP"] = json!(target);
        let said = create_as_eve(&object, &[])?;
        ensure!(
            !said.success && said.stderr.contains("spec.targetIP"),
            "{target}: {}",
            said.stderr
        );
    }
    Ok(())
}

/// What was let through is told why it gets nothing, and gets nothing: neither tenant's pods pass,
/// and the external server has seen nobody. Takes it away.
fn gets_nothing(tenants: &Tenants, attack: &Attack) -> Result<()> {
    let Attack {
        name: attempt,
        object,
        admission: _,
        reason,
        says,
    } = attack;
    let (eve, bank) = (tenants.eve(), tenants.bank());
    let name = object["metadata"]["name"].as_str().context("a name")?;
    let message = await_ready(&eve.namespace, name, "False", reason)?;
    ensure!(
        message.contains(says),
        "{attempt}: {message} lacks {says:?}"
    );
    let mark = AccessLog::mark()?;
    let said = tenants.asks(name, eve)?;
    ensure!(!said.success, "{attempt}: eve got {}", said.stdout);
    if *reason != "NameConflict" {
        let said = tenants.asks(name, bank)?;
        ensure!(
            !said.success,
            "{attempt}: the bank's pod got {}",
            said.stdout
        );
    }
    let seen = access::peers_since(mark)?;
    ensure!(
        seen.is_empty(),
        "{attempt}: the external server saw {}",
        access::list(&seen)
    );
    let said = ingress::get(AnyHost::External, eve, &access::unique_word())?;
    ensure!(
        !said.success,
        "{attempt}: there is a way in: {}",
        said.stdout
    );
    cluster_ok(
        &["delete", "externalservice", "-n", &eve.namespace, name],
        "",
    )?;
    Ok(())
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn consent_opens_a_service_and_taking_it_back_cuts_its_connections() {
    with_tenants("consent", |tenants| {
        let (eve, bank) = (tenants.eve(), tenants.bank());
        let name = tenants.scenario.name.as_str();
        let banks = (bank.namespace.as_str(), bank.service.as_str());
        let object = tenants.external_service(eve, name, banks, bank);
        let said = create_as_eve(&object, &[])?;
        ensure!(said.stderr.contains("does not consent"), "{}", said.stderr);

        annotate(bank, &format!("exposed-to={}", eve.namespace))?;
        until("admission knows of the consent", PATIENCE, || {
            Ok(create_as_eve(&object, &[])?.success.then_some(()))
        })?;
        await_ready(&eve.namespace, name, "True", "Ready")?;
        tenants.is_seen_as(name, bank)?;
        let said = ingress::get(Host::External, bank, &access::unique_word())?;
        ensure!(said.success, "no way in: {}", said.stderr);

        let mark = AccessLog::mark()?;
        let url =
            format!("http://{name}.external-services.svc.cluster.local:8000/bytes/99999999999");
        let script = format!("witness get -timeout 60s {url} > /dev/null");
        let (namespace, pod) = (bank.namespace.clone(), bank.pod.clone());
        let live = std::thread::spawn(move || {
            cluster(
                &["exec", "-n", &namespace, &pod, "--", "sh", "-c", &script],
                "",
            )
        });
        until("the connection is there", PATIENCE, || {
            Ok((!access::peers_since(mark)?.is_empty()).then_some(()))
        })?;
        ensure!(!live.is_finished(), "it has ended by itself");

        let begin = Instant::now();
        annotate(bank, "exposed-to-")?;
        until("the live connection is cut", CUT, || {
            Ok(live.is_finished().then_some(()))
        })?;
        let said = live.join().unwrap()?;
        ensure!(!said.success, "it has come to its end");
        until(
            "both directions are refused",
            CUT.saturating_sub(begin.elapsed()),
            || {
                let out = tenants.asks(name, bank)?.success;
                let back = ingress::get(Host::External, bank, &access::unique_word())?.success;
                Ok((!out && !back).then_some(()))
            },
        )?;
        eprintln!(
            "cut and refused {:.1} s after consent was taken back",
            begin.elapsed().as_secs_f64()
        );
        await_ready(&eve.namespace, name, "False", "SourceNotPermitted")?;
        Ok(())
    });
}

fn annotate(source: &Source, annotation: &str) -> Result<()> {
    let annotation = format!("extconn.submariner.io/{annotation}");
    let annotate = [
        "annotate",
        "service",
        "-n",
        &source.namespace,
        &source.service,
        &annotation,
    ];
    cluster_ok(&annotate, "").map(drop)
}

#[test]
#[ignore = "needs a lab with extconn in it: make end-to-end"]
fn who_applies_both_is_warned_and_an_administrator_needs_no_consent() {
    with_tenants("trust", |tenants| {
        let (eve, bank) = (tenants.eve(), tenants.bank());
        let banks = (bank.namespace.as_str(), bank.service.as_str());
        let mut object = tenants.external_service(eve, &tenants.scenario.name, banks, bank);
        let create = ["create", "--dry-run=server", "-f", "-"];
        let said = cluster(&create, &object.to_string())?;
        let warned =
            said.stderr.contains("Warning") && said.stderr.contains("-n external-services");
        ensure!(said.success && warned, "{}{}", said.stdout, said.stderr);
        object["metadata"]["namespace"] = json!("external-services");
        let said = cluster(&create, &object.to_string())?;
        ensure!(said.success && said.stderr.is_empty(), "{}", said.stderr);
        Ok(())
    });
}
