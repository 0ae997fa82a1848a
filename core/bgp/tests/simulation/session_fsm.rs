//! One peer of which the other side does whatever it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::{
    BfdPolicy, BfdState, Config, ConnectionId, Direction, Event, HoldTime, Peer, Role, Route, State, Stop,
    Transmit,
};
use ferrolb_vocab::{Asn, BgpId, Community, Instant, IpPrefix};
use ferrolb_wire::bgp::{
    Capabilities, Families, Family, GracefulRestart, Notification, Open, RouteRefresh, Subtype, keepalive,
};

use crate::choices::Choices;
use crate::driver::Target;
use crate::host::{End, View, config, expected, has_update};
use crate::network::SECOND;

/// Nobody listens, for a second each.
const REFUSED: [u8; 100] = *[[15, 3, 4, 0, 0]; 20].as_flattened().as_array().unwrap();

/// Inputs to begin with: sessions that come up by either connection, and what ends them.
const CORPUS: [&[u8]; 7] = [
    &[],
    &REFUSED,
    &[0, 4, 0, 4, 0, 5, 0, 10, 0, 9, 0, 9, 200, 9, 150, 3, 19, 136, 0, 10, 0, 11, 0],
    &[2, 4, 0, 4, 0, 5, 0, 10, 0, 9, 1, 9, 210, 8, 0, 0, 0, 10, 0, 7, 0, 0],
    &[0, 2, 4, 0, 4, 0, 4, 0, 3, 1, 5, 0, 5, 1, 10, 0],
    &[15, 3, 4, 0, 0, 0, 4, 1, 4, 0, 5, 0, 13, 2, 1, 13, 2, 0, 3, 255, 255, 1],
    &[14, 1, 2, 1, 0, 2, 4, 2, 1, 0, 5, 0, 3, 40, 0, 0, 13, 4, 0],
];

#[test]
fn whatever_the_other_side_does_a_session_can_be_had_and_says_what_is_wanted() {
    let corpus = CORPUS.map(<[u8]>::to_vec).into();
    let target = Target { name: "session_fsm", corpus, octets_max: 400, executions: 10_000 };
    target.run(|input| {
        let mut harness = Harness::new();
        let mut choices = Choices::new(input);
        let mut states = Vec::from([harness.peer.state()]);
        while !choices.is_empty() {
            harness.apply(&mut choices);
            if states.last() != Some(&harness.peer.state()) {
                states.push(harness.peer.state());
            }
        }
        harness.come_to_rest();
        states.truncate(8);
        format!("{} {states:?}", harness.connects.len())
    });
}

struct Harness {
    peer: Peer,
    now: Instant,
    is_started: bool,
    bfd: BfdState,
    /// What this side has asked TCP for.
    attempt: Option<ConnectionId>,
    /// Connections that neither side has closed.
    open: BTreeMap<ConnectionId, Direction>,
    session: Option<ConnectionId>,
    ids: BTreeSet<ConnectionId>,
    views: BTreeMap<ConnectionId, View>,
    wanted: BTreeMap<IpPrefix, Arc<Route>>,
    connects: Vec<Instant>,
    /// When somebody but the other side had a say.
    interventions: Vec<Instant>,
}

impl Harness {
    fn new() -> Self {
        let mut harness = Self {
            peer: Peer::new(config(End::A), 1),
            now: Instant::ORIGIN,
            is_started: false,
            bfd: BfdState::Down,
            attempt: None,
            open: BTreeMap::new(),
            session: None,
            ids: BTreeSet::new(),
            views: BTreeMap::new(),
            wanted: BTreeMap::new(),
            connects: Vec::new(),
            interventions: Vec::new(),
        };
        harness.start(Peer::start);
        harness
    }

    fn apply(&mut self, choices: &mut Choices<'_>) {
        match choices.octet() % 16 {
            0 | 1 => self.connected(),
            2 => self.accept(),
            3 => self.wait(Duration::from_millis(choices.word() * choices.one_of(&[1, 4]))),
            4 => self.say(choices, |choices| open(choices).emit()),
            5 | 6 => self.say(choices, |_choices| keepalive().to_vec()),
            7 => self.say(choices, |choices| notification(choices).emit()),
            8 => self.say(choices, |choices| {
                let subtype = choices.one_of(&[Subtype::Request, Subtype::EndOfRefresh]);
                RouteRefresh { family: Some(choices.one_of(&Family::ALL)), subtype }.emit()
            }),
            9 => self.change_route(choices),
            10 => self.with_connection(choices, |peer, id, now| peer.handle_writable(id, now)),
            11 => self.close(choices),
            12 => self.say(choices, |choices| {
                let count = choices.octet();
                choices.octets(count.into()).to_vec()
            }),
            13 => self.intervene(choices),
            14 => self.set_config(choices),
            _fifteen => self.refuse(),
        }
    }

    /// TCP has opened what this side asked for.
    fn connected(&mut self) {
        if let Some(id) = self.attempt.take() {
            self.opened(id, Direction::Outgoing);
        }
    }

