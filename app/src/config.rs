//! What the operator can set: flags, each with the environment variable that stands for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ferrolb_telemetry::log;

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
    /// Announce from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers too
    #[arg(long, env = "FERROLB_IGNORE_EXCLUDE_LB")]
    pub ignore_exclude_lb: bool,
    /// File that lists the interfaces never to announce on (MetalLB's excludel2.yaml); it may be missing
    #[arg(
        long,
        env = "FERROLB_EXCLUDE_L2",
        default_value = "/etc/metallb/excludel2.yaml",
        value_name = "FILE"
    )]
    pub exclude_l2: PathBuf,
}
