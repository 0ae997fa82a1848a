//! Whether a peer's process is gone, by what its kernel says.
//!
//! When nobody listens on the port any more, the kernel answers a datagram with an ICMP message
//! (RFC 1122 §3.2.2.1: code Port Unreachable; RFC 4443 §3.1 for IPv6), which quotes it. That is
//! quicker than silence, and can be wrong: it may be forged by whoever saw the datagram, and one
//! of a peer's addresses may be unheard while another works. So it counts only
//!
//! - of [`REFUSALS`] different datagrams, all sent after the peer was heard last,
//! - on every address of the peer,
//! - until the peer, given up for it, returns in the same incarnation: then it was wrong.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;

/// Refused datagrams per address after which the process is gone.
pub const REFUSALS: u32 = 2;

/// What was refused since the peer was heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals {
    /// Number of the last datagram that was sent to the peer before it was heard last.
    heard_after: u64,
    refused: BTreeMap<SocketAddr, Refused>,
    is_refuted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    last: u64,
    count: u32,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing.
    None,
    /// The process may be gone: one more datagram tells.
    Doubt,
    /// The process is gone.
    Gone,
}

impl Refusals {
    /// The peer was heard when the datagram `sequence` was the last one sent to it.
    pub(crate) fn clear(&mut self, sequence: u64) {
        self.heard_after = sequence;
        self.refused.clear();
    }

    /// Refusals of the peer in this incarnation were wrong once.
    pub(crate) const fn refute(&mut self) {
        self.is_refuted = true;
    }

    /// The datagram `sequence` was refused at `dst`, one of the peer's `addresses`.
    pub(crate) fn note(&mut self, dst: SocketAddr, sequence: u64, addresses: &[SocketAddr]) -> Meaning {
        if self.is_refuted || sequence <= self.heard_after || !addresses.contains(&dst) {
            return Meaning::None;
        }
        let refused = self.refused.entry(dst).or_insert(Refused { last: self.heard_after, count: 0 });
        if sequence <= refused.last {
            return Meaning::None;
        }
        *refused = Refused { last: sequence, count: refused.count + 1 };
        let counts =
            addresses.iter().map(|address| self.refused.get(address).map_or(0, |refused| refused.count));
        if counts.min().unwrap_or_default() >= REFUSALS { Meaning::Gone } else { Meaning::Doubt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> [SocketAddr; 2] {
        ["192.0.2.1:9482".parse().unwrap(), "[2001:db8::1]:9482".parse().unwrap()]
    }

    fn heard_after_ten() -> Refusals {
        let mut refusals = Refusals::default();
        refusals.clear(10);
        refusals
    }

    #[test]
    fn two_datagrams_sent_after_the_peer_was_heard_tell() {
        let [one, _] = addresses();
        let mut refusals = heard_after_ten();
        assert_eq!(refusals.note(one, 10, &[one]), Meaning::None, "the peer was heard after it");
        assert_eq!(refusals.note(one, 11, &[one]), Meaning::Doubt);
        assert_eq!(refusals.note(one, 11, &[one]), Meaning::None, "the same datagram");
        assert_eq!(refusals.note(one, 12, &[one]), Meaning::Gone);
    }

    #[test]
    fn every_address_must_refuse() {
        let [one, two] = addresses();
        let mut refusals = heard_after_ten();
        for sequence in 11..50 {
            assert_eq!(refusals.note(one, sequence, &addresses()), Meaning::Doubt);
        }
        assert_eq!(refusals.note(two, 49, &addresses()), Meaning::Doubt);
        assert_eq!(refusals.note(two, 50, &addresses()), Meaning::Gone);
        let elsewhere = "192.0.2.9:9482".parse().unwrap();
        assert_eq!(refusals.note(elsewhere, 51, &addresses()), Meaning::None);
    }

    #[test]
    fn hearing_the_peer_begins_anew_and_a_refuted_refusal_is_never_believed_again() {
        let [one, _] = addresses();
        let mut refusals = heard_after_ten();
        refusals.note(one, 11, &[one]);
        refusals.clear(12);
        assert_eq!(refusals.note(one, 12, &[one]), Meaning::None);
        assert_eq!(refusals.note(one, 13, &[one]), Meaning::Doubt);
        refusals.refute();
        assert_eq!(refusals.note(one, 14, &[one]), Meaning::None);
    }
}
