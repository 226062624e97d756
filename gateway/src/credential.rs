//! The gateway's Kubernetes credential: a token with an end, which it renews itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use extconn_agent::logs::causes;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::metrics::Meters;
use crate::state_files;
use crate::token::{self, Claims};

/// Longest wait for an answer of the API server.
const DEADLINE: Duration = Duration::from_secs(10);

/// A host that slept wakes up with an old token: look at the clock this often.
const LOOK: Duration = Duration::from_secs(300);

/// Reads a kubeconfig and names the file of its token.
///
/// Errors if the token is in the kubeconfig itself or comes from elsewhere: it could not be
/// renewed.
pub async fn read(kubeconfig: &Path) -> anyhow::Result<(Config, PathBuf)> {
    let what = || format!("read the kubeconfig {}", kubeconfig.display());
    let parsed = Kubeconfig::read_from(kubeconfig).with_context(what)?;
    let config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .with_context(what)?;
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        bail!(
            "the certificate authority in the kubeconfig {} is empty",
            kubeconfig.display()
        );
    }
    let Some(token_file) = &config.auth_info.token_file else {
        bail!(
            "the user of the kubeconfig {} has no tokenFile: the gateway renews its token, which \
             must be in a file of its own",
            kubeconfig.display()
        );
    };
    let token_file = PathBuf::from(token_file);
    let what = || {
        format!(
            "use the token in {}: put one there that `kubectl create token extconn-gateway` made",
            token_file.display()
        )
    };
    let Some(text) = state_files::read(&token_file)? else {
        return Err(anyhow::anyhow!("there is no such file")).with_context(what);
    };
    token::claims(&text).with_context(what)?;
    Ok((config, token_file))
}

/// Renews the token for ever, long before its end. The client reads the file again by itself, at
/// least once a minute.
pub async fn keep_renewed(client: Client, token_file: PathBuf, meters: Arc<Meters>) {
    let mut renewer = Renewer {
        client,
        token_file,
        meters,
        made_here: None,
    };
    let mut failures = 0;
    loop {
        let wait = match renewer.look().await {
            Ok(wait) => {
                failures = 0;
                wait.min(LOOK)
            }
            Err(error) => {
                failures += 1;
                let error = format!("{error:#}");
                warn!(failures, error, "cannot renew the token, trying again");
                token::retry_in(failures)
            }
        };
        // A server that gives tokens of seconds is not asked without a pause.
        sleep(wait.max(token::retry_in(1))).await;
    }
}

struct Renewer {
    client: Client,
    token_file: PathBuf,
    meters: Arc<Meters>,
    /// The token that was made last, and its life by this host's clock.
    made_here: Option<(Claims, Option<(i64, i64)>)>,
}

impl Renewer {
    /// Reads the token, since a person may have put another there, and renews it if it is time.
    /// Gives the time until it is.
    async fn look(&mut self) -> anyhow::Result<Duration> {
        let claims = claims(&self.token_file)?;
        self.meters.set_token_end(claims.life.map(|(_, end)| end));
        let life = match &self.made_here {
            Some((made, life)) if *made == claims => *life,
            _ => claims.life,
        };
        let wait = token::renew_in(life, now());
        if !wait.is_zero() {
            return Ok(wait);
        }
        let made = renew(&self.client, &claims, &self.token_file).await?;
        info!("renewed the Kubernetes token");
        self.meters.set_token_end(made.life.map(|(_, end)| end));
        let life = token::life_by(now(), made.life);
        self.made_here = Some((made, life));
        Ok(token::renew_in(life, now()))
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn claims(token_file: &Path) -> anyhow::Result<Claims> {
    let text = state_files::read(token_file)?
        .with_context(|| format!("{} is gone", token_file.display()))?;
    token::claims(&text).with_context(|| format!("use the token in {}", token_file.display()))
}

async fn renew(client: &Client, claims: &Claims, token_file: &Path) -> anyhow::Result<Claims> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &claims.namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: i64::try_from(token::LONGEST_LIFE.as_secs()).ok(),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let answer = accounts.create_token_request(&claims.service_account, &params, &request);
    let answer = match timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => bail!("{}", causes(&error)),
        Err(_) => bail!("no answer of the API server in {} s", DEADLINE.as_secs()),
    };
    let status = answer.status.context("the API server made no token")?;
    let claims = token::claims(&status.token).context("use the new token")?;
    state_files::write(token_file, status.token.as_bytes())?;
    Ok(claims)
}
