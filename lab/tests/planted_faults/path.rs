//! The path that all trials share, and what is true of it while nothing is broken.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use extconn_lab::host;
use extconn_lab::topology::Host;
use extconn_lab::walkthrough::scenario::CONNECTOR_NAMESPACE;
use extconn_lab::walkthrough::{Observation, Scenario, ask, removal, story, workload};

use crate::report::Report;

/// How long something may take to be seen by those who report it.
const LIMIT: Duration = Duration::from_secs(40);

/// Between two looks.
const POLL: Duration = Duration::from_millis(250);

/// An ExternalService with two sources, and all that it needs.
pub struct Path {
    /// Its objects.
    pub scenario: Scenario,
    /// Replicas of the operator.
    pub operators: u32,
    /// When it was made.
    pub begun: Instant,
}

impl Path {
    /// Makes it and waits until it is ready.
    pub fn make() -> Result<Self> {
        let scenario = Scenario::temporary(&format!("faults-{:x}", std::process::id()));
        workload::create(&scenario)?;
        workload::apply(&[scenario.external_service()])?;
        let path = Self {
            scenario,
            operators: operators()?,
            begun: Instant::now(),
        };
        path.await_well()?;
        Ok(path)
    }

    /// Takes it away.
    pub fn remove(&self) -> Result<()> {
        workload::delete(&self.scenario)?;
        removal::leaves_nothing(&self.scenario).and_then(Observation::require)
    }

    /// Namespace of the ExternalService.
    pub fn namespace(&self) -> &str {
        &self.scenario.namespace
    }

    /// Name of the forwarder's Deployment.
    pub fn deployment(&self) -> String {
        format!("deployment/forwarder-{}", self.scenario.name)
    }

    /// Waits until everybody reports that all is well.
    pub fn await_well(&self) -> Result<()> {
        story::await_ready(&self.scenario)?;
        let rollout = [
            "rollout",
            "status",
            "--timeout=60s",
            "-n",
            CONNECTOR_NAMESPACE,
        ];
        for deployment in ["deployment/extconn-operator", &self.deployment()] {
            ask::cluster_ok(&[rollout.as_slice(), &[deployment]].concat(), "")?;
        }
        // Ready asks for one tunnel to each gateway; here every replica has to have its own.
        until("every tunnel to be up", || {
            let tunnels = self.tunnels()?;
            Ok(!tunnels.is_empty() && tunnels.lines().all(|line| line.starts_with("Up")))
        })
    }

    /// `State message` of each tunnel of each replica, a line for each.
    pub fn tunnels(&self) -> Result<String> {
        let states =
            "-o=jsonpath={range .status.replicas[*].tunnels[*]}{.state} {.message}{\"\\n\"}{end}";
        let forwarder = format!("forwarder/{}", self.scenario.name);
        ask::cluster_ok(&["get", "-n", CONNECTOR_NAMESPACE, &forwarder, states], "")
    }

    /// Runs `kubectl extconn test` on it as the administrator would, with these arguments more.
    pub fn test(&self, more: &[&str]) -> Result<(bool, Report)> {
        let own = [
            "kubectl",
            "extconn",
            "test",
            &self.scenario.name,
            "-n",
            self.namespace(),
            "-o",
            "json",
        ];
        let said = ask::host(Host::Workstation, &[own.as_slice(), more].concat())?;
        let report = serde_json::from_str(&said.stdout)
            .with_context(|| format!("no report: {}{}", said.stdout, said.stderr))?;
        Ok((said.success, report))
    }

    /// What a test run leaves in the namespaces of the sources.
    fn left_by_tests(&self) -> Result<String> {
        let mut left = String::new();
        for source in &self.scenario.sources {
            let of_tests = [
                "get",
                "pods,configmaps",
                "-o",
                "name",
                "-l",
                "extconn.submariner.io/test-run",
            ];
            left += &ask::cluster_ok(
                &[of_tests.as_slice(), &["-n", &source.namespace]].concat(),
                "",
            )?;
        }
        Ok(left)
    }
}

fn operators() -> Result<u32> {
    let deployment = [
        "get",
        "-n",
        CONNECTOR_NAMESPACE,
        "deployment/extconn-operator",
    ];
    let wanted = "-o=jsonpath={.spec.replicas}";
    let said = ask::cluster_ok(&[deployment.as_slice(), &[wanted]].concat(), "")?;
    said.parse()
        .with_context(|| format!("replicas of the operator: {said}"))
}