    fn accept(&mut self) {
        let id = self.peer.next_connection();
        assert!(self.ids.insert(id), "{id} is used twice");
        self.opened(id, Direction::Incoming);
    }

    fn opened(&mut self, id: ConnectionId, direction: Direction) {
        self.open.insert(id, direction);
        let (local, remote) = (End::A.address(), End::B.address());
        self.peer.handle_connected(id, direction, local, remote, self.now);
        self.drain();
    }

    fn refuse(&mut self) {
        if let Some(id) = self.attempt.take() {
            self.peer.handle_connect_failed(id, self.now);
            self.drain();
        }
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        // As a driver does: at each time that the peer has asked for.
        while let Some((due, timer)) = self.peer.poll_timeout().filter(|(due, _)| *due <= end) {
            self.now = self.now.max(due);
            self.peer.handle_timeout(self.now);
            self.drain();
            let next = self.peer.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > self.now), "{timer:?} is due again: {next:?}");
        }
        self.now = end;
    }

    /// Calls the peer for one of the connections, if there is any.
    fn with_connection(
        &mut self,
        choices: &mut Choices<'_>,
        call: impl FnOnce(&mut Peer, ConnectionId, Instant),
    ) {
        let ids: Vec<_> = self.open.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        call(&mut self.peer, choices.one_of(&ids), self.now);
        self.drain();
    }

    fn say(&mut self, choices: &mut Choices<'_>, what: impl FnOnce(&mut Choices<'_>) -> Vec<u8>) {
        let octets = what(choices);
        self.with_connection(choices, |peer, id, now| peer.handle_octets(id, &octets, now));
    }

    fn close(&mut self, choices: &mut Choices<'_>) {
        let ids: Vec<_> = self.open.keys().copied().collect();
        if !ids.is_empty() {
            self.closed(choices.one_of(&ids));
        }
    }

    fn closed(&mut self, id: ConnectionId) {
        self.open.remove(&id);
        self.peer.handle_closed(id, self.now);
        self.drain();
    }

    fn change_route(&mut self, choices: &mut Choices<'_>) {
        let choice = choices.octet();
        let text = if choice.is_multiple_of(2) { "192.0.2.0/32" } else { "2001:db8::/64" };
        let prefix: IpPrefix = text.parse().unwrap();
        match choice {
            0..120 => {
                let communities = [Community(choice.into())].into();
                let route = Arc::new(Route { communities, ..Route::default() });
                self.peer.rib_out_mut().announce(prefix, &route);
                self.wanted.insert(prefix, route);
            }
            120..200 => {
                self.peer.rib_out_mut().withdraw(prefix);
                self.wanted.remove(&prefix);
            }
            200.. => self.peer.rib_out_mut().complete(),
        }
        self.peer.flush(self.now);
        self.drain();
    }

    fn start(&mut self, start: fn(&mut Peer, Instant)) {
        self.interventions.push(self.now);
        self.is_started = true;
        start(&mut self.peer, self.now);
        self.drain();
    }

    fn intervene(&mut self, choices: &mut Choices<'_>) {
        self.interventions.push(self.now);
        match choices.octet() % 6 {
            0 => self.start(Peer::start),
            1 => self.start(Peer::start_restarted),
            2 | 3 => {
                self.bfd = choices.one_of(&[BfdState::Down, BfdState::Up, BfdState::AdminDown]);
                self.peer.set_bfd(self.bfd, self.now);
            }
            _four_or_five => {
                let stops =
                    [Stop::Restart, Stop::Shutdown(Some("text".into())), Stop::PeerRemoved, Stop::Reset];
                let stop = choices.one_of(&stops);
                self.is_started &= stop == Stop::Reset;
                self.peer.stop(stop, self.now);
            }
        }
        self.drain();
    }

    fn set_config(&mut self, choices: &mut Choices<'_>) {
        self.interventions.push(self.now);
        let seconds = choices.one_of(&[0, 3, 9, 90]);
        let usual = config(End::A);
        let config = Config {
            hold_time: HoldTime::new(seconds).unwrap(),
            role: choices.one_of(&[Role::Active, Role::Active, Role::Passive]),
            bfd: choices.one_of(&[BfdPolicy::Ignore, BfdPolicy::Follow, BfdPolicy::Strict]),
            graceful_restart: choices.one_of(&[usual.graceful_restart, None]),
            ..usual
        };
        self.peer.set_config(config, self.now);
        self.drain();
    }

    /// Takes what comes out of the peer, and checks what always holds.
    fn drain(&mut self) {
        let mut sessions = Vec::from_iter(self.session);
        while let Some(event) = self.peer.poll_event() {
            match event {
                Event::Established { connection, .. } => {
                    assert_eq!(self.session.replace(connection), None, "one session at most");
                    sessions.push(connection);
                }
                Event::Down { .. } => assert!(self.session.take().is_some(), "none to lose"),
                Event::Failed { .. } | Event::Refused { .. } | Event::EndOfRib { .. } => {}
            }
        }
        while let Some(transmit) = self.peer.poll_transmit() {
            match transmit {
                Transmit::Connect { id } => self.note_connect(id),
                Transmit::Send { id, octets } => {
                    assert!(self.open.contains_key(&id), "{id} is closed");
                    assert!(sessions.contains(&id) || !has_update(&octets), "an UPDATE without a session");
                    self.views.entry(id).or_default().take(End::B, &octets);
                }
                Transmit::Close { id } => assert!(self.open.remove(&id).is_some(), "{id} is closed twice"),
                Transmit::Abort { id } => {
                    let is_attempt = self.attempt.take_if(|attempt| *attempt == id).is_some();
                    assert!(is_attempt || self.open.remove(&id).is_some(), "{id} is closed twice");
                }
            }
        }
        assert_eq!(self.peer.state() == State::Established, self.session.is_some());
        assert!(self.open.len() <= 2, "{:?}", self.open);
        if self.peer.poll_timeout().is_none() {
            let config = self.peer.config();
            let waits_for_bfd = config.bfd == BfdPolicy::Strict && self.bfd == BfdState::Down;
            let negotiated = self.peer.status(self.now).negotiated;
            let is_silent = negotiated.is_some_and(|negotiated| negotiated.hold_time.is_none());
            let may_wait = !self.is_started || config.role == Role::Passive || waits_for_bfd || is_silent;
            assert!(may_wait, "nothing to wait for in {}", self.peer.state());
        }
    }

    /// However often they fail, and whatever the other side does: few attempts in ten seconds.
    fn note_connect(&mut self, id: ConnectionId) {
        assert!(self.ids.insert(id), "{id} is used twice");
        assert_eq!(self.attempt.replace(id), None, "one attempt at a time");
        self.connects.push(self.now);
        let now = self.now;
        let recent = |times: &[Instant]| {
            times.iter().filter(|time| now.saturating_since(**time) < 10 * SECOND).count()
        };
        let most = 6 * (1 + recent(&self.interventions));
        assert!(recent(&self.connects) <= most, "{:?}", self.connects);
    }

    /// The other side behaves, and nobody has a say: there is a session, and the other side knows what
    /// is wanted.
    fn come_to_rest(&mut self) {
        let ids: Vec<_> = self.open.keys().copied().collect();
        for id in ids {
            if self.open.contains_key(&id) {
                self.closed(id);
            }
        }
        self.interventions.push(self.now);
        self.peer.set_config(config(End::A), self.now);
        self.drain();
        self.start(Peer::start);
        self.peer.rib_out_mut().complete();
        // An attempt may have failed, and the next one wait for its time.
        while self.attempt.is_none() {
            let (due, _timer) = self.peer.poll_timeout().expect("an attempt is to come");
            self.wait(due.saturating_since(self.now));
        }
        let id = self.attempt.expect("there is one");
        self.connected();
        for message in [answer(9).emit(), keepalive().to_vec()] {
            self.peer.handle_octets(id, &message, self.now);
            self.drain();
            self.peer.handle_writable(id, self.now);
            self.drain();
        }
        assert_eq!(self.session, Some(id));
        self.peer.handle_writable(id, self.now);
        self.drain();
        let view = &self.views[&id];
        assert!(view.is_complete());
        assert_eq!(view.routes, expected(&self.wanted));
    }
}

