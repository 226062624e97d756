//! Puts the gateway on its host, and looks how it is there.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};

use super::host_files::{HostFile, HostFiles, ServedCluster};
use super::plan::TokenNeed;
use super::questions;
use crate::cluster::{Cluster, api};
use crate::failure::Failure;
use crate::host::facts::{self, HostFacts};
use crate::host::ssh::Ssh;
use crate::program::{Said, quoted};
use crate::terminal::progress::Step;

/// ServiceAccount of all gateways.
pub(super) const SERVICE_ACCOUNT: &str = "extconn-gateway";

/// Life of a token, in seconds; the gateway renews it long before.
const TOKEN_LIFE: i64 = 24 * 3600;

/// Folder on the gateway host for what is being installed; gone when it is done.
const STAGING: &str = "/run/extconn-install";

/// Part of what the gateway says, with status 200, while nothing but a new token helps: the words
/// of `remark` in gateway/src/agent.rs.
const TOKEN_REFUSED: &str = "the Kubernetes API refuses the token";

/// How often is looked whether the gateway is ready.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the host; changes nothing.
///
/// # Errors
/// The connection broke, or the host has no usable shell.
pub(crate) async fn look(
    ssh: &Ssh,
    wanted: Option<(u16, &str)>,
    source_ips: &[String],
) -> Result<HostFacts, Failure> {
    let (port, server) =
        wanted.unwrap_or((extconn_api::names::GATEWAY_SSH_PORT, "https://127.0.0.1:1"));
    let (api_host, api_port) = questions::host_and_port(server);
    let mut words = vec![port.to_string(), api_host, api_port.to_string()];
    words.extend(source_ips.iter().cloned());
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let said = ssh
        .script_with(
            &format!("sh -s -- {}", words.join(" ")),
            facts::SCRIPT.as_bytes(),
        )
        .await?;
    facts::parse(&said.stdout).map_err(|error| {
        Failure::could_not_run(format!(
            "failed to look at {}: {error}: {}",
            ssh.destination(),
            said.complaint()
        ))
        .next(format!(
            "see whether `ssh {} sh -c true` works",
            ssh.destination()
        ))
    })
}

/// The host file that is there.
///
/// # Errors
/// The connection broke, or the file makes no sense.
pub(crate) async fn present_host_file(ssh: &Ssh) -> Result<Option<HostFile>, Failure> {
    let said = ssh
        .script("cat /etc/extconn/gateway.yaml 2>/dev/null || true")
        .await?;
    if said.stdout.trim().is_empty() {
        return Ok(None);
    }
    HostFile::parse(&said.stdout).map(Some).map_err(|error| {
        Failure::could_not_run(format!(
            "/etc/extconn/gateway.yaml on {} makes no sense: {error}",
            ssh.destination()
        ))
        .next("correct it, or remove it to have it written anew")
    })
}

/// The cluster that the gateway there serves; `None` if that cannot be told.
///
/// # Errors
/// The connection broke.
pub(crate) async fn served_cluster(ssh: &Ssh) -> Result<Option<ServedCluster>, Failure> {
    let said = ssh
        .script("cat /etc/extconn/kubeconfig 2>/dev/null || true")
        .await?;
    Ok(ServedCluster::of(&said.stdout))
}

/// The text of the host file that is there, if it means the same as `wanted`: then it stays as
/// its administrator wrote it.
///
/// # Errors
/// The connection broke.
pub(crate) async fn text_of(ssh: &Ssh, wanted: &HostFile) -> Result<String, Failure> {
    let said = ssh
        .script("cat /etc/extconn/gateway.yaml 2>/dev/null || true")
        .await?;
    let same = HostFile::parse(&said.stdout).is_ok_and(|present| present == *wanted);
    Ok(if same { said.stdout } else { wanted.text() })
}

/// Whether the gateway there says that it is ready.
///
/// # Errors
/// The connection broke.
pub(crate) async fn is_ready(ssh: &Ssh) -> Result<bool, Failure> {
    Ok(readiness(ssh).await?.is_ok())
}

/// `Err` says why it is not ready, or what it cannot go on with for long.
async fn readiness(ssh: &Ssh) -> Result<Result<(), String>, Failure> {
    const SCRIPT: &str = r#"
systemctl is-active --quiet extconn-gateway.service || {
    systemctl is-active extconn-gateway.service
    journalctl --unit extconn-gateway.service --lines 3 --output cat --no-pager 2>/dev/null
    exit 1
}
listen=$(sed -n "s/^httpListen: *[\"']\{0,1\}\([^\"' #]*\).*/\1/p" /etc/extconn/gateway.yaml)
listen=${listen:-127.0.0.1:9180}
command -v bash >/dev/null || exit 0
# Whoever else has the port may say nothing for ever.
timeout 5 bash --norc -c 'exec 3<>"/dev/tcp/$1/$2"; printf "GET /readyz HTTP/1.0\r\n\r\n" >&3; cat <&3' \
    sh "$(echo "${listen%:*}" | tr -d '[]')" "${listen##*:}" 2>/dev/null | tr -d '\r' | {
    read -r _ status _ || { echo "nothing answers at http://$listen/readyz"; exit 1; }
    sed '1,/^$/d'
    [ "$status" = 200 ]
}
"#;
    Ok(judged(&ssh.script(SCRIPT).await?))
}

fn judged(said: &Said) -> Result<(), String> {
    if said.ok() && !said.stdout.contains(TOKEN_REFUSED) {
        return Ok(());
    }
    let lines = said.stdout.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    Err(lines.join("; "))
}

