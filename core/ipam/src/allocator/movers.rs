//! Services that have addresses, and whose claims mean others: they move once they can, and keep what they have
//! until then.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::applicant::{Applicant, Wish};
use super::choose::Choice;
use super::keep::as_admitted;
use super::{Allocator, Need, Round, Turn};
use crate::decision::{Allocation, Change, Cleared, Decision};
use crate::pool::Pool;
use crate::refusal::Refusal;

/// A Service that keeps what it has unless it can have what its claims mean.
pub(super) struct Mover<'a> {
    applicant: Applicant<'a>,
    claimed: &'a [IpAddr],
    pool: &'a Pool,
    addresses: Vec<IpAddr>,
    why: Refusal,
}

/// Who has not what it asks for: those whose claims mean other addresses, and the turns of all the rest.
#[derive(Default)]
pub(super) struct Unsettled<'a> {
    movers: Vec<Mover<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> Unsettled<'a> {
    /// Adds a Service that does not have what it asks for, as `why` says.
    pub(super) fn add(
        &mut self,
        round: &mut Round<'a>,
        applicant: Applicant<'a>,
        addresses: Vec<IpAddr>,
        why: Refusal,
    ) {
        let why = match applicant.wish() {
            Wish::Claimed(claimed) => match round.keep(applicant, &addresses, as_admitted) {
                Ok(pool) => return self.movers.push(Mover { applicant, claimed, pool, addresses, why }),
                Err(why) => why,
            },
            Wish::Any | Wish::Pool(_) | Wish::Addresses { .. } | Wish::Unreadable { .. } | Wish::Unmet(_) => {
                why
            }
        };
        self.turns.push(Turn::after_clearing(applicant, addresses, why));
    }
}

impl Allocator {
    /// Third step. Moves those who can be given what their claims mean, the oldest first. What they leave is free
    /// from the next round on: within one, what is in use only grows.
    pub(super) fn settle_movers<'a>(
        &mut self,
        round: &mut Round<'a>,
        unsettled: Unsettled<'a>,
    ) -> Vec<Turn<'a>> {
        let Unsettled { mut movers, mut turns } = unsettled;
        movers.sort_by_key(|mover| mover.applicant.seniority());
        for Mover { applicant, claimed, pool, addresses, why } in movers {
            let allocation = match round.move_to(applicant, claimed, &addresses) {
                Ok(choice) => {
                    turns.extend(Turn::for_second_family(applicant, &choice.1));
                    let cleared = Some(Box::new(Cleared { addresses, why }));
                    Allocation { cleared, ..Allocation::new(applicant, choice, Change::Allocated) }
                }
                Err(not_yet) => {
                    turns.push(Turn { applicant, need: Need::Reason });
                    let kept = Allocation::new(applicant, (pool, addresses), Change::Kept);
                    Allocation { unmet: Some(Box::new(not_yet)), ..kept }
                }
            };
            self.decisions.insert(applicant.service.clone(), Decision::Allocated(allocation));
        }
        turns
    }
}

impl<'a> Round<'a> {
    /// Gives `applicant`, which `has` addresses, those that its claims mean.
    fn move_to(
        &mut self,
        applicant: Applicant<'a>,
        claimed: &[IpAddr],
        has: &[IpAddr],
    ) -> Result<Choice<'a>, Refusal> {
        let (pool, addresses) = self.choose_claimed(applicant, claimed, has)?;
        for new in addresses.iter().filter(|address| !has.contains(address)) {
            self.ledger.occupy(applicant, *new);
        }
        Ok((pool, addresses))
    }
}
