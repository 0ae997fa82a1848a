//! What the driver shows of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ferrolb_l2::{Conflict, Protocol};
use ferrolb_vocab::InterfaceName;

/// What of the driver is up, and what it may not use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L2Status {
    /// For each interface and protocol that something is announced with, whether the socket is
    /// open, or why not.
    pub listeners: BTreeMap<(InterfaceName, Protocol), Result<(), ListenerError>>,
    /// Where addresses are not announced because nobody knows yet that they are free there.
    pub unproven: BTreeSet<(IpAddr, InterfaceName)>,
    /// Of those, the addresses that another station has, in the order of addresses and interfaces.
    pub occupied: Vec<Conflict>,
}

/// Why a socket is not open: the error with its causes, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ListenerError(pub String);

impl L2Status {
    /// Whether everything that is wanted is open.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.listeners.values().all(Result::is_ok)
    }
}
