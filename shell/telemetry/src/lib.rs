//! How a FerroLB process shows itself: logs, metrics, health, and the clock its drivers share.
//!
//! What is absent: decisions, and the metrics of other crates. Each shell crate declares its own
//! table of metrics and registers it into the one [`Registry`] of the process. The admin
//! endpoints do not authenticate yet: whoever reaches the port can read the metrics.
//!
//! # Layout
//! [`clock`] turns the host's monotonic clock into [`ferrolb_vocab::Instant`]; [`log`] starts
//! logging, [`fields`] is the dictionary of its field names, [`chain()`] prints an error with its
//! causes, [`RateLimit`] keeps a repeating warning short; [`metrics`] makes the registry;
//! [`health`] holds what `/healthz` and `/readyz` answer, and [`admin`] answers it over HTTP;
//! [`serve`] bounds what its clients, and those of other servers, may take.

pub mod admin;
pub mod clock;
pub mod fields;
pub mod health;
pub mod log;
pub mod metrics;
pub mod serve;

mod chain;
mod rate_limit;

pub use admin::{AdminServer, BindError};
pub use chain::{Chain, chain};
pub use health::{Check, Health, Heartbeat, Readiness};
pub use log::LogFormat;
pub use prometheus_client::registry::Registry;
pub use rate_limit::RateLimit;
