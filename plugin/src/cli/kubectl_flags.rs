//! Pure: the flags that kubectl's own commands take, under kubectl's names.
//!
//! kubectl hands a plugin its arguments and nothing else: `kubectl -n ns extconn` is refused by
//! kubectl itself, so each of these has to be understood here.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;

/// kubectl's flags, accepted by every command, before and after its name.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Flags of kubectl")]
pub(crate) struct KubectlFlags {
    /// Namespace; the context's own if left out.
    #[arg(short, long, global = true, value_name = "NAME", add = crate::completion::namespace_names())]
    pub namespace: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME", add = crate::completion::context_names())]
    pub context: Option<String>,
    /// Kubeconfig file; else $KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Cluster of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// User of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// Address of the API server.
    #[arg(short, long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Bearer token.
    #[arg(long, global = true)]
    pub token: Option<String>,
    /// User to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// Group to impersonate; may be given more than once.
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,
    /// UID to impersonate.
    #[arg(long = "as-uid", global = true, value_name = "UID")]
    pub impersonate_uid: Option<String>,
    /// File with the certificate authority of the API server.
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate_authority: Option<PathBuf>,
    /// File with a client certificate.
    #[arg(long, global = true, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,
    /// File with the key of the client certificate.
    #[arg(long, global = true, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Name to expect in the API server's certificate.
    #[arg(long, global = true, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Do not check the API server's certificate.
    #[arg(long, global = true)]
    pub insecure_skip_tls_verify: bool,
    /// Do not compress answers of the API server.
    #[arg(long, global = true)]
    pub disable_compression: bool,
    /// How long one request to the API server may take; 0 for no limit.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    pub request_timeout: Duration,
    /// Say more on standard error: 1 the programs that are run, 6 the requests to the API server.
    #[arg(
        short,
        long = "v",
        global = true,
        value_name = "LEVEL",
        default_value_t = 0
    )]
    pub verbosity: u8,
}
