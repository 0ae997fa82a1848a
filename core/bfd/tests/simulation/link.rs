//! The link and the two systems on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::ops::Range;
use std::time::Duration;

use ferrolb_bfd::{Arrival, Config, ECHO_TTL, EchoArrived, Engine, Event, Path, Session, TTL, Timing};
use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{Control, Interval, State};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// `SplitMix64`: small, and the same on every platform.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.next() % 1_000 < per_mille
    }

    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// Intervals between 10 ms and a second.
    pub(crate) fn timing(&mut self, mult: Range<u64>) -> Config {
        let (tx, rx, mult) = (self.within(10..1_000), self.within(10..1_000), self.within(mult));
        config(tx.try_into().unwrap(), rx.try_into().unwrap(), mult.try_into().unwrap())
    }
}

pub(crate) fn config(tx_ms: u32, rx_ms: u32, mult: u8) -> Config {
    let (tx, rx) = (Interval::from_millis(tx_ms), Interval::from_millis(rx_ms));
    let timing = Timing::new(tx, rx, NonZeroU8::new(mult).unwrap()).unwrap();
    Config { timing, ..Config::default() }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    A,
    B,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn address(self) -> IpAddr {
        match self {
            Self::A => IpAddr::from([192, 0, 2, 1]),
            Self::B => IpAddr::from([192, 0, 2, 2]),
        }
    }
}

pub(crate) const BOTH: [End; 2] = [End::A, End::B];

struct Packet {
    to: End,
    /// As it arrives.
    path: Path,
    ttl: u8,
    is_echo: bool,
    payload: Vec<u8>,
}

/// An event, and the session's detection time before the input that caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) end: End,
    pub(crate) session: NonZeroU32,
    pub(crate) event: Event,
}

/// A session between two processes.
pub(crate) struct Continued {
    path: Path,
    config: Config,
    text: String,
}

pub(crate) struct Link {
    pub(crate) random: Random,
    pub(crate) now: Instant,
    pub(crate) loss_per_mille: u64,
    pub(crate) delay_us: Range<u64>,
    /// Whether no packet overtakes another.
    pub(crate) is_ordered: bool,
    /// Ends whose packets are lost.
    pub(crate) cut: BTreeSet<End>,
    /// Ends that loop back no Echo packets.
    pub(crate) swallowing: BTreeSet<End>,
    pub(crate) engines: BTreeMap<End, Engine>,
    /// Ends whose process is stopped, with what waits in its socket.
    stopped: BTreeMap<End, Vec<Packet>>,
    under_way: BTreeMap<(Instant, u64), Packet>,
    pub(crate) told: Vec<Told>,
    /// What each end has sent, with the times.
    pub(crate) sent: BTreeMap<End, Vec<(Instant, Control)>>,
    /// When a packet of the other end was taken last, by its session's discriminator, and what the
    /// detection time was then.
    pub(crate) heard: BTreeMap<(End, NonZeroU32), (Instant, Option<Duration>)>,
    numbers: u64,
}

