//! The state machine of one session.

use core::num::NonZeroU32;

use ferrolb_vocab::{Instant, Random};
use ferrolb_wire::bfd::{Control, Diagnostic, Interval, State};

use crate::config::{Config, Role};
use crate::engine::Discarded;
use crate::negotiation::{Intervals, Negotiation};
use echo::EchoFunction;
pub use events::{DownReason, Event, Timer};
use jitter::jittered;
use remote::Remote;
pub use resumption::{Resumption, ResumptionError};

mod echo;
mod events;
mod jitter;
mod reading;
mod remote;
mod resumption;

/// While a session is not Up it sends no oftener than this, lest a peer without BFD is showered:
/// RFC 5880 §6.8.3.
pub const SLOW_INTERVAL: Interval = Interval::from_millis(1_000);

/// One peer, seen from this side: the state variables of RFC 5880 §6.8.1.
///
/// Driver law: after each call that takes `now`, send what [`Session::poll_transmit`] yields
/// until it yields nothing, and take [`Session::poll_event`], then sleep until
/// [`Session::poll_timeout`]. Packets that have come are handed in before
/// [`Session::handle_timeout`] is called.
#[derive(Clone, Debug)]
pub struct Session {
    local_discr: NonZeroU32,
    config: Config,
    state: State,
    local_diag: Diagnostic,
    /// `None` while bfd.RemoteDiscr is zero: the peer was not heard for a Detection Time.
    remote: Option<Remote>,
    negotiation: Negotiation,
    echo: EchoFunction,
    random: Random,
    /// What the last packet said, Poll and Final aside.
    said: Option<Control>,
    /// When the last packet that was no answer to a Poll went, and the draw that gives the time
    /// of the next.
    sent: Option<(Instant, u32)>,
    owes_final: bool,
    owes_packet: bool,
    /// At most one per call, taken after it.
    event: Option<Event>,
}

impl Session {
    /// A session in state Down, which speaks at once if it is active. `local_discr` is unique on
    /// this system and unpredictable (§6.8.1); `seed` differs between sessions.
    #[must_use]
    pub fn new(local_discr: NonZeroU32, config: Config, seed: u64, now: Instant) -> Self {
        let mut session = Self {
            local_discr,
            config,
            state: State::Down,
            local_diag: Diagnostic::NONE,
            remote: None,
            negotiation: Negotiation::new(wanted(config, State::Down, None)),
            echo: EchoFunction::default(),
            random: Random::new(seed),
            said: None,
            sent: None,
            owes_final: false,
            owes_packet: false,
            event: None,
        };
        session.settle(now);
        session
    }

    /// Replaces the configuration. A session that is Up stays so: §6.8.3.
    pub fn set_config(&mut self, config: Config, now: Instant) {
        self.config = config;
        self.settle(now);
    }

    /// Holds the session down, and tells the peer so for as long as the session exists: §6.8.16.
    /// To stop monitoring without an alarm, leave it so for [`Session::peer_detection_time`].
    pub fn disable(&mut self, now: Instant) {
        if self.state != State::AdminDown {
            self.local_diag = Diagnostic::ADMINISTRATIVELY_DOWN;
            self.enter(State::AdminDown, DownReason::AdminDown, now);
            self.settle(now);
        }
    }

    /// Lets a session that was held down come up: §6.8.16.
    pub fn enable(&mut self, now: Instant) {
        if self.state == State::AdminDown {
            self.enter(State::Down, DownReason::AdminDown, now);
            self.settle(now);
        }
    }

    /// Whether the driver can send Echo packets to the peer, sees what comes back, and sends back
    /// what the peer sends: not before that is the peer told that this side does.
    pub(crate) fn set_echo_possible(&mut self, is_possible: bool, now: Instant) {
        self.echo.is_possible = is_possible;
        self.settle(now);
    }

    /// An Echo packet of this session has come back: §6.8.8. Whether it was waited for.
    pub(crate) fn handle_echo(&mut self, sequence: u32) -> bool {
        self.echo.note_return(sequence)
    }

