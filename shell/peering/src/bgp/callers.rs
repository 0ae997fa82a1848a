//! Peers that connect from within a range: dynamic ones, which are there as long as their connection is.
//!
//! The driver takes a connection from a range, shows who it is of ([`super::BgpView::ranges`]), and holds
//! it until that is a peer ([`Caller::name`]): what is to be of it is not the driver's to say. When its
//! connection ends, the peer is forgotten; to connect again makes another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;

use ferrolb_vocab::{InterfaceName, IpPrefix, ObjectName};
use tokio::net::TcpStream;

use super::{Password, PeerError, Wanted};

/// Peers that one range has at the same time. More are told that they are not wanted, and counted.
pub const CALLERS_MAX: usize = 100;

/// What no object's name has in it.
const SEPARATOR: char = '@';

/// Who has connected, and from which range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The range.
    pub range: ObjectName,
    /// The address within it.
    pub address: IpAddr,
}

/// Where peers may connect from that nobody has named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRange {
    /// Their addresses, which no other range has.
    pub prefixes: Vec<IpPrefix>,
    /// The address that they connect to; `None` for all of this node.
    pub source: Option<IpAddr>,
    /// The interface or VRF that they come by; `None` for any.
    pub interface: Option<InterfaceName>,
    /// The port that they connect to.
    pub port: NonZeroU16,
    /// The key that all of them have.
    pub password: Option<Password>,
}

/// How it is with a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeStatus {
    /// Who has a connection.
    pub callers: BTreeSet<IpAddr>,
    /// How many connections were refused as there were [`CALLERS_MAX`].
    pub refused: u64,
    /// Why nobody can connect.
    pub error: Option<PeerError>,
}

/// Those who have connected.
#[derive(Debug)]
pub(super) struct Callers {
    /// Each with its connection, until its task has it.
    known: BTreeMap<Caller, Option<TcpStream>>,
    refused: BTreeMap<ObjectName, u64>,
}

impl Caller {
    /// The name of the peer that it is: as its range, with its address.
    #[must_use]
    pub fn name(&self) -> ObjectName {
        let Self { range, address } = self;
        ObjectName::new(range.namespace.as_str(), format!("{}{SEPARATOR}{address}", range.name))
    }

    /// Who has this name; `None` for a peer that somebody has named.
    #[must_use]
    pub fn of(name: &ObjectName) -> Option<Self> {
        let (range, address) = name.name.split_once(SEPARATOR)?;
        Some(Self { range: ObjectName::new(name.namespace.as_str(), range), address: address.parse().ok()? })
    }
}

impl WantedRange {
    /// Whether peers connect from this address.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(address))
    }
}

impl Wanted {
    /// Whether there is to be a peer of a range with this address. One that somebody has named is no other because
    /// it connects.
    pub(super) fn admits(&self, Caller { range, address }: &Caller) -> bool {
        self.ranges.get(range).is_some_and(|range| {
            let is_named = self.peers.iter().any(|(name, peer)| {
                let transport = &peer.config.transport;
                let is_there = transport.remote.ip() == *address && transport.interface == range.interface;
                is_there && Caller::of(name).is_none()
            });
            range.contains(*address) && !is_named
        })
    }
}

impl Callers {
    /// Those among the peers of the process before this one.
    pub(super) fn among<'a>(peers: impl Iterator<Item = &'a ObjectName>) -> Self {
        Self {
            known: peers.filter_map(|name| Some((Caller::of(name)?, None))).collect(),
            refused: BTreeMap::new(),
        }
    }

    /// Holds a connection until it is known what is to be of it; of several of one peer, the last.
    ///
    /// # Errors
    /// The range has as many as it may: the connection.
    pub(super) fn admit(&mut self, caller: Caller, stream: TcpStream) -> Result<(), TcpStream> {
        let others = self.known.keys().filter(|known| known.range == caller.range && **known != caller);
        if others.count() >= CALLERS_MAX {
            let refused = self.refused.entry(caller.range).or_default();
            *refused = refused.saturating_add(1);
            return Err(stream);
        }
        self.known.insert(caller, Some(stream));
        Ok(())
    }

    /// The connection that is held.
    pub(super) fn take(&mut self, caller: &Caller) -> Option<TcpStream> {
        self.known.get_mut(caller)?.take()
    }

    /// Forgets who has neither a connection nor a task. What is held of those who are to be no peers any more.
    pub(super) fn retain(
        &mut self,
        wanted: &Wanted,
        has_task: impl Fn(&ObjectName) -> bool,
    ) -> Vec<TcpStream> {
        let mut unwanted = Vec::new();
        self.refused.retain(|range, _| wanted.ranges.contains_key(range));
        self.known.retain(|caller, held| {
            let stays = if held.is_some() { wanted.admits(caller) } else { has_task(&caller.name()) };
            if !stays {
                unwanted.extend(held.take());
            }
            stays
        });
        unwanted
    }

    /// How it is with each range, of which `error` says why nobody can connect.
    pub(super) fn status(
        &self,
        ranges: &BTreeMap<ObjectName, WantedRange>,
        error: impl Fn(&WantedRange) -> Option<PeerError>,
    ) -> BTreeMap<ObjectName, RangeStatus> {
        let status = |(name, range): (&ObjectName, &WantedRange)| {
            let refused = self.refused.get(name).copied().unwrap_or_default();
            (name.clone(), RangeStatus { callers: BTreeSet::new(), refused, error: error(range) })
        };
        let mut all: BTreeMap<_, _> = ranges.iter().map(status).collect();
        for Caller { range, address } in self.known.keys() {
            // Those of the process before this one may be shown before their range is known.
            all.entry(range.clone()).or_default().callers.insert(*address);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_found_by_its_name_and_nobody_else_has_such_a_name() {
        let range = ObjectName::new("metallb-system", "leaves");
        for address in ["192.0.2.7", "2001:db8::7"] {
            let caller = Caller { range: range.clone(), address: address.parse().unwrap() };
            assert_eq!(caller.name().to_string(), format!("metallb-system/leaves@{address}"));
            assert_eq!(Caller::of(&caller.name()), Some(caller));
        }
        assert_eq!(Caller::of(&range), None);
        assert_eq!(Caller::of(&ObjectName::new("metallb-system", "leaves@eth0")), None);
    }
}
