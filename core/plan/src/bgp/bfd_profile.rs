//! What a `BFDProfile` says.

use core::num::NonZeroU8;
use core::time::Duration;

/// A `BFDProfile`, with what holds where it says nothing
/// (docs/reference/metallb-contract.md, "BFDProfile").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BfdProfile {
    /// How often packets can be received: bfd.RequiredMinRxInterval, RFC 5880 §6.8.1.
    pub receive_interval: Duration,
    /// How often packets are sent: bfd.DesiredMinTxInterval while Up.
    pub transmit_interval: Duration,
    /// How many intervals of silence are a failure: bfd.DetectMult.
    pub detect_multiplier: NonZeroU8,
    /// How often echo packets go and may come; `None` without echo mode.
    pub echo_interval: Option<Duration>,
    /// Whether to say nothing before the peer has been heard.
    pub passive: bool,
    /// The least Time to Live of packets that come over several hops.
    pub minimum_ttl: u8,
}

impl BfdProfile {
    /// The interval of echo packets where the profile names none.
    pub const ECHO_INTERVAL: Duration = Duration::from_millis(50);
}

impl Default for BfdProfile {
    fn default() -> Self {
        Self {
            receive_interval: Duration::from_millis(300),
            transmit_interval: Duration::from_millis(300),
            detect_multiplier: NonZeroU8::MIN.saturating_add(2),
            echo_interval: None,
            passive: false,
            minimum_ttl: 254,
        }
    }
}
