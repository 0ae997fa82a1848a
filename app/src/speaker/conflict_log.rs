//! What layer 2 has to say of other hosts, in the log.

use std::time::Duration;

use ferrolb_l2::{Conflict, Event};
use ferrolb_telemetry::{RateLimit, clock};

/// A conflict repeats with every packet of the other host, and may concern every address.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs each kind of event once in [`INTERVAL`], with what to do.
pub(super) struct ConflictLog {
    conflicts: RateLimit,
    occupied: RateLimit,
    free: RateLimit,
}

impl ConflictLog {
    pub(super) const fn new() -> Self {
        Self {
            conflicts: RateLimit::new(INTERVAL),
            occupied: RateLimit::new(INTERVAL),
            free: RateLimit::new(INTERVAL),
        }
    }

    pub(super) fn log(&mut self, event: &Event) {
        let now = clock::now();
        match event {
            Event::Conflict(conflict) => {
                if let Some(suppressed) = self.conflicts.admit(now) {
                    log_conflict(conflict, suppressed);
                }
            }
            Event::Occupied(conflict) => {
                if let Some(suppressed) = self.occupied.admit(now) {
                    log_occupied(conflict, suppressed);
                }
            }
            Event::Free { address, interface } => {
                if let Some(suppressed) = self.free.admit(now) {
                    tracing::info!(
                        ip = %address,
                        %interface,
                        suppressed,
                        "the other host has given the address up; this node announces it"
                    );
                }
            }
        }
    }
}

fn log_conflict(Conflict { address, mac, node, interface }: &Conflict, suppressed: u64) {
    let node = node.as_ref().map(tracing::field::display);
    if node.is_some() {
        tracing::warn!(
            ip = %address, %mac, node, %interface, suppressed,
            "another node claims an address that this node announces; \
             if that lasts, look there for another load balancer that has it"
        );
    } else {
        tracing::warn!(
            ip = %address, %mac, %interface, suppressed,
            "another host claims an address that this node announces; find it by its hardware address"
        );
    }
}

fn log_occupied(Conflict { address, mac, node, interface }: &Conflict, suppressed: u64) {
    let node = node.as_ref().map(tracing::field::display);
    if node.is_some() {
        tracing::warn!(
            ip = %address, %mac, node, %interface, suppressed,
            "another node has the address, so this one does not announce it; \
             look there for another load balancer or a leftover address, and remove it"
        );
    } else {
        tracing::warn!(
            ip = %address, %mac, %interface, suppressed,
            "another host has the address, so this node does not announce it; \
             find it by its hardware address and remove it there, or take the address out of the pool"
        );
    }
}
