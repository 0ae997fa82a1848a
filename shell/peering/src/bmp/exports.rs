//! Where peers show themselves to stations.

use std::sync::Arc;

use ferrolb_bgp::{Event, Monitored, MonitoredPeers, Peer, Status};
use ferrolb_vocab::ObjectName;
use tokio::sync::watch;

/// The end of BGP's driver. Each peer has a copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exports(watch::Sender<MonitoredPeers>);

impl Exports {
    /// The other end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<MonitoredPeers> {
        self.0.subscribe()
    }

    /// Shows how a peer is, by its status and what has become of it since it was shown last. Costs
    /// nothing while nobody looks.
    pub(crate) fn show(&self, name: &ObjectName, peer: &Peer, status: &Status, events: &[Event]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let before = self.0.borrow().get(name).cloned();
        let now = Monitored::observe(before.as_deref(), peer, status, events);
        if before.as_deref() != Some(&now) {
            self.0.send_modify(|peers| drop(Arc::make_mut(peers).insert(name.clone(), Arc::new(now))));
        }
    }

    /// Shows a peer no more.
    pub(crate) fn hide(&self, name: &ObjectName) {
        self.0.send_if_modified(|peers| {
            peers.contains_key(name) && Arc::make_mut(peers).remove(name).is_some()
        });
    }
}
