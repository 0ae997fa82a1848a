use super::*;
use crate::config::Timing;
use alloc::vec::Vec;
use core::num::NonZeroU8;
use core::time::Duration;

mod admin;
mod echoing;
mod negotiating;
mod property;
mod resuming;
mod sending;
mod states;

/// The least by which two times differ.
const TICK: Duration = Duration::from_nanos(1);

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

fn discr(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn ms(millis: u32) -> Interval {
    Interval::from_millis(millis)
}

fn config(tx_ms: u32, rx_ms: u32, mult: u8) -> Config {
    let timing = Timing::new(ms(tx_ms), ms(rx_ms), NonZeroU8::new(mult).unwrap()).unwrap();
    Config { timing, ..Config::default() }
}

fn passive() -> Config {
    Config { role: Role::Passive, ..Config::default() }
}

/// Session 7, created at the origin, with its first packet, if any, sent.
fn new_session(config: Config) -> Session {
    let mut session = Session::new(discr(7), config, 42, at(0));
    drain(&mut session);
    session
}

/// What peer 9 says to session 7: 300 ms in both directions, times 3.
fn packet(state: State) -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: discr(9),
        your_discriminator: Some(discr(7)),
        desired_min_tx: ms(300),
        required_min_rx: ms(300),
        required_min_echo_rx: Interval::ZERO,
    }
}

fn drain(session: &mut Session) -> Vec<Control> {
    core::iter::from_fn(|| session.poll_transmit()).collect()
}

/// What the session says when it is told `packet`.
fn tell(session: &mut Session, packet: Control, now: Instant) -> Vec<Control> {
    session.handle_packet(&packet, now).unwrap();
    drain(session)
}

/// What the session says when it changes its configuration.
fn configure(session: &mut Session, config: Config, now: Instant) -> Vec<Control> {
    session.set_config(config, now);
    drain(session)
}

/// A session that went Up at `at(10)`, polled, and was answered then.
fn up_session(config: Config) -> Session {
    let mut session = new_session(config);
    tell(&mut session, packet(State::Down), at(10));
    tell(&mut session, packet(State::Init), at(10));
    assert_eq!(session.poll_event(), Some(Event::Up { at: at(10) }));
    tell(&mut session, Control { is_final: true, ..packet(State::Up) }, at(10));
    tell(&mut session, packet(State::Up), at(10));
    session
}

/// The packets that the session sends of itself until `end`, with their times.
fn run(session: &mut Session, end: Instant) -> Vec<(Instant, Control)> {
    let mut sent = Vec::new();
    while let Some((due, _)) = session.poll_timeout()
        && due <= end
    {
        session.handle_timeout(due);
        sent.extend(drain(session).into_iter().map(|packet| (due, packet)));
    }
    sent
}

/// The same while the peer says `packet` every 50 ms.
fn run_with(session: &mut Session, packet: Control, from: u64, to: u64) -> Vec<(Instant, Control)> {
    let mut sent = Vec::new();
    for time in (from..to).step_by(50) {
        sent.extend(tell(session, packet, at(time)).into_iter().map(|packet| (at(time), packet)));
        sent.extend(run(session, at(time + 50)));
    }
    sent
}

fn gaps(sent: &[(Instant, Control)]) -> Vec<Duration> {
    sent.windows(2).map(|pair| pair[1].0.saturating_since(pair[0].0)).collect()
}
