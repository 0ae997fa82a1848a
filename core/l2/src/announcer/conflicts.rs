//! Other stations that have, claim or want an address of ours.

use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::{Instant, InterfaceName, MacAddr, NodeName};

use super::Announcer;
use crate::claim::{Claim, Evidence, Meaning, State, Station, is_due};
use crate::frames::Unasked;
use crate::schedule::{CONFLICT_REPORT_INTERVAL, DEFEND_INTERVAL, FELLOW_PATIENCE, Probing};
use crate::verdict::{Conflict, Event};

impl Announcer {
    /// Another node claimed `address` too, and has let go: hosts may have learned that it is there. It is
    /// announced as if it were new, also where it was not used because that node had it; not where it is
    /// still to be found out whether a host has it, nor where that has just begun.
    pub fn reassert(&mut self, address: IpAddr, now: Instant) {
        let was_fellows = |claim: &Claim| match claim.occupant {
            Some(mac) => self.fellow(mac).is_some(),
            None => claim.is_fellow_around(now),
        };
        let is_due = |claim: &Claim| match claim.state {
            State::Waiting => false,
            State::Probing(_) => was_fellows(claim),
            State::Announced(schedule) => !schedule.has_just_begun(now),
        };
        let claims = self.claims.get(&address).into_iter().flatten().filter(|(_, claim)| is_due(claim));
        let interfaces: Vec<_> = claims.map(|(interface, _)| interface.clone()).collect();
        for interface in interfaces {
            self.take_over(address, &interface, now);
        }
    }

    /// Judges that `interface` heard the station `mac` show `evidence` of having `address`, and acts.
    pub(super) fn hear(
        &mut self,
        (address, evidence): (IpAddr, Evidence),
        mac: MacAddr,
        interface: &InterfaceName,
        now: Instant,
    ) -> Meaning {
        let station = Station { is_fellow: self.fellow(mac).is_some(), evidence };
        let Some(claim) = self.claim(address, interface) else { return Meaning::Nothing };
        let meaning = claim.judge(station, now);
        let is_probing = matches!(claim.state, State::Probing(_));
        match meaning {
            Meaning::Passing if is_probing => {
                self.enter(address, interface, State::Probing(Probing::starting(now + FELLOW_PATIENCE)));
            }
            Meaning::Nothing | Meaning::Passing => {}
            Meaning::Occupied => self.on_occupied(self.conflict(address, mac, interface), now),
            Meaning::Conflict => self.on_conflict(&self.conflict(address, mac, interface), now),
        }
        meaning
    }

    /// The other node whose hardware address `mac` is.
    pub(super) fn fellow(&self, mac: MacAddr) -> Option<&NodeName> {
        self.fellows.as_ref()?.get(&mac)
    }

    pub(super) fn conflict(&self, address: IpAddr, mac: MacAddr, interface: &InterfaceName) -> Conflict {
        Conflict { address, mac, node: self.fellow(mac).cloned(), interface: interface.clone() }
    }

    /// RFC 5227 §2.1.1 and RFC 4862 §5.4.5: the address is not used here. It is probed for again later,
    /// and told when it has another occupant than before.
    fn on_occupied(&mut self, conflict: Conflict, now: Instant) {
        let Conflict { address, mac, interface, .. } = &conflict;
        let Some(claim) = self.claim(*address, interface) else { return };
        let is_news = claim.occupant.replace(*mac) != Some(*mac);
        let again = Probing::starting(now + self.intervals.reprobe);
        self.enter(*address, interface, State::Probing(again));
        if is_news {
            self.tell(Event::Occupied(conflict));
        }
    }

    /// RFC 5227 §2.4 (c): the address is kept and defended, by one announcement in an interval. Not
    /// against a fellow: who of two speakers owns it is not decided by who shouts last.
    fn on_conflict(&mut self, conflict: &Conflict, now: Instant) {
        let Conflict { address, node, interface, .. } = conflict;
        let Some(claim) = self.claim(*address, interface).copied() else { return };
        let is_defended = node.is_none()
            && self.fellows.is_some()
            && is_due(claim.defended, DEFEND_INTERVAL, now)
            && self.send(*address, interface, Unasked::Defence);
        let is_reported = is_due(claim.reported, CONFLICT_REPORT_INTERVAL, now)
            && self.tell(Event::Conflict(conflict.clone()));
        let Some(claim) = self.claim(*address, interface) else { return };
        claim.defended = if is_defended { Some(now) } else { claim.defended };
        claim.reported = if is_reported { Some(now) } else { claim.reported };
    }
}