    /// The peer has sent `packet` for this session: §6.8.6 from where the session is found.
    ///
    /// # Errors
    /// The session is held down; the peer's variables are kept up to date all the same.
    pub fn handle_packet(&mut self, packet: &Control, now: Instant) -> Result<(), Discarded> {
        self.remote = Some(Remote::of(packet, now));
        self.negotiation.note_packet(packet.is_final);
        if self.state == State::AdminDown {
            self.settle(now);
            return Err(Discarded::AdminDown);
        }
        let next = next_state(self.state, packet.state);
        if next != self.state {
            if next == State::Down {
                self.local_diag = Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN;
            }
            self.enter(next, DownReason::of_neighbor(packet), now);
        }
        self.owes_final |= packet.is_poll;
        self.settle(now);
        Ok(())
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.detection_due().is_some_and(|due| due <= now) {
            self.lose_peer(now);
        }
        if self.transmit_due().is_some_and(|due| due <= now) {
            self.owe_packet(now);
        }
        if self.echo_due().is_some_and(|due| due <= now) {
            self.echo_or_fail(now);
        }
        self.settle(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Control> {
        let contents = self.contents();
        // §6.5: never both, so that a Poll that is due too goes in a packet of its own.
        let packet = if core::mem::take(&mut self.owes_final) {
            Control { is_final: true, ..contents }
        } else if core::mem::take(&mut self.owes_packet) {
            let is_poll = self.negotiation.is_polling();
            if is_poll {
                self.negotiation.note_poll();
            }
            Control { is_poll, ..contents }
        } else {
            return None;
        };
        self.said = Some(contents);
        Some(packet)
    }

    /// The number of the next Echo packet to send.
    pub(crate) fn poll_echo(&mut self) -> Option<u32> {
        self.echo.poll()
    }

    /// What became of the session.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// When to call [`Session::handle_timeout`], and why then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let transmit = self.transmit_due().map(|due| (due, Timer::Transmit));
        let detection = self.detection_due().map(|due| (due, Timer::Detection));
        let echo = self.echo_due().map(|due| (due, Timer::Echo));
        transmit.into_iter().chain(detection).chain(echo).min()
    }

    /// A number for what has to be drawn for the session.
    pub(crate) fn draw(&mut self) -> u32 {
        self.random.draw()
    }

    /// bfd.RemoteMinRxInterval. Without a peer that is heard, its initial value: §6.8.1, §6.8.18.
    fn remote_min_rx(&self) -> Interval {
        self.remote.map_or(REMOTE_MIN_RX_INITIAL, |remote| remote.required_min_rx)
    }

    /// Whether Demand mode is active on the peer, so that it wants no periodic packets: §6.6.
    fn is_demand_active(&self) -> bool {
        self.state == State::Up
            && self.remote.is_some_and(|remote| remote.is_demand && remote.state == State::Up)
    }

    /// §6.8.7: a passive side says nothing to a peer that it has not heard.
    fn may_speak(&self) -> bool {
        self.config.role == Role::Active || self.remote.is_some()
    }

    fn detection_due(&self) -> Option<Instant> {
        Some(self.remote?.heard + self.detection_time()?)
    }

    /// When the next periodic packet goes, always counted from the last one: an interval that
    /// becomes shorter or longer does so at once.
    fn transmit_due(&self) -> Option<Instant> {
        let (sent, draw) = self.sent?;
        Some(sent + jittered(self.tx_interval()?, self.is_alone(), draw))
    }

    fn echo_due(&self) -> Option<Instant> {
        self.echo_interval().and_then(|_active| self.echo.due(self.is_alone()))
    }

    /// Whether one lost packet is a failure.
    const fn is_alone(&self) -> bool {
        self.config.timing.detect_mult().get() == 1
    }

    /// An Echo packet is due. It goes, or those before it are missed: §6.8.5.
    fn echo_or_fail(&mut self, now: Instant) {
        if self.echo.has_failed(self.config.timing.detect_mult().get()) {
            self.local_diag = Diagnostic::ECHO_FUNCTION_FAILED;
            self.enter(State::Down, DownReason::EchoFailed, now);
        } else {
            let draw = self.random.draw();
            self.echo.owe_packet(now, draw);
        }
    }

    /// No packet has come for a Detection Time. The session is down if it was not before, and
    /// what is known of the peer is forgotten: §6.8.1, §6.8.4, §6.8.18.
    fn lose_peer(&mut self, now: Instant) {
        self.remote = None;
        match self.state {
            State::Init | State::Up => {
                self.local_diag = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
                self.enter(State::Down, DownReason::DetectionTimeExpired, now);
            }
            State::AdminDown | State::Down => {}
        }
    }

    /// The state is `next` from now on; if it was Up, `why` not any more.
    fn enter(&mut self, next: State, why: DownReason, now: Instant) {
        if self.state == State::Up {
            self.event = Some(Event::Down { at: now, why, diagnostic: self.local_diag });
        }
        if next == State::Up {
            self.local_diag = Diagnostic::NONE;
            self.event = Some(Event::Up { at: now });
        }
        self.state = next;
        let wanted = wanted(self.config, next, self.echo_interval());
        self.negotiation.change_state(wanted, next == State::Up);
    }

    /// What follows from any change.
    fn settle(&mut self, now: Instant) {
        let echo_interval = self.echo_interval();
        self.echo.set_interval(echo_interval, now, &mut self.random);
        let wanted = wanted(self.config, self.state, echo_interval);
        self.negotiation.want(wanted, self.state == State::Up);
        let is_news = self.has_news();
        if is_news && self.is_demand_active() {
            self.negotiation.poll();
        }
        if self.remote.is_none() {
            self.negotiation.stop_polling();
        }
        if !self.may_speak() {
            self.owes_packet = false;
        } else if is_news && !self.owes_final {
            // §6.8.7: between the periodic packets, to tell a change sooner.
            self.owe_packet(now);
        } else if self.sent.is_none() {
            // The answer to a Poll tells the news as well, and is the first packet.
            self.sent = Some((now, self.random.draw()));
        }
    }

    /// Whether there is something to tell that need not wait for the next periodic packet, §6.8.7.
    /// Timing waits for it, if there is one: a Poll Sequence sends no packets that would not go
    /// anyway (§6.5), and one that overtook the last would leave the peer with the old timing.
    fn has_news(&self) -> bool {
        let contents = self.contents();
        let Some(said) = self.said else { return true };
        if self.tx_interval().is_none() {
            return said != contents;
        }
        let Control { detect_mult, desired_min_tx, required_min_rx, required_min_echo_rx, .. } = contents;
        Control { detect_mult, desired_min_tx, required_min_rx, required_min_echo_rx, ..said } != contents
    }

    fn owe_packet(&mut self, now: Instant) {
        self.owes_packet = true;
        self.sent = Some((now, self.random.draw()));
    }

    /// What a packet says now, §6.8.7. This side's BFD shares the fate of its control plane and is
    /// never in Demand mode.
    fn contents(&self) -> Control {
        let advertised = self.negotiation.advertised();
        Control {
            diagnostic: self.local_diag,
            state: self.state,
            is_poll: false,
            is_final: false,
            is_control_plane_independent: false,
            is_demand: false,
            detect_mult: self.config.timing.detect_mult(),
            my_discriminator: self.local_discr,
            your_discriminator: self.remote.map(|remote| remote.discriminator),
            desired_min_tx: advertised.desired_min_tx,
            required_min_rx: advertised.required_min_rx,
            required_min_echo_rx: self.required_min_echo_rx(),
        }
    }
}

/// The state after a packet that says `received`: RFC 5880 §6.8.6.
const fn next_state(local: State, received: State) -> State {
    match (local, received) {
        (State::AdminDown, _any) => State::AdminDown,
        (State::Down | State::Init | State::Up, State::AdminDown) => State::Down,
        (State::Down, State::Down) => State::Init,
        (State::Down, State::Init) => State::Up,
        (State::Down, State::Up) => State::Down,
        (State::Init, State::Down) => State::Init,
        (State::Init, State::Init | State::Up) => State::Up,
        (State::Up, State::Down) => State::Down,
        (State::Up, State::Init | State::Up) => State::Up,
    }
}

/// What the peer is to be told in `state`: §6.8.3. While Echo packets go, the peer's packets are
/// not what a failure shows by, and need not come often.
fn wanted(config: Config, state: State, echo_interval: Option<Interval>) -> Intervals {
    let desired_min_tx = config.timing.desired_min_tx();
    let required_min_rx = config.timing.required_min_rx();
    Intervals {
        desired_min_tx: match state {
            State::Up => desired_min_tx,
            State::AdminDown | State::Down | State::Init => desired_min_tx.max(SLOW_INTERVAL),
        },
        required_min_rx: match echo_interval {
            Some(_active) => required_min_rx.max(SLOW_INTERVAL),
            None => required_min_rx,
        },
    }
}

/// bfd.RemoteMinRxInterval before the peer is heard, §6.8.1.
const REMOTE_MIN_RX_INITIAL: Interval = Interval::from_micros(1);

#[cfg(test)]
mod tests;
