//! What the operator can set: flags, each with the environment variable that stands for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ferrolb_cluster::speaker::pod_owner;
use ferrolb_peering::{BmpConfig, bmp};
use ferrolb_telemetry::log;
use ferrolb_vocab::NodeName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::process::VERSION;

/// Collectors that a speaker tells of its BGP sessions, over a connection each.
pub const BMP_COLLECTORS_MAX: usize = 4;

/// Which objects are ours: what every command that judges the cluster must agree on.
#[derive(Clone, Debug, Args)]
pub struct ScopeConfig {
    /// Namespaces that configuration objects are read from
    #[arg(
        long,
        env = "FERROLB_CONFIG_NAMESPACES",
        value_delimiter = ',',
        default_values = [ferrolb_api::FERROLB_NAMESPACE, ferrolb_api::METALLB_NAMESPACE],
        value_name = "NAME,…"
    )]
    pub config_namespaces: Vec<String>,
    /// Handle Services of this loadBalancerClass only; without it, only Services without a class
    #[arg(long, env = "FERROLB_LB_CLASS", value_name = "CLASS")]
    pub lb_class: Option<String>,
}

/// What both processes take.
#[derive(Clone, Debug, Args)]
pub struct CommonConfig {
    /// Namespace FerroLB is installed in: its leases, status objects and node states
    #[arg(long, env = "FERROLB_NAMESPACE", default_value = ferrolb_api::FERROLB_NAMESPACE, value_name = "NAME")]
    pub namespace: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub scope: ScopeConfig,
    /// Name of this Pod, for Events and the leader Lease
    #[arg(long, env = "FERROLB_POD_NAME", default_value = "ferrolb", value_name = "NAME")]
    pub pod_name: String,
    /// What to log: a level, or directives such as `info,ferrolb_plan=debug`
    #[arg(long, env = "FERROLB_LOG", default_value = "info", value_name = "FILTER")]
    pub log_level: String,
    /// Form of the log lines
    #[arg(long, env = "FERROLB_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for collectors.
    Json,
    /// For people.
    Text,
}

impl From<LogFormat> for log::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text => Self::Text,
        }
    }
}

/// Flags of `ferrolb controller`.
#[derive(Clone, Debug, Args)]
pub struct ControllerConfig {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub common: CommonConfig,
    /// Address and port of /metrics, /healthz and /readyz
    #[arg(long, env = "FERROLB_ADMIN_ADDRESS", default_value = "[::]:9480", value_name = "ADDRESS:PORT")]
    pub admin_address: SocketAddr,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub webhook: WebhookConfig,
}

/// Flags of the optional webhook.
#[derive(Clone, Debug, Args)]
pub struct WebhookConfig {
    /// Serve the admission and conversion webhook of deploy/ferrolb-webhook.yaml
    #[arg(long, env = "FERROLB_WEBHOOK")]
    pub webhook: bool,
    /// Address and port of the webhook
    #[arg(long, env = "FERROLB_WEBHOOK_ADDRESS", default_value = "[::]:9483", value_name = "ADDRESS:PORT")]
    pub webhook_address: SocketAddr,
    /// Service in FerroLB's namespace by which API servers call the webhook
    #[arg(long, env = "FERROLB_WEBHOOK_SERVICE", default_value = crate::controller::WEBHOOK_SERVICE, value_name = "NAME")]
    pub webhook_service: String,
    /// Directory with the webhook's tls.crt and tls.key; without it, FerroLB makes and renews its own
    #[arg(long, env = "FERROLB_WEBHOOK_CERT_DIR", value_name = "DIRECTORY")]
    pub webhook_cert_dir: Option<PathBuf>,
}

/// How soon the other speakers notice that this one is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LivenessProfile {
    /// Within 255 ms, on any host.
    Default,
    /// Within 75 ms, by a thread that runs before all others.
    Fast,
}

