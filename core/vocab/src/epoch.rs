//! How often an address has changed hands.

use core::fmt;

/// The number under which a node owns an address: whoever takes it over uses the next, so that of
/// two nodes that both believe to own it the one with the higher epoch is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Below every epoch of an owner. A node that says it of an address may own it and cannot
    /// announce it: it stands back for the others.
    pub const STANDS_BACK: Self = Self(0);

    /// The epoch of an address that nobody owned before, as far as is known.
    pub const FIRST: Self = Self(1);

    /// The epoch of the next owner.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
