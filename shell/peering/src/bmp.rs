//! BMP on TCP.
//!
//! One OS thread, `bmp`, carries all stations, each in a task of its own, and nothing that a station
//! does, or does not, reaches BGP:
//!
//! ```text
//! BGP's thread --MonitoredPeers (latest wins)--> thread --> each station
//! ```
//!
//! All connections are opened by this side, one for each station, and opened again after a time that
//! doubles. How stations are is in the metrics; what is logged of one comes as seldom as the attempts.
//!
//! The thread ends with the BGP driver, whose sessions it has then told the end of.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use ferrolb_bgp::MonitoredPeers;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use exports::Exports;
use line::Line;
pub use metrics::BmpMetrics;

#[cfg(test)]
pub(crate) mod collector;
mod exports;
mod line;
mod metrics;

/// The time before a station that was lost is connected to again: what RFC 7854 §3.2 suggests. It doubles
/// up to [`RETRY_MAX`].
pub const RETRY_MIN: Duration = Duration::from_secs(30);

/// The longest such time, likewise. A session that lasted longer begins with the shortest again.
pub const RETRY_MAX: Duration = Duration::from_secs(720);

/// Whom to tell, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BmpConfig {
    /// Where the stations are.
    pub stations: BTreeSet<SocketAddr>,
    /// What this speaker is: sysDescr, RFC 7854 §4.4.
    pub system_description: Box<str>,
    /// What it is called: sysName.
    pub system_name: Box<str>,
    /// The first time before another attempt: [`RETRY_MIN`], or what suits the stations.
    pub retry_min: Duration,
}

/// The system has no resources for the driver.
#[derive(Debug, thiserror::Error)]
#[error("the BMP thread could not be started")]
pub struct SpawnError(#[source] io::Error);

/// Starts the driver, which tells of `peers`: those of [`crate::BgpHandle::monitor`].
///
/// # Errors
/// There are no resources for the thread or its runtime.
pub fn spawn(
    config: BmpConfig,
    peers: watch::Receiver<MonitoredPeers>,
    metrics: &BmpMetrics,
) -> Result<(), SpawnError> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(SpawnError)?;
    let config = Arc::new(config);
    let line =
        |station: &SocketAddr| Line::new(*station, Arc::clone(&config), peers.clone(), metrics.of(*station));
    let lines: Vec<Line> = config.stations.iter().map(line).collect();
    let run = async move {
        let mut tasks = JoinSet::new();
        for line in lines {
            tasks.spawn(line.run());
        }
        tasks.join_all().await;
    };
    let run = move || runtime.block_on(run);
    thread::Builder::new().name("bmp".to_owned()).spawn(run).map_err(SpawnError)?;
    Ok(())
}

#[cfg(test)]
mod tests;
