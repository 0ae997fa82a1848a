//! A router that keeps the routes of a speaker that restarts: the Receiving Speaker of RFC 4724 §4.2,
//! which RFC 8538 has do so after a NOTIFICATION too. FerroLB is the other one.

use std::collections::BTreeSet;
use std::time::Duration;

use ferrolb_bgp::{Negotiated, Reason};
use ferrolb_vocab::{Instant, IpPrefix};
use ferrolb_wire::bgp::{Cease, Family};

use crate::host::View;

#[derive(Default)]
pub(crate) struct Helper {
    /// While there is a session.
    negotiated: Option<Negotiated>,
    /// What it has told.
    told: BTreeSet<IpPrefix>,
    /// What the one before has told, and this one has not yet.
    stale: BTreeSet<IpPrefix>,
    /// When that is forgotten if there is no session by then.
    until: Option<Instant>,
}

impl Helper {
    /// There is a session. Stale routes stay if packets were carried on by them: of a family with the F
    /// bit.
    pub(crate) fn begin(&mut self, negotiated: Negotiated, now: Instant) {
        let restart = negotiated.graceful_restart.as_ref().filter(|_| self.is_in_time(now));
        let is_kept = |family| restart.is_some_and(|restart| restart.families.contains(&(family, true)));
        self.stale.retain(|prefix| is_kept(Family::of(prefix.family())));
        self.until = None;
        self.negotiated = Some(negotiated);
    }

    /// The session has told so much. What is told again is stale no longer; what is not by End-of-RIB,
    /// is no more.
    pub(crate) fn learn(&mut self, view: &View) {
        self.told = view.routes.keys().copied().collect();
        let has_ended = |prefix: &IpPrefix| view.end_of_rib.contains(Family::of(prefix.family()));
        self.stale.retain(|prefix| !view.routes.contains_key(prefix) && !has_ended(prefix));
    }

    /// There is a session no more. What was stale before does not outlive that.
    pub(crate) fn end(&mut self, reason: &Reason, now: Instant) {
        let told = std::mem::take(&mut self.told);
        self.stale.clear();
        let Some(negotiated) = self.negotiated.take().filter(|negotiated| keeps(reason, negotiated)) else {
            return;
        };
        let Some(restart) = negotiated.graceful_restart else { return };
        let families: Vec<_> = restart.families.iter().map(|(family, _)| *family).collect();
        self.stale.extend(told.into_iter().filter(|prefix| families.contains(&Family::of(prefix.family()))));
        self.until = Some(now + Duration::from_secs(restart.restart_time.into()));
    }

    /// The routes that packets take.
    pub(crate) fn routes(&self, now: Instant) -> BTreeSet<IpPrefix> {
        let stale = self.stale.iter().filter(|_| self.is_in_time(now));
        self.told.iter().chain(stale).copied().collect()
    }

    fn is_in_time(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Whether the routes outlive a session that has ended so.
fn keeps(reason: &Reason, negotiated: &Negotiated) -> bool {
    match reason {
        Reason::ConnectionClosed | Reason::ConnectionTimedOut | Reason::Replaced => true,
        Reason::NotificationReceived(told) => {
            negotiated.notification && told.as_cease() != Some(Cease::HardReset)
        }
        Reason::HoldTimerExpired | Reason::Collision => negotiated.notification,
        Reason::ConnectFailed
        | Reason::ConnectTimedOut
        | Reason::SendHoldTimerExpired
        | Reason::MessageRefused(_)
        | Reason::OpenRefused(_)
        | Reason::UnexpectedMessage { .. }
        | Reason::BfdDown
        | Reason::ConfigChanged(_)
        | Reason::Stopped(_) => false,
    }
}