impl Link {
    /// No session yet, up to 1 ms of delay and no loss.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            now: Instant::ORIGIN,
            loss_per_mille: 0,
            delay_us: 50..1_000,
            is_ordered: false,
            cut: BTreeSet::new(),
            swallowing: BTreeSet::new(),
            engines: BOTH.map(|end| (end, Engine::default())).into(),
            stopped: BTreeMap::new(),
            under_way: BTreeMap::new(),
            told: Vec::new(),
            sent: BTreeMap::new(),
            heard: BTreeMap::new(),
            numbers: 0,
        }
    }

    /// One session, over one hop, that both ends begin at once.
    pub(crate) fn with_session(seed: u64, configs: [Config; 2]) -> Self {
        let mut link = Self::new(seed);
        link.begin(End::A, 1, configs[0]);
        link.begin(End::B, 1, configs[1]);
        link
    }

    /// The same, run until both ends are up and agree.
    pub(crate) fn up(seed: u64, configs: [Config; 2]) -> Self {
        let mut link = Self::with_session(seed, configs);
        link.run(5 * SECOND);
        assert!(link.is_up(), "seed {seed}");
        link.told.clear();
        link
    }

    /// `end` begins a session with the other end over `interface`.
    pub(crate) fn begin(&mut self, end: End, interface: u32, config: Config) -> NonZeroU32 {
        self.begin_over(end, Path::SingleHop { interface, peer: end.other().address() }, config)
    }

    /// The driver of `end` can send Echo packets and loop back the other end's.
    pub(crate) fn allow_echo(&mut self, end: End) {
        self.change_each(end, Engine::allow_echo);
    }

    /// `end` begins a session with the other end over several hops.
    pub(crate) fn begin_multihop(&mut self, end: End, config: Config) -> NonZeroU32 {
        self.begin_over(end, Path::Multihop { local: end.address(), peer: end.other().address() }, config)
    }

    fn begin_over(&mut self, end: End, path: Path, config: Config) -> NonZeroU32 {
        let [a, b, c, d, ..] = self.random.next().to_be_bytes();
        let local_discr = NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).unwrap();
        let session = Session::new(local_discr, config, self.random.next(), self.now);
        self.change(end, |engine, _| engine.add(path, session).unwrap());
        local_discr
    }

    /// The process at `end` is gone, and all it knew.
    pub(crate) fn crash(&mut self, end: End) {
        self.engines.insert(end, Engine::default());
        self.heard.retain(|(of, _), _| *of != end);
    }

    /// The process at `end` ends, and says what it takes to go on with its sessions.
    pub(crate) fn hand_over(&mut self, end: End) -> Vec<Continued> {
        let engine = self.engines.insert(end, Engine::default()).unwrap();
        self.heard.retain(|(of, _), _| *of != end);
        let continued = |(path, session): (Path, &Session)| {
            let text = engine.resumption(session.local_discr())?.to_string();
            Some(Continued { path, config: session.config(), text })
        };
        engine.sessions().filter_map(continued).collect()
    }

    /// Another process at `end` goes on with them.
    pub(crate) fn take_over(&mut self, end: End, sessions: Vec<Continued>) {
        for Continued { path, config, text } in sessions {
            let resumption = text.parse().unwrap();
            self.change(end, |engine, now| engine.resume(path, &resumption, config, now).unwrap());
        }
    }

    pub(crate) fn stop(&mut self, end: End) {
        self.stopped.insert(end, Vec::new());
    }

    pub(crate) fn is_stopped(&self, end: End) -> bool {
        self.stopped.contains_key(&end)
    }

    /// The process runs again, as its driver does: packets first, then timers.
    pub(crate) fn resume(&mut self, end: End) {
        for packet in self.stopped.remove(&end).unwrap() {
            self.deliver(&packet);
        }
        self.change(end, Engine::handle_timeout);
    }

    /// Calls the engine of `end`, as its driver does.
    pub(crate) fn change(&mut self, end: End, change: impl FnOnce(&mut Engine, Instant)) {
        let engine = self.engines.get_mut(&end).unwrap();
        change(engine, self.now);
        while let Some(transmit) = self.engines.get_mut(&end).unwrap().poll_transmit() {
            let control = Control::parse(&transmit.payload).unwrap().control;
            self.sent.entry(end).or_default().push((self.now, control));
            let path = match transmit.path {
                Path::SingleHop { interface, .. } => Path::SingleHop { interface, peer: end.address() },
                Path::Multihop { local, peer } => Path::Multihop { local: peer, peer: local },
            };
            let payload = transmit.payload.to_vec();
            self.send(Packet { to: end.other(), path, ttl: TTL, is_echo: false, payload });
        }
        while let Some(echo) = self.engines.get_mut(&end).unwrap().poll_echo() {
            let Path::SingleHop { interface, .. } = echo.path else { panic!("over several hops") };
            // It goes to the sender's own address, by way of the other end.
            let path = Path::SingleHop { interface, peer: end.address() };
            let payload = echo.payload().to_vec();
            self.send(Packet { to: end.other(), path, ttl: TTL, is_echo: true, payload });
        }
        while let Some((session, event)) = self.engines.get_mut(&end).unwrap().poll_event() {
            self.told.push(Told { end, session, event });
        }
    }

    /// Changes each session of `end`.
    pub(crate) fn change_each(
        &mut self,
        end: End,
        change: impl Fn(&mut Engine, NonZeroU32, Instant) -> bool,
    ) {
        let sessions: Vec<_> =
            self.engines[&end].sessions().map(|(_, session)| session.local_discr()).collect();
        for session in sessions {
            self.change(end, |engine, now| assert!(change(engine, session, now)));
        }
    }

    pub(crate) fn configure(&mut self, end: End, config: Config) {
        self.change_each(end, |engine, session, now| engine.set_config(session, config, now));
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let timer = BOTH.into_iter().filter_map(|end| self.due(end)).min();
            let next = arrival.into_iter().chain(timer).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = next.max(self.now);
            self.step();
        }
        self.now = end;
    }

    /// Runs until `is_reached`, at most for `limit`. How long it took.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        is_reached: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while !is_reached(self) {
            if self.now.saturating_since(start) >= limit {
                return None;
            }
            self.run(Duration::from_millis(1));
        }
        Some(self.now.saturating_since(start))
    }

    /// Delivers what has arrived, then runs the timers that are due.
    fn step(&mut self) {
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let packet = entry.remove();
            match self.stopped.get_mut(&packet.to) {
                Some(waiting) => waiting.push(packet),
                None => self.deliver(&packet),
            }
        }
        for end in BOTH {
            if self.due(end).is_some_and(|due| due <= self.now) {
                self.change(end, Engine::handle_timeout);
            }
        }
    }

    fn due(&self, end: End) -> Option<Instant> {
        if self.stopped.contains_key(&end) {
            return None;
        }
        self.engines[&end].poll_timeout().map(|(due, _)| due)
    }

    fn deliver(&mut self, packet: &Packet) {
        let arrival = Arrival { path: packet.path, ttl: packet.ttl };
        if packet.is_echo {
            let engine = self.engines.get_mut(&packet.to).unwrap();
            let arrived = engine.handle_echo(arrival, &packet.payload);
            if let Ok(EchoArrived::LoopBack(_)) = arrived
                && !self.swallowing.contains(&packet.to)
            {
                let payload = packet.payload.clone();
                self.send(Packet { to: packet.to.other(), ttl: ECHO_TTL, payload, ..*packet });
            }
            return;
        }
        let mut taken = None;
        self.change(packet.to, |engine, now| {
            taken = engine.handle_packet(arrival, &packet.payload, now).ok();
        });
        if let Some(session) = taken {
            let detection = self.engines[&packet.to].session(session).and_then(Session::detection_time);
            self.heard.insert((packet.to, session), (self.now, detection));
        }
    }

    fn send(&mut self, packet: Packet) {
        if self.cut.contains(&packet.to.other()) || self.random.chance(self.loss_per_mille) {
            return;
        }
        let delay = Duration::from_micros(self.random.within(self.delay_us.clone()));
        let same_way = self.under_way.iter().filter(|(_, before)| before.to == packet.to);
        let latest = same_way.map(|((arrival, _), _)| *arrival).max().filter(|_| self.is_ordered);
        let arrival = latest.into_iter().chain([self.now + delay]).max().unwrap();
        self.numbers += 1;
        self.under_way.insert((arrival, self.numbers), packet);
    }

    /// The only session of `end`.
    pub(crate) fn session(&self, end: End) -> &Session {
        self.engines[&end].sessions().next().unwrap().1
    }

    /// Whether every session of both ends is up.
    pub(crate) fn is_up(&self) -> bool {
        let mut sessions = self.engines.values().flat_map(Engine::sessions);
        sessions.all(|(_, session)| session.state() == State::Up)
    }

    pub(crate) fn downs(&self, end: End) -> Vec<Event> {
        let of_end = self.told.iter().filter(|told| told.end == end);
        of_end.map(|told| told.event).filter(|event| matches!(event, Event::Down { .. })).collect()
    }

    pub(crate) fn delay_max(&self) -> Duration {
        Duration::from_micros(self.delay_us.end)
    }
}
