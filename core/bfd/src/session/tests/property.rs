//! Whatever the peer says and whenever the driver calls.

use super::*;
use proptest::prelude::*;
use std::string::ToString;

#[derive(Clone, Debug)]
enum Op {
    Packet(Control),
    /// The driver calls, due or not, this much later.
    Timeout(u64),
    /// The driver calls at each time that it is asked for, for this long.
    Run(u64),
    Configure(Config),
    Disable,
    Enable,
    /// Another process goes on with it, with this configuration.
    Replace(Config),
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        1 => Just(State::AdminDown),
        3 => Just(State::Down),
        3 => Just(State::Init),
        6 => Just(State::Up),
    ]
}

fn said() -> impl Strategy<Value = Control> {
    let interval = || {
        prop_oneof![
            1 => Just(Interval::ZERO),
            6 => (1_u32..2_000).prop_map(Interval::from_millis),
            1 => any::<u32>().prop_map(Interval::from_micros),
        ]
    };
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (state(), flags, prop_oneof![6 => 1_u8..5, 1 => 1_u8..], 1_u32..3, [interval(), interval()]).prop_map(
        |(state, (is_poll, is_final, is_demand), mult, mine, [tx, rx])| Control {
            is_poll,
            is_final,
            is_demand,
            detect_mult: NonZeroU8::new(mult).unwrap(),
            my_discriminator: discr(mine),
            desired_min_tx: tx,
            required_min_rx: rx,
            ..packet(state)
        },
    )
}

fn wish() -> impl Strategy<Value = Config> {
    (10_u32..3_000, 10_u32..3_000, 1_u8..5, any::<bool>()).prop_map(|(tx, rx, mult, is_passive)| Config {
        role: if is_passive { Role::Passive } else { Role::Active },
        ..config(tx, rx, mult)
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => said().prop_map(Op::Packet),
        3 => (0_u64..1_500).prop_map(Op::Timeout),
        4 => (0_u64..3_000).prop_map(Op::Run),
        2 => wish().prop_map(Op::Configure),
        2 => wish().prop_map(Op::Replace),
        1 => Just(Op::Disable),
        1 => Just(Op::Enable),
    ]
}

/// What must hold of everything that a session says, kept apart from the session's own reckoning.
struct Referee {
    session: Session,
    now: Instant,
    is_up: bool,
    /// What the peer said last, unless the session has forgotten it.
    heard: Option<Control>,
    /// The shortest that any configuration asked for.
    least_tx: Interval,
    said: Option<Control>,
    /// When the last packet without Final went.
    sent: Option<Instant>,
    owed_finals: u32,
}

impl Referee {
    fn new(config: Config) -> Self {
        let mut referee = Self {
            session: Session::new(discr(7), config, 3, at(0)),
            now: at(0),
            is_up: false,
            heard: None,
            least_tx: config.timing.desired_min_tx(),
            said: None,
            sent: None,
            owed_finals: 0,
        };
        referee.judge();
        referee
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Packet(packet) => {
                self.heard = Some(*packet);
                let taken = self.session.handle_packet(packet, self.now);
                self.owed_finals = u32::from(taken.is_ok() && packet.is_poll);
            }
            Op::Timeout(later) => {
                self.now = self.now + Duration::from_millis(*later);
                self.session.handle_timeout(self.now);
            }
            Op::Run(length) => self.run(self.now + Duration::from_millis(*length)),
            Op::Configure(config) => {
                self.least_tx = self.least_tx.min(config.timing.desired_min_tx());
                self.session.set_config(*config, self.now);
            }
            Op::Disable => self.session.disable(self.now),
            Op::Enable => self.session.enable(self.now),
            Op::Replace(config) => self.replace(*config),
        }
        self.judge();
    }

    /// It says what it would have said, at once.
    fn replace(&mut self, config: Config) {
        let Some(resumption) = self.session.resumption() else { return };
        let resumption = resumption.to_string().parse().unwrap();
        self.session = Session::resume(&resumption, config, self.now);
        self.least_tx = self.least_tx.min(config.timing.desired_min_tx());
        self.said = None;
    }

    fn run(&mut self, end: Instant) {
        let mut calls = 0;
        while let Some((due, _)) = self.session.poll_timeout()
            && due <= end
        {
            calls += 1;
            assert!(calls < 2_000, "the session asks to be called and does nothing");
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.judge();
        }
        self.now = end;
    }

    fn judge(&mut self) {
        if self.session.detection_time().is_none() {
            self.heard = None;
        }
        while let Some(packet) = self.session.poll_transmit() {
            self.judge_packet(&packet);
        }
        assert_eq!(self.owed_finals, 0, "each Poll is answered, once");
        if let Some(event) = self.session.poll_event() {
            let is_up = matches!(event, Event::Up { .. });
            assert_ne!(is_up, self.is_up, "{event:?}");
            self.is_up = is_up;
        }
        assert_eq!(self.is_up, self.session.state() == State::Up);
    }

    fn judge_packet(&mut self, packet: &Control) {
        assert!(!(packet.is_poll && packet.is_final));
        assert!(Control::parse(&packet.emit()).is_ok(), "{packet:?}");
        assert_eq!(packet.state, self.session.state());
        assert_eq!(packet.your_discriminator, self.heard.map(|heard| heard.my_discriminator));
        assert!(packet.state == State::Up || packet.desired_min_tx >= SLOW_INTERVAL);
        let is_active = self.session.config().role == Role::Active;
        assert!(is_active || self.heard.is_some(), "a passive side speaks first");
        let contents = Control { is_poll: false, is_final: false, ..*packet };
        if packet.is_final {
            self.owed_finals = self.owed_finals.checked_sub(1).expect("a Final answers a Poll");
        } else {
            let is_demanded = self.is_demand_active(packet.state);
            assert!(packet.is_poll || !is_demanded, "a peer in Demand mode is told by polling: {packet:?}");
            if self.said.is_some_and(|said| !self.is_news(&said, &contents)) {
                self.judge_periodic(packet);
            }
            self.sent = Some(self.now);
        }
        self.said = Some(contents);
    }

    fn is_demand_active(&self, state: State) -> bool {
        state == State::Up && self.heard.is_some_and(|heard| heard.is_demand && heard.state == State::Up)
    }

    /// New timing is news only to a peer that gets no periodic packets, §6.5.
    fn is_news(&self, said: &Control, contents: &Control) -> bool {
        let &Control { detect_mult, desired_min_tx, required_min_rx, .. } = contents;
        let but_timing = Control { detect_mult, desired_min_tx, required_min_rx, ..*said };
        let is_unwanted = self.heard.is_some_and(|heard| heard.required_min_rx == Interval::ZERO);
        let is_silent = is_unwanted || self.is_demand_active(contents.state);
        but_timing != *contents || (is_silent && said != contents)
    }

    /// §6.8.7: not faster than negotiated, less jitter, and not at all where the peer wants none.
    fn judge_periodic(&self, packet: &Control) {
        let own = if packet.state == State::Up { self.least_tx } else { packet.desired_min_tx };
        let theirs = self.heard.map_or(Interval::from_micros(1), |heard| heard.required_min_rx);
        assert_ne!(theirs, Interval::ZERO);
        if let Some(sent) = self.sent {
            let gap = self.now.saturating_since(sent);
            let least = own.max(theirs).duration() * 3 / 4;
            assert!(gap >= least, "{gap:?}, at least {least:?}: {packet:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_session_never_sends_faster_than_negotiated(
        config in wish(), ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut referee = Referee::new(config);
        for op in &ops {
            referee.apply(op);
        }
    }
}