/// Flags of `ferrolb speaker`.
#[derive(Clone, Debug, Args)]
pub struct SpeakerConfig {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub common: CommonConfig,
    /// Name of the Node this speaker runs on
    #[arg(long, env = "FERROLB_NODE_NAME", value_name = "NAME")]
    pub node_name: String,
    /// UID of this Pod: status objects are removed together with it
    #[arg(long, env = "FERROLB_POD_UID", value_name = "UID")]
    pub pod_uid: Option<String>,
    /// Address and port of /metrics, /healthz and /readyz
    #[arg(long, env = "FERROLB_ADMIN_ADDRESS", default_value = "[::]:9481", value_name = "ADDRESS:PORT")]
    pub admin_address: SocketAddr,
    /// UDP port on which speakers watch each other, the same on all nodes
    #[arg(long, env = "FERROLB_LIVENESS_PORT", default_value_t = 9482, value_name = "PORT")]
    pub liveness_port: u16,
    /// How soon a dead speaker is noticed; `fast` needs the capability SYS_NICE, and is refused without it
    #[arg(long, env = "FERROLB_LIVENESS_PROFILE", value_enum, default_value_t = LivenessProfile::Default)]
    pub liveness_profile: LivenessProfile,
    /// File with the keys that speakers know each other by: one per line, the one to send with first
    #[arg(
        long,
        env = "FERROLB_LIVENESS_KEY_FILE",
        default_value = "/etc/ferrolb/liveness/keys",
        value_name = "FILE"
    )]
    pub liveness_key_file: PathBuf,
    /// Announce from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers too
    #[arg(long, env = "FERROLB_IGNORE_EXCLUDE_LB")]
    pub ignore_exclude_lb: bool,
    /// Show what is announced, and the metrics of BGP and BFD, under MetalLB's names too
    #[arg(long, env = "FERROLB_METALLB_METRICS")]
    pub metallb_metrics: bool,
    /// Collector of BMP (RFC 7854) that is told of all BGP sessions; up to 4, by several flags or commas
    #[arg(
        long = "bmp-collector",
        env = "FERROLB_BMP_COLLECTORS",
        value_delimiter = ',',
        value_name = "ADDRESS:PORT"
    )]
    pub bmp_collectors: Vec<SocketAddr>,
    /// Seconds from one announcement of an owned address to the next, at least 1
    #[arg(
        long,
        env = "FERROLB_L2_REFRESH_INTERVAL",
        default_value = "60",
        value_parser = refresh_interval,
        value_name = "SECONDS"
    )]
    pub l2_refresh_interval: Duration,
    /// File that lists the interfaces never to announce on (MetalLB's excludel2.yaml); it may be missing
    #[arg(
        long,
        env = "FERROLB_EXCLUDE_L2",
        default_value = "/etc/metallb/excludel2.yaml",
        value_name = "FILE"
    )]
    pub exclude_l2: PathBuf,
}

impl SpeakerConfig {
    /// The Node this speaker runs on.
    #[must_use]
    pub fn node(&self) -> NodeName {
        NodeName::from(self.node_name.as_str())
    }

    /// Whom to tell of BGP sessions, if anybody.
    #[must_use]
    pub fn bmp(&self) -> Option<BmpConfig> {
        let stations: BTreeSet<SocketAddr> = self.bmp_collectors.iter().copied().collect();
        (!stations.is_empty()).then(|| BmpConfig {
            stations,
            system_description: format!("FerroLB {VERSION}").into(),
            system_name: self.node_name.as_str().into(),
            retry_min: bmp::RETRY_MIN,
        })
    }

    /// This Pod, if it is known, for what is to be removed together with it.
    #[must_use]
    pub fn pod_owner(&self) -> Option<OwnerReference> {
        self.pod_uid.as_deref().map(|uid| pod_owner(&self.common.pod_name, uid))
    }
}

/// At 1 s a node announces as often as in the first seconds of an address; faster would serve nobody.
fn refresh_interval(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds >= 1 => Ok(Duration::from_secs(seconds.into())),
        Ok(_) | Err(_) => Err("expected whole seconds, at least 1; 60 suits most switches".into()),
    }
}
