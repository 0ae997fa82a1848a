//! What the peer said last.

use core::num::{NonZeroU8, NonZeroU32};

use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{Control, Diagnostic, Interval, State};

/// The state variables of RFC 5880 §6.8.1 that are the peer's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote {
    /// When its last valid packet came.
    pub(super) heard: Instant,
    pub(super) discriminator: NonZeroU32,
    pub(super) state: State,
    pub(super) diagnostic: Diagnostic,
    pub(super) is_demand: bool,
    pub(super) detect_mult: NonZeroU8,
    pub(super) desired_min_tx: Interval,
    pub(super) required_min_rx: Interval,
    pub(super) required_min_echo_rx: Interval,
}

impl Remote {
    pub(super) const fn of(packet: &Control, now: Instant) -> Self {
        Self {
            heard: now,
            discriminator: packet.my_discriminator,
            state: packet.state,
            diagnostic: packet.diagnostic,
            is_demand: packet.is_demand,
            detect_mult: packet.detect_mult,
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
            required_min_echo_rx: packet.required_min_echo_rx,
        }
    }

    /// A packet that says the same again to the session `local_discr`.
    pub(super) const fn packet(&self, local_discr: NonZeroU32) -> Control {
        Control {
            diagnostic: self.diagnostic,
            state: self.state,
            is_poll: false,
            is_final: false,
            is_control_plane_independent: false,
            is_demand: self.is_demand,
            detect_mult: self.detect_mult,
            my_discriminator: self.discriminator,
            your_discriminator: Some(local_discr),
            desired_min_tx: self.desired_min_tx,
            required_min_rx: self.required_min_rx,
            required_min_echo_rx: self.required_min_echo_rx,
        }
    }
}
