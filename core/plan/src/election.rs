//! The order in which nodes are entitled to an address: the same on every node.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::IpAddr;

use ferrolb_vocab::NodeName;
use sha2::{Digest, Sha256};

/// A node that may announce, with how much it is preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The node.
    pub node: &'a NodeName,
    /// Sum of the preference weights; higher comes first.
    pub preference: u64,
}

/// Sorts `candidates` by preference, then by SHA-256 of `<node>#<address>`, so that addresses
/// spread over nodes and a migration from MetalLB moves none
/// (docs/reference/metallb-contract.md, "Election").
#[must_use]
pub fn order<'a>(mut candidates: Vec<Candidate<'a>>, address: IpAddr) -> Vec<Candidate<'a>> {
    candidates.sort_by_cached_key(|candidate| {
        (core::cmp::Reverse(candidate.preference), digest(candidate.node, address))
    });
    candidates
}

pub(crate) fn digest(node: &NodeName, address: IpAddr) -> [u8; 32] {
    // Go's net.IP prints an IPv4-mapped address as IPv4; the hash is over that text.
    let address = address.to_canonical().to_string();
    Sha256::new().chain_update(node.as_str()).chain_update("#").chain_update(address).finalize().into()
}
