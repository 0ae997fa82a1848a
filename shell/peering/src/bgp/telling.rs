//! Where peers tell how they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_vocab::ObjectName;
use tokio::sync::{mpsc, watch};

use super::metrics::{BgpMetrics, PeerMetrics};
use super::{BgpEvent, BgpInspector, BgpView, PeerStatus, RangeStatus};
use crate::bmp::Exports;

/// The driver's ends of what is read outside. Each peer has a copy.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    view: watch::Sender<BgpView>,
    events: mpsc::Sender<BgpEvent>,
    metrics: BgpMetrics,
    pub(super) exports: Exports,
    pub(super) inspector: BgpInspector,
}

impl Telling {
    pub(super) fn new(
        view: watch::Sender<BgpView>,
        events: mpsc::Sender<BgpEvent>,
        metrics: BgpMetrics,
    ) -> Self {
        Self { view, events, metrics, exports: Exports::default(), inspector: BgpInspector::default() }
    }

    /// The metrics of a peer.
    pub(super) fn metrics_of(&self, peer: &ObjectName) -> PeerMetrics {
        self.metrics.of(peer)
    }

    /// Shows how a peer is. Only what is more than a count wakes who watches.
    pub(super) fn show(&self, peer: &ObjectName, status: PeerStatus) {
        self.view.send_if_modified(|view| {
            let peers = Arc::make_mut(&mut view.peers);
            let is_new = peers.get(peer).is_none_or(|shown| !shown.is_like(&status));
            peers.insert(peer.clone(), status);
            is_new
        });
    }

    /// Shows a peer no more.
    pub(super) fn hide(&self, peer: &ObjectName) {
        self.view.send_if_modified(|view| {
            view.peers.contains_key(peer) && Arc::make_mut(&mut view.peers).remove(peer).is_some()
        });
    }

    /// Shows how it is with the ranges.
    pub(super) fn show_ranges(&self, ranges: BTreeMap<ObjectName, RangeStatus>) {
        self.view.send_if_modified(|view| {
            let is_new = *view.ranges != ranges;
            if is_new {
                view.ranges = Arc::new(ranges);
            }
            is_new
        });
    }

    /// Tells what has become of a peer.
    pub(super) fn tell(&self, event: BgpEvent) {
        if self.events.try_send(event).is_err() {
            self.metrics.count_drop("event_queue");
        }
    }

    /// Counts what was dropped for another reason.
    pub(super) fn count_drop(&self, reason: &'static str) {
        self.metrics.count_drop(reason);
    }
}
