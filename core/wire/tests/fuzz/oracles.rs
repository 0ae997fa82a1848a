//! Codecs of others: what they read in our messages, and ours in theirs.
//!
//! `rustbgpd` follows RFC 7606, so that what becomes of malformed messages can be compared: where the
//! two differ, [`differences`] says why. `netgauze` is another reader of what is well-formed.

mod agreement;
mod differences;
mod netgauze;
mod rustbgpd;
mod told;

pub(crate) use differences::compare;
pub(crate) use told::Told;
