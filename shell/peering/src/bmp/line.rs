//! One station as the driver carries it: the loop of its task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ferrolb_bgp::bmp::Identity;
use ferrolb_bgp::{MonitoredPeers, Station};
use ferrolb_telemetry::clock;
use ferrolb_wire::bmp::emit_termination;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::metrics::StationMetrics;
use super::{BmpConfig, RETRY_MAX};

/// How long a station may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a station may take for one batch: about 64 KiB, or all routes of a peer. One that stands
/// still is told everything anew once it is back, rather than kept at for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A station, and what it is told of.
#[derive(Debug)]
pub(super) struct Line {
    address: SocketAddr,
    config: Arc<BmpConfig>,
    peers: watch::Receiver<MonitoredPeers>,
    metrics: StationMetrics,
}

/// Why a station is told no more for now.
#[derive(Debug)]
pub(super) enum Lost {
    /// It was not connected to.
    NotConnected,
    /// It has closed the connection, or something on the way has.
    Closed,
    /// It takes nothing.
    Stalled,
}

impl Line {
    pub(super) const fn new(
        address: SocketAddr,
        config: Arc<BmpConfig>,
        peers: watch::Receiver<MonitoredPeers>,
        metrics: StationMetrics,
    ) -> Self {
        Self { address, config, peers, metrics }
    }

    /// Runs until there is nobody left to tell of.
    pub(super) async fn run(mut self) {
        let mut delay = self.config.retry_min;
        loop {
            let started = clock::now();
            let lost = match self.session().await {
                Ok(()) => return,
                Err(lost) => lost,
            };
            self.metrics.count_lost(&lost);
            let (peer, reason) = (self.address, lost.reason());
            tracing::warn!(%peer, reason, "a BMP station is not connected; it is tried again by and by");
            if clock::now().saturating_since(started) > RETRY_MAX {
                delay = self.config.retry_min;
            }
            let ended = async { while self.peers.changed().await.is_ok() {} };
            if timeout(delay, ended).await.is_ok() {
                return;
            }
            delay = (delay * 2).min(RETRY_MAX);
        }
    }

    /// Connects, and tells until there is nobody left to tell of.
    async fn session(&mut self) -> Result<(), Lost> {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await;
        let Ok(Ok(mut stream)) = connected else { return Err(Lost::NotConnected) };
        self.metrics.set_up(true);
        tracing::info!(peer = %self.address, "a BMP station is connected");
        let ended = self.tell(&mut stream).await;
        self.metrics.set_up(false);
        ended
    }

    async fn tell(&mut self, stream: &mut TcpStream) -> Result<(), Lost> {
        let (mut reader, mut writer) = stream.split();
        let mut station = Station::new(self.identity(), clock::now());
        let mut ignored = [0; 256];
        loop {
            station.set_peers(Arc::clone(&self.peers.borrow_and_update()));
            if let Some(octets) = station.poll_transmit() {
                write(&mut writer, &octets).await?;
                self.metrics.count_octets(octets.len());
                continue;
            }
            tokio::select! {
                changed = self.peers.changed() => {
                    if changed.is_err() {
                        farewell(&mut writer).await;
                        return Ok(());
                    }
                }
                () = sleep_until(clock::to_std(station.poll_timeout()).into()) => {
                    station.handle_timeout(clock::now());
                }
                // A station says nothing: that it has closed is all there is to read.
                read = reader.read(&mut ignored) => {
                    if !matches!(read, Ok(length) if length > 0) {
                        return Err(Lost::Closed);
                    }
                }
            }
        }
    }

    fn identity(&self) -> Identity {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Identity {
            system_description: self.config.system_description.clone(),
            system_name: self.config.system_name.clone(),
            origin: time.saturating_sub(clock::now().since_origin()),
        }
    }
}

impl Lost {
    /// The reason's name, for metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Closed => "closed",
            Self::Stalled => "stalled",
        }
    }
}

async fn write(writer: &mut WriteHalf<'_>, octets: &[u8]) -> Result<(), Lost> {
    match timeout(WRITE_TIMEOUT, writer.write_all(octets)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(Lost::Closed),
        Err(_elapsed) => Err(Lost::Stalled),
    }
}

/// Tells the station that this is all. It must be prepared not to hear it: RFC 7854 §4.5.
async fn farewell(writer: &mut WriteHalf<'_>) {
    let mut octets = Vec::new();
    emit_termination(&mut octets);
    if write(writer, &octets).await.is_ok() {
        writer.shutdown().await.ok();
    }
}
