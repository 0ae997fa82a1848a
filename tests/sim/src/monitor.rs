//! Who answers for each address, at every moment, and what must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ferrolb_plan::ownership::YIELD_MAX;
use ferrolb_vocab::Instant;

use crate::network::Node;

/// The longest that two nodes that hear each other may both answer for an address: detection and
/// revival of the peer, and one claim each way. Longer is no hand-over.
pub const HANDOVER_MAX: Duration = Duration::from_secs(1);
/// As [`HANDOVER_MAX`], while packets are lost everywhere, also those that say who lives and owns what, or
/// while a Node is deleted: nobody calls a speaker that was taken for dead by then, and it waits so long.
pub const HINDERED_HANDOVER_MAX: Duration = YIELD_MAX.saturating_add(Duration::from_millis(50));
/// In a move that its old owner knows of, both answer until one datagram has arrived.
pub const PLANNED_HANDOVER_MAX: Duration = Duration::from_millis(50);
/// After the last fault, everything is settled within this time: a peer that was taken for dead
/// counts again, what it owns is known, and who has to yield has done so
/// ([`ferrolb_plan::ownership::YIELD_MAX`] is for API servers that lag, not for networks).
pub const SETTLED_AFTER: Duration = Duration::from_millis(1_000);

/// A node that hears neither a peer nor the gateway answers no longer than so: the detection of its peers' deaths,
/// and then seven questions to the gateway, half a second apart.
pub const CUT_OFF_MAX: Duration = Duration::from_millis(3_500);

/// What must not be, and was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was noticed.
    pub at: Instant,
    /// The address.
    pub address: IpAddr,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}: {}", self.at, self.address, self.what)
    }
}

/// Watches the answers.
#[derive(Debug, Default)]
pub struct Monitor {
    /// By address, since when two that hear each other answer.
    double_since: BTreeMap<IpAddr, Instant>,
    /// The addresses that were answered for, if a gap is a violation.
    must_stay: Option<BTreeSet<IpAddr>>,
    longest_double: Duration,
    /// Until when something hindered hand-overs.
    hindered_until: Instant,
}

/// The answers at one moment.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// By address, the nodes whose speakers run and answer.
    pub owners: BTreeMap<IpAddr, Vec<Node>>,
    /// By address, whether two of them hear each other.
    pub doubled: BTreeSet<IpAddr>,
    /// Whether packets are lost, or a Node is deleted.
    pub is_hindered: bool,
}

impl Monitor {
    /// From now on, no address of `addresses` may be without an answer for a moment.
    pub fn forbid_gaps(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.must_stay = Some(addresses.into_iter().collect());
    }

    /// Looks at the answers as they are from `now` on.
    ///
    /// # Errors
    /// What must not be.
    pub fn look(&mut self, answers: &Answers, now: Instant) -> Result<(), Violation> {
        for (address, since) in &self.double_since {
            let lasted = now.saturating_since(*since);
            self.longest_double = self.longest_double.max(lasted);
            let unhindered = now.saturating_since(self.hindered_until.max(*since));
            if lasted > HINDERED_HANDOVER_MAX || unhindered > HANDOVER_MAX {
                let owners = answers.owners.get(address).cloned().unwrap_or_default();
                let what = format!("nodes {owners:?} hear each other and have both answered for {lasted:?}");
                return Err(Violation { at: now, address: *address, what });
            }
        }
        if answers.is_hindered {
            self.hindered_until = now;
        }
        self.double_since.retain(|address, _| answers.doubled.contains(address));
        for address in &answers.doubled {
            self.double_since.entry(*address).or_insert(now);
        }
        for address in self.must_stay.iter().flatten() {
            if answers.owners.get(address).is_none_or(Vec::is_empty) {
                return Err(Violation {
                    at: now,
                    address: *address,
                    what: "nobody answers in a planned move".into(),
                });
            }
        }
        Ok(())
    }

    /// For how long two that hear each other have answered for `address`.
    #[must_use]
    pub fn doubled_for(&self, address: IpAddr, now: Instant) -> Duration {
        self.double_since.get(&address).map_or(Duration::ZERO, |since| now.saturating_since(*since))
    }

    /// The longest that two answered together.
    #[must_use]
    pub const fn longest_double(&self) -> Duration {
        self.longest_double
    }
}
