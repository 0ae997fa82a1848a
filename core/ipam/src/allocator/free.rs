//! The lowest address that is free: a walk along what is taken, never along the pool, that goes on where the last
//! one ended, since within a round what is taken only grows.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::iter;
use core::net::IpAddr;

use ferrolb_vocab::prefix::address_value;
use ferrolb_vocab::{IpFamily, IpRange};

use crate::pool::Pool;

/// By start of range, the lowest address that was not yet seen taken; `None` if all were.
#[derive(Default)]
pub(super) struct FreeFrom(BTreeMap<IpAddr, Option<IpAddr>>);

impl FreeFrom {
    /// The lowest address of `range` that `pool` gives and that is in neither part of `taken`.
    pub(super) fn lowest<V, W>(
        &mut self,
        pool: &Pool,
        range: IpRange,
        taken: (&BTreeMap<IpAddr, V>, &BTreeMap<IpAddr, W>),
    ) -> Option<IpAddr> {
        let from = self.0.get(&range.start()).copied().unwrap_or(Some(range.start()));
        let mut candidate = from.and_then(|from| usable_from(pool, range, from));
        if let Some(from) = candidate {
            let (one, other) = (taken.0.range(from..=range.end()), taken.1.range(from..=range.end()));
            for used in merged(one.map(|(used, _)| *used), other.map(|(used, _)| *used)) {
                match candidate.map(|candidate| candidate.cmp(&used)) {
                    Some(Ordering::Equal) => {
                        candidate = successor(used).and_then(|next| usable_from(pool, range, next));
                    }
                    // Taken twice over, or although the pool avoids it: by a Service that has it from a frozen pool.
                    Some(Ordering::Greater) => {}
                    Some(Ordering::Less) | None => break,
                }
            }
        }
        self.0.insert(range.start(), candidate);
        candidate
    }
}

/// All of both, in order.
fn merged(
    one: impl Iterator<Item = IpAddr>,
    other: impl Iterator<Item = IpAddr>,
) -> impl Iterator<Item = IpAddr> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if second < first => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

/// The lowest address of `range` from `from` on that `pool` gives. Of two neighbours that it avoids, .255 and .0,
/// the next is not.
fn usable_from(pool: &Pool, range: IpRange, from: IpAddr) -> Option<IpAddr> {
    let mut candidate = from;
    while pool.avoids(candidate) {
        candidate = successor(candidate)?;
    }
    range.contains(candidate).then_some(candidate)
}

fn successor(address: IpAddr) -> Option<IpAddr> {
    let family = IpFamily::of(address);
    let next = address_value(address).checked_add(1)?;
    (family == IpFamily::V6 || next <= u128::from(u32::MAX)).then(|| family.address(next))
}
