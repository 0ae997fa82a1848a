//! Other stations that have, claim or want an address of ours.

use core::net::IpAddr;

use ferrolb_vocab::{Instant, InterfaceName, MacAddr, NodeName};

use super::Announcer;
use crate::claim::{Evidence, Meaning, State, Station, is_due};
use crate::frames::Unasked;
use crate::schedule::{CONFLICT_REPORT_INTERVAL, DEFEND_INTERVAL, FELLOW_PATIENCE, Probing};
use crate::verdict::{Conflict, Event};

impl Announcer {
    /// Judges that `interface` heard the station `mac` show `evidence` of having `address`, and acts.
    pub(super) fn hear(
        &mut self,
        (address, evidence): (IpAddr, Evidence),
        mac: MacAddr,
        interface: &InterfaceName,
        now: Instant,
    ) -> Meaning {
        let station = Station { mac, is_fellow: self.fellow(mac).is_some(), evidence };
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
