//! The metrics of the BMP driver.

use std::net::SocketAddr;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::line::Lost;

/// The table of `ferrolb_bmp_*`.
#[derive(Clone, Debug, Default)]
pub struct BmpMetrics {
    station_up: Family<StationLabels, Gauge>,
    sent_octets: Family<StationLabels, Counter>,
    losses: Family<LossLabels, Counter>,
}

/// The metrics of one station.
#[derive(Debug)]
pub(super) struct StationMetrics {
    table: BmpMetrics,
    station: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StationLabels {
    station: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    station: String,
    reason: &'static str,
}

impl BmpMetrics {
    /// The metrics, registered under their full names.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "ferrolb_bmp_station_up",
            "Whether a BMP station is connected",
            metrics.station_up.clone(),
        );
        registry.register(
            "ferrolb_bmp_sent_octets",
            "Octets of BMP sent to a station",
            metrics.sent_octets.clone(),
        );
        registry.register(
            "ferrolb_bmp_losses",
            "How often a BMP station was lost or not reached, by reason; it is tried again",
            metrics.losses.clone(),
        );
        metrics
    }

    /// The metrics of a station, which is down at first.
    pub(super) fn of(&self, station: SocketAddr) -> StationMetrics {
        let metrics = StationMetrics { table: self.clone(), station: station.to_string() };
        metrics.set_up(false);
        metrics
    }
}

impl StationMetrics {
    pub(super) fn set_up(&self, is_up: bool) {
        self.table.station_up.get_or_create(&self.labels()).set(i64::from(is_up));
    }

    pub(super) fn count_octets(&self, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        self.table.sent_octets.get_or_create(&self.labels()).inc_by(octets);
    }

    pub(super) fn count_lost(&self, lost: &Lost) {
        let labels = LossLabels { station: self.station.clone(), reason: lost.reason() };
        self.table.losses.get_or_create(&labels).inc();
    }

    fn labels(&self) -> StationLabels {
        StationLabels { station: self.station.clone() }
    }
}