/// Waits for a condition.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !holds()? {
        ensure!(
            begin.elapsed() < LIMIT,
            "waited {} s for {what}",
            LIMIT.as_secs()
        );
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Every hop is proven, the address that the external server saw among them, and nothing is left.
pub fn works(path: &Path) -> Result<()> {
    path.await_well()?;
    let (success, report) = path.test(&["--echo", "/"])?;
    let doubtful: Vec<_> = report
        .hops()
        .into_iter()
        .filter(|hop| !["proven", "notAsked"].contains(&hop.outcome.as_str()))
        .collect();
    ensure!(
        success && report.success && doubtful.is_empty(),
        "{doubtful:#?}"
    );
    for wanted in [
        "dns",
        "pod-to-forwarder",
        "seen-by-target",
        "target",
        "tunnel",
        "nat-rule",
    ] {
        for source in &path.scenario.sources {
            let own = format!(
                "{}/{} as {}",
                source.namespace, source.service, source.source_ip
            );
            let proven = report.with("proven");
            let hop = proven
                .iter()
                .find(|hop| hop.name == wanted && hop.of == own);
            let hop = hop.with_context(|| format!("{own}: {wanted} is not among {proven:#?}"))?;
            let address = source.source_ip.to_string();
            ensure!(
                !["seen-by-target", "target"].contains(&wanted) || hop.message.contains(&address),
                "{hop:?}"
            );
        }
    }
    let left = path.left_by_tests()?;
    ensure!(left.is_empty(), "left behind: {left}");
    Ok(())
}

/// A pod beside it gets no answer from a forwarder's replica.
pub fn keeps_to_itself(path: &Path) -> Result<()> {
    let addresses = "-o=jsonpath={range .items[*]}{.status.podIP}:{.spec.containers[0].env[?(@.name==\"HTTP_PORT\")].value}{\"\\n\"}{end}";
    let label = format!(
        "app.kubernetes.io/name=extconn-forwarder,{}={}",
        "extconn.submariner.io/external-service", path.scenario.name
    );
    let found = ask::cluster_ok(
        &[
            "get",
            "pods",
            "-n",
            CONNECTOR_NAMESPACE,
            "-l",
            &label,
            addresses,
        ],
        "",
    )?;
    let first = found
        .lines()
        .next()
        .with_context(|| format!("no replica has the labels {label}"))?;
    let get = |what: &str| {
        let url = format!("http://{first}{what}");
        let source = &path.scenario.sources[0];
        ask::cluster(
            &[
                "exec",
                "-n",
                &source.namespace,
                &source.pod,
                "--",
                "witness",
                "get",
                &url,
            ],
            "",
        )
    };
    ensure!(
        get("/healthz")?.success,
        "the replica at {first} does not answer at all"
    );
    for what in [
        "/flows/10.244.1.1",
        "/probe/192.168.122.200/192.168.122.139:8000",
    ] {
        let said = get(what)?;
        ensure!(
            said.stderr.contains("403") || said.stdout.contains("only from within"),
            "{what}: {said:?}"
        );
        ensure!(!said.stdout.contains("result"), "{what}: {said:?}");
    }
    Ok(())
}

/// Ctrl-C while the probe pod runs: it is taken away, and the exit status says what happened.
pub fn interrupted(path: &Path) -> Result<()> {
    let line = [
        "sh",
        "-c",
        "kubectl extconn test \"$1\" -n \"$2\" & echo $!; wait $!; echo ended $?",
        "sh",
        &path.scenario.name,
        path.namespace(),
    ];
    let child = host::command(Host::Workstation, &line)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("run kubectl extconn test")?;
    until("a probe pod", || Ok(!path.left_by_tests()?.is_empty()))?;
    // kubectl has become the plugin: the only process of that name and argument.
    let interrupt = format!(
        "pkill -INT -f '[k]ubectl-extconn test {}'",
        path.scenario.name
    );
    ensure!(
        ask::host(Host::Workstation, &["sh", "-c", &interrupt])?.success,
        "no plugin runs"
    );
    let output = child.wait_with_output().context("wait for the plugin")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(said.trim_end().ends_with("ended 130"), "{said}");
    until("the probe pod to go", || {
        Ok(path.left_by_tests()?.is_empty())
    })?;
    Ok(())
}
