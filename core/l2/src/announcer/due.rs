//! What the announcer does when a time has come: it probes, and announces.

use core::net::IpAddr;

use ferrolb_vocab::{Instant, InterfaceName};

use super::Announcer;
use crate::claim::{Start, State};
use crate::frames::{self, Unasked};
use crate::schedule::Schedule;
use crate::verdict::{Event, Transmit};

impl Announcer {
    /// The driver could not send `transmit`. A probe that nobody heard proves nothing, so it is sent
    /// again after [`PROBE_RETRY`](crate::schedule::PROBE_RETRY); an announcement is made up for by the next.
    pub fn handle_unsent(&mut self, transmit: &Transmit, now: Instant) {
        let Transmit { interface, address, .. } = transmit;
        let Some(claim) = self.claim(*address, interface) else { return };
        if let State::Probing(probing) = claim.state {
            self.enter(*address, interface, State::Probing(probing.without_last(now)));
        }
    }

    /// Does what is due for a claim, and sets its next timer.
    pub(super) fn on_due(&mut self, address: IpAddr, interface: &InterfaceName, now: Instant) {
        let Some(claim) = self.claim(address, interface) else { return };
        match claim.state {
            State::Waiting => {}
            State::Probing(probing) if probing.is_last() => self.on_free(address, interface, now),
            State::Probing(probing) => {
                self.enter(address, interface, State::Probing(probing.after(now)));
                self.send(address, interface, Unasked::Probe);
            }
            State::Announced(schedule) => {
                let next = schedule.after(now, self.intervals.refresh_of(address));
                self.enter(address, interface, State::Announced(next));
                self.send(address, interface, Unasked::Announcement);
                // Refreshing is for tables that already hold us, where either form will do.
                if schedule.is_in_burst() {
                    self.send(address, interface, Unasked::AnnouncementReply);
                }
            }
        }
    }

    /// Nobody has answered: the address is ours, for as long as this node owns it.
    fn on_free(&mut self, address: IpAddr, interface: &InterfaceName, now: Instant) {
        self.take_over(address, interface, now);
        self.on_due(address, interface, now);
    }

    /// The address is in use on the interface, and announced from `now` on.
    pub(super) fn take_over(&mut self, address: IpAddr, interface: &InterfaceName, now: Instant) {
        let Some(claim) = self.claim(address, interface) else { return };
        claim.start = Start::TakeOver;
        if claim.occupant.take().is_some() {
            self.tell(Event::Free { address, interface: interface.clone() });
        }
        self.unproven.remove(&(address, interface.clone()));
        self.enter(address, interface, State::Announced(Schedule::starting(now)));
    }

    /// Queues a frame that nobody asked for; `false` if it is not.
    pub(super) fn send(&mut self, address: IpAddr, interface: &InterfaceName, what: Unasked) -> bool {
        let Some(link) = self.links.get(interface) else { return false };
        frames::unasked(what, link.mac, address).is_some_and(|(kind, frame)| {
            self.transmit(Transmit { interface: interface.clone(), address, kind, frame })
        })
    }
}
