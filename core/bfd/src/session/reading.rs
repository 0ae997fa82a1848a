//! What can be read of a session.

use core::num::NonZeroU32;
use core::time::Duration;

use ferrolb_wire::bfd::{Diagnostic, Interval, State};

use super::Session;
use crate::config::Config;

impl Session {
    /// This side's name of the session (bfd.LocalDiscr).
    #[must_use]
    pub const fn local_discr(&self) -> NonZeroU32 {
        self.local_discr
    }

    /// What the operator wants.
    #[must_use]
    pub const fn config(&self) -> Config {
        self.config
    }

    /// bfd.SessionState.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// bfd.RemoteSessionState, Down while the peer is not heard. In AdminDown it has no BFD by its
    /// operator's will: nobody need wait for it to come up.
    #[must_use]
    pub fn remote_state(&self) -> State {
        self.remote.map_or(State::Down, |remote| remote.state)
    }

    /// bfd.LocalDiag: why the session left Up last.
    #[must_use]
    pub const fn local_diag(&self) -> Diagnostic {
        self.local_diag
    }

    /// What the peer gave as its reason last.
    #[must_use]
    pub fn remote_diag(&self) -> Diagnostic {
        self.remote.map_or(Diagnostic::NONE, |remote| remote.diagnostic)
    }

    /// How long silence of the peer may last, in Asynchronous mode: its Detect Mult times the
    /// interval that it has agreed to, §6.8.4. `None` while it is not heard.
    #[must_use]
    pub fn detection_time(&self) -> Option<Duration> {
        let remote = self.remote?;
        Some(self.rx_interval()?.duration() * u32::from(remote.detect_mult.get()))
    }

    /// The longest time between two of the peer's packets: the slower of what it would send and
    /// what this side can receive, §6.8.4. `None` while it is not heard.
    #[must_use]
    pub fn rx_interval(&self) -> Option<Interval> {
        let remote = self.remote?;
        Some(self.negotiation.in_force().required_min_rx.max(remote.desired_min_tx))
    }

    /// How long the peer waits for this side's packets, as far as this side can know.
    #[must_use]
    pub fn peer_detection_time(&self) -> Duration {
        let interval = self.negotiation.advertised().desired_min_tx.max(self.remote_min_rx());
        interval.duration() * u32::from(self.config.timing.detect_mult().get())
    }

    /// The time between two packets, jitter aside: the slower of what this side would send and
    /// what the peer can receive, §6.8.2. `None` while no packets go periodically, §6.8.7.
    #[must_use]
    pub fn tx_interval(&self) -> Option<Interval> {
        let is_demanded = self.is_demand_active() && !self.negotiation.is_polling();
        let remote_min_rx = self.remote_min_rx();
        let is_periodic = self.may_speak() && remote_min_rx != Interval::ZERO && !is_demanded;
        is_periodic.then(|| self.negotiation.in_force().desired_min_tx.max(remote_min_rx))
    }

    /// The time between two Echo packets of this side, jitter aside: the slower of what it would
    /// send and what the peer can loop back, §6.8.9. `None` while the Echo function is not active.
    #[must_use]
    pub fn echo_interval(&self) -> Option<Interval> {
        let own = self.config.timing.echo()?;
        let theirs = self.remote?.required_min_echo_rx;
        let is_active = self.echo.is_possible && self.state == State::Up && theirs != Interval::ZERO;
        is_active.then(|| own.max(theirs))
    }

    /// How often the peer's Echo packets may come (bfd.RequiredMinEchoRxInterval). Zero: they are
    /// not looped back.
    #[must_use]
    pub fn required_min_echo_rx(&self) -> Interval {
        self.config.timing.echo().filter(|_| self.echo.is_possible).unwrap_or_default()
    }
}
