//! What a pool lacks.

use core::fmt;

use ferrolb_vocab::{IpFamily, PoolName};

use crate::pool::Pool;
use crate::request::other;

/// A pool that has no address left of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The pool.
    pub pool: PoolName,
    /// The family it cannot give.
    pub family: IpFamily,
    /// How many addresses of the family it has, all in use or reserved.
    pub capacity: u128,
    /// How many of them are reserved by claims, used or not.
    pub reserved: usize,
    /// Whether it also has addresses of the other family.
    pub mixed: bool,
}

impl Shortage {
    pub(crate) fn of(pool: &Pool, family: IpFamily, reserved: usize) -> Self {
        let mixed = pool.capacity(other(family)) > 0;
        Self { pool: pool.name.clone(), family, capacity: pool.capacity(family), reserved, mixed }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, family, capacity, reserved, mixed } = self;
        match (capacity, reserved, mixed) {
            (0, ..) => return write!(f, "pool {pool} has no {family} addresses"),
            (1, 0, _) => return write!(f, "the one {family} address of pool {pool} is in use"),
            (1, _, _) => {
                return write!(f, "the one {family} address of pool {pool} is reserved by an AddressClaim");
            }
            (_, _, false) => write!(f, "pool {pool} has {capacity} addresses, all in use")?,
            (_, _, true) => write!(f, "pool {pool} has {capacity} {family} addresses, all in use")?,
        }
        match reserved {
            0 => Ok(()),
            1 => f.write_str(" or reserved (1 by an AddressClaim)"),
            _ => write!(f, " or reserved ({reserved} by AddressClaims)"),
        }
    }
}