/// An OPEN that this side takes.
fn answer(hold_time: u16) -> Open {
    let restart = GracefulRestart {
        restarted: false,
        notification: true,
        restart_time: 60,
        families: Family::ALL.map(|family| (family, true)).into(),
    };
    let capabilities = Capabilities {
        families: Some(Families::ALL),
        four_octet_asn: Some(Asn(4_200_000_000)),
        route_refresh: true,
        enhanced_route_refresh: true,
        graceful_restart: Some(restart),
        ..Capabilities::default()
    };
    let bgp_id = BgpId::new(NonZeroU32::new(9).unwrap());
    Open { asn: Asn(4_200_000_000), hold_time, bgp_id, capabilities }
}

/// One that it may take.
fn open(choices: &mut Choices<'_>) -> Open {
    let mut open = answer(choices.one_of(&[9, 0, 3, 180]));
    match choices.octet() % 8 {
        0 => open.capabilities.four_octet_asn = Some(Asn(64_999)),
        1 => open.capabilities.graceful_restart = None,
        2 => open.capabilities.enhanced_route_refresh = false,
        // Of two connections the other one is kept.
        3 => open.bgp_id = BgpId::new(NonZeroU32::new(1).unwrap()),
        _usual => {}
    }
    open
}

fn notification(choices: &mut Choices<'_>) -> Notification {
    let (code, subcode) = choices.one_of(&[(6, 2), (6, 7), (4, 0), (6, 9), (2, 2)]);
    Notification { code, subcode, data: Vec::new() }
}
