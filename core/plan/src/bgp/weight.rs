//! How much of the traffic to a prefix this node is to have beside the others that tell it.
//!
//! The weight of a path is how many endpoints share what comes over it: then each has as much as any
//! other in the cluster. But a router that hears of another weight may spread its flows anew, which
//! breaks connections. So a weight that is about right stays, and one that is not waits for
//! [`WEIGHT_INTERVAL`] since the last, unless the first endpoint has come or the last has gone.

use alloc::collections::BTreeMap;
use core::num::NonZeroU32;
use core::time::Duration;

use ferrolb_vocab::{Instant, IpPrefix};

/// How long a weight is told at least. While Pods are replaced their number changes several times a
/// second, and every router would follow.
pub const WEIGHT_INTERVAL: Duration = Duration::from_secs(2);

/// A weight that is off by one part in so many, or less, is about right: an endpoint more or less among
/// a few counts, among many it does not.
const PARTS: u32 = 16;

/// The weights that a peer is told, by prefix.
pub type Weights = BTreeMap<IpPrefix, Weight>;

/// The weight of a path as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// How many endpoints were ready when it was told first; none where only ones that terminate serve.
    ready: u32,
    since: Instant,
}

/// Weighs the prefixes of one table.
pub(super) struct Scale<'a> {
    now: Instant,
    /// The weights of the last plan.
    before: Option<&'a Weights>,
    weights: Weights,
    /// When one of them is to be told anew.
    due: Option<Instant>,
}

impl Weight {
    /// Never zero, which routers may take for no traffic at all: who tells a prefix serves it.
    fn endpoints(self) -> NonZeroU32 {
        NonZeroU32::new(self.ready).unwrap_or(NonZeroU32::MIN)
    }

    /// Whether it is told of some endpoints and there are none, or the other way round.
    const fn is_reversed(self, ready: u32) -> bool {
        (self.ready == 0) != (ready == 0)
    }

    const fn is_about_right(self, ready: u32) -> bool {
        !self.is_reversed(ready) && self.ready.abs_diff(ready) <= self.ready / PARTS
    }

    /// Until when it stays, right or not.
    fn stays_until(self) -> Instant {
        self.since + WEIGHT_INTERVAL
    }
}

impl<'a> Scale<'a> {
    pub(super) const fn new(before: Option<&'a Weights>, now: Instant) -> Self {
        Self { now, before, weights: Weights::new(), due: None }
    }

    /// The weight to tell of a prefix behind which so many endpoints are `ready`.
    pub(super) fn weigh(&mut self, prefix: IpPrefix, ready: u32) -> NonZeroU32 {
        let before = self.before.and_then(|weights| weights.get(&prefix)).copied();
        let weight = match before {
            Some(told) if told.is_about_right(ready) => told,
            Some(told) if !told.is_reversed(ready) && self.now < told.stays_until() => {
                self.due = self.due.into_iter().chain([told.stays_until()]).min();
                told
            }
            Some(_) | None => Weight { ready, since: self.now },
        };
        self.weights.insert(prefix, weight);
        weight.endpoints()
    }

    /// The weights, for the next plan, and when that gives others for the same endpoints.
    pub(super) fn finish(self) -> (Weights, Option<Instant>) {
        (self.weights, self.due)
    }
}