/// Waits until the gateway says that it is ready.
///
/// # Errors
/// It is not within `timeout`, or has given up: with what it says.
pub(crate) async fn wait_until_ready(
    ssh: &Ssh,
    step: &Step,
    timeout: Duration,
) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        let why = match readiness(ssh).await? {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        if why.starts_with("failed") || tokio::time::Instant::now() >= deadline {
            return Err(Failure::failed(format!(
                "the gateway on {} is not ready: {why}",
                ssh.destination()
            ))
            .next(format!(
                "see `ssh {} journalctl -u extconn-gateway`, then run this again",
                ssh.destination()
            )));
        }
        step.waiting_for(why.lines().next().unwrap_or_default());
        tokio::time::sleep(LOOK).await;
    }
}

/// A token for the gateway, bound to its ServiceAccount.
///
/// # Errors
/// The API server's refusal.
pub(crate) async fn token(cluster: &Cluster, namespace: &str) -> Result<String, Failure> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_LIFE),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(SERVICE_ACCOUNT, &PostParams::default(), &request)
        .await;
    let answer = answer.map_err(api(format_args!(
        "make a token for ServiceAccount {namespace}/{SERVICE_ACCOUNT}"
    )))?;
    let token = answer.status.map(|status| status.token);
    token.ok_or_else(|| Failure::failed("the API server made no token"))
}

/// Commands that installing runs on the host, as a user would type them.
pub(crate) fn commands(ssh: &Ssh, files: &HostFiles, need: TokenNeed) -> Vec<String> {
    let mut commands = vec![ssh.shown(&prepare())];
    let staged = files.staged();
    let token = (need == TokenNeed::New).then_some("token");
    for path in staged.iter().map(|(path, _)| *path).chain(token) {
        commands.push(format!("{} < {path}", ssh.shown(&receive(path))));
    }
    commands.push(ssh.shown(&install(need)));
    commands
}

fn prepare() -> String {
    format!("rm -rf {STAGING} && mkdir -p -m 0700 {STAGING}/systemd")
}

fn receive(path: &str) -> String {
    format!("umask 077 && cat > {STAGING}/{path}")
}

fn install(need: TokenNeed) -> String {
    // The token that is there counts as not newer than itself, so it stays.
    let token = match need {
        TokenNeed::New => "token",
        TokenNeed::Keep => "/var/lib/extconn/token",
    };
    // After Ctrl-C it goes on for a while: the folder may be that of the next run by then.
    format!(
        "cd {STAGING} && sh install.sh --binary extconn-gateway --host-file gateway.yaml --kubeconfig kubeconfig --token {token}; \
         status=$?; [ . -ef {STAGING} ] && rm -rf {STAGING}; exit $status"
    )
}

/// Copies everything to the host and runs the gateway's own installer there.
///
/// # Errors
/// What the failing step said. Nothing of it is left in the staging folder.
pub(crate) async fn carry_out(
    ssh: &Ssh,
    files: &HostFiles,
    token: Option<String>,
    step: &Step,
) -> Result<(), Failure> {
    let need = if token.is_some() {
        TokenNeed::New
    } else {
        TokenNeed::Keep
    };
    let result = stage_and_install(ssh, files, token.as_deref(), need, step).await;
    if result.is_err() {
        // The failure that is told is the first one.
        let _ = clear(ssh).await;
    }
    result
}

/// Takes away what an interrupted [`carry_out`] has left on the host: a token must not stay.
///
/// # Errors
/// The connection broke.
pub(crate) async fn clear(ssh: &Ssh) -> Result<(), Failure> {
    ssh.script(&format!("rm -rf {STAGING}")).await.map(drop)
}

async fn stage_and_install(
    ssh: &Ssh,
    files: &HostFiles,
    token: Option<&str>,
    need: TokenNeed,
    step: &Step,
) -> Result<(), Failure> {
    run(ssh, &prepare(), &[]).await?;
    let mut staged = files.staged();
    staged.extend(token.map(|token| ("token", token.as_bytes())));
    for (path, content) in staged {
        step.waiting_for(&format!("copying {path}"));
        run(ssh, &receive(path), content).await?;
    }
    step.waiting_for("installing");
    run(ssh, &install(need), &[]).await
}

async fn run(ssh: &Ssh, script: &str, input: &[u8]) -> Result<(), Failure> {
    let said = ssh.script_with(script, input).await?;
    if said.ok() {
        return Ok(());
    }
    let complaints = said.complaints("install.sh");
    Err(
        Failure::failed(format!("{}: {complaints}", ssh.destination())).next(
            "correct that, on the host or in your flags, then run this again: it goes on where \
             it stopped",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: i32, body: &str, expect: Result<(), &str>) {
        let said = Said {
            status: Some(status),
            stdout: body.to_owned(),
            stderr: String::new(),
        };
        assert_eq!(judged(&said), expect.map_err(str::to_owned));
    }

    #[test]
    fn a_gateway_whose_token_is_refused_is_not_ready_though_it_carries_traffic() {
        check(0, "ok\n", Ok(()));
        let away = "ok, but the Kubernetes API does not answer; what was last known stays";
        check(0, away, Ok(()));
        let refused = "ok, but the Kubernetes API refuses the token, which must be replaced; …";
        check(0, refused, Err(refused));
        check(1, "inactive\n\nstopped\n", Err("inactive; stopped"));
    }
}
