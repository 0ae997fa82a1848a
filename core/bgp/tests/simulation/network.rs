//! TCP between the two ends.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use ferrolb_bgp::{ConnectionId, Direction, Peer, State, Stop, Transmit};
use ferrolb_vocab::Instant;

use crate::host::{BOTH, End, Host, Random, View, expected, has_update};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// Not yet, or not any more: what comes is answered with a reset.
    None,
    /// TCP has not opened it yet.
    Connecting(ConnectionId),
    Open(ConnectionId),
    /// What comes is read and forgotten.
    Lingering,
}

struct Pipe {
    opener: End,
    sockets: BTreeMap<End, Socket>,
    views: BTreeMap<End, View>,
    /// When the last thing under way to an end arrives there: nothing overtakes it.
    latest: BTreeMap<End, Instant>,
}

#[derive(Clone, Debug)]
enum What {
    Syn,
    SynAck,
    Refused,
    Octets(Vec<u8>),
    Fin,
    Reset,
    /// All that the end has sent has been written.
    Writable,
}

#[derive(Clone, Debug)]
struct Arrival {
    pipe: u64,
    to: End,
    what: What,
}

pub(crate) struct Network {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) now: Instant,
    pub(crate) delay_us: Range<u64>,
    pub(crate) hosts: BTreeMap<End, Host>,
    is_cut: bool,
    /// An end that reads nothing: nothing that is written to it is taken.
    slow: Option<End>,
    pipes: BTreeMap<u64, Pipe>,
    under_way: BTreeMap<(Instant, u64), Arrival>,
    /// What TCP sends again when the cut has healed, in its order.
    stalled: Vec<Arrival>,
    /// What waits for the slow end to read.
    unread: Vec<Arrival>,
    numbers: u64,
}

impl Network {
    /// Both ends are there, and nobody runs.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            random: Random(seed),
            now: Instant::ORIGIN,
            delay_us: 50..5_000,
            hosts: BOTH.map(|end| (end, Host::new(end))).into(),
            is_cut: false,
            slow: None,
            pipes: BTreeMap::new(),
            under_way: BTreeMap::new(),
            stalled: Vec::new(),
            unread: Vec::new(),
            numbers: 0,
        }
    }

    /// Both ends have a session.
    pub(crate) fn up(seed: u64) -> Self {
        let mut network = Self::new(seed);
        for end in BOTH {
            network.begin(end, Peer::start);
        }
        network.run(60 * SECOND);
        assert!(network.is_up(), "seed {seed}");
        network
    }

    pub(crate) fn host(&mut self, end: End) -> &mut Host {
        self.hosts.get_mut(&end).unwrap()
    }

    /// A process of `end` begins its life.
    pub(crate) fn begin(&mut self, end: End, start: fn(&mut Peer, Instant)) {
        let seed = self.random.next();
        self.host(end).begin(seed);
        self.change(end, start);
    }

    /// The process of `end` is gone: the kernel resets its connections.
    pub(crate) fn crash(&mut self, end: End) {
        let host = self.host(end);
        (host.peer, host.session) = (None, None);
        let pipes: Vec<_> = self.pipes.keys().copied().collect();
        for pipe in pipes {
            if matches!(self.socket(pipe, end), Socket::Open(_) | Socket::Connecting(_)) {
                self.set_socket(pipe, end, Socket::None);
                self.send(pipe, end.other(), What::Reset);
            }
        }
    }

    /// The process of `end` leaves in an orderly way.
    pub(crate) fn stop(&mut self, end: End, stop: Stop) {
        self.host(end).is_stopped = stop != Stop::Reset;
        self.change(end, |peer, now| peer.stop(stop, now));
    }

    /// Something between the two resets their connections.
    pub(crate) fn reset_connections(&mut self) {
        let pipes: Vec<_> = self.pipes.keys().copied().collect();
        for pipe in pipes {
            for end in BOTH {
                self.send(pipe, end, What::Reset);
            }
        }
    }

    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
    }

    pub(crate) fn heal(&mut self) {
        self.is_cut = false;
        for arrival in std::mem::take(&mut self.stalled) {
            self.deliver(arrival);
        }
    }

    /// An end reads nothing until [`Self::read_again`].
    pub(crate) fn stop_reading(&mut self, end: End) {
        self.slow = Some(end);
    }

    /// The slow end reads all that waits for it. How many octets that is.
    pub(crate) fn read_again(&mut self) -> usize {
        self.slow = None;
        let mut octets = 0;
        for arrival in std::mem::take(&mut self.unread) {
            if let What::Octets(unread) = &arrival.what {
                octets += unread.len();
            }
            self.deliver(arrival);
        }
        octets
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until(end, |_| false);
    }

    /// Runs until something holds. Whether it does by `end`.
    pub(crate) fn run_until(&mut self, end: Instant, holds: impl Fn(&Self) -> bool) -> bool {
        loop {
            if holds(self) {
                return true;
            }
            let timers = self.hosts.values().filter_map(|host| host.peer.as_ref()?.poll_timeout());
            let due = timers.map(|(due, _)| due).min();
            let arrival = self.under_way.first_key_value().map(|((due, _), _)| *due);
            let Some(next) = due.into_iter().chain(arrival).min().filter(|next| *next <= end) else {
                self.now = end;
                return holds(self);
            };
            self.now = self.now.max(next);
            // What has come is handed in before time is.
            while let Some(entry) = self.under_way.first_entry()
                && entry.key().0 <= self.now
            {
                let arrival = entry.remove();
                self.deliver(arrival);
            }
            for end in BOTH {
                self.change(end, Peer::handle_timeout);
            }
        }
    }

    /// Calls the peer of `end`, as its driver does.
    pub(crate) fn change(&mut self, end: End, change: impl FnOnce(&mut Peer, Instant)) {
        let (seed, now) = (self.seed, self.now);
        let host = self.host(end);
        let Some(peer) = &mut host.peer else { return };
        let before = host.session;
        change(peer, now);
        let events: Vec<_> = std::iter::from_fn(|| peer.poll_event()).collect();
        let transmits: Vec<_> = std::iter::from_fn(|| peer.poll_transmit()).collect();
        assert!(host.is_stopped || peer.poll_timeout().is_some(), "seed {seed}: nothing to wait for");
        let mut sessions = Vec::from_iter(before);
        for event in events {
            host.note(event);
            sessions.extend(host.session);
        }
        let state = host.peer.as_ref().unwrap().state();
        assert_eq!(state == State::Established, host.session.is_some(), "seed {seed}: {state}");
        for transmit in transmits {
            self.carry_out(end, transmit, &sessions);
        }
    }

    fn carry_out(&mut self, end: End, transmit: Transmit, sessions: &[ConnectionId]) {
        match transmit {
            Transmit::Connect { id } => {
                let now = self.now;
                self.host(end).connects.push(now);
                let pipe = self.new_pipe(end, id);
                self.send(pipe, end.other(), What::Syn);
            }
            Transmit::Send { id, octets } => {
                assert!(!has_update(&octets) || sessions.contains(&id), "seed {}: early UPDATE", self.seed);
                let pipe = self.pipe_of(end, id);
                self.send_octets(pipe, end, &octets);
            }
            Transmit::Close { id } => {
                let pipe = self.pipe_of(end, id);
                self.set_socket(pipe, end, Socket::Lingering);
                self.send(pipe, end.other(), What::Fin);
            }
            Transmit::Abort { id } => {
                let pipe = self.pipe_of(end, id);
                self.set_socket(pipe, end, Socket::None);
                self.send(pipe, end.other(), What::Reset);
            }
        }
    }

    fn new_pipe(&mut self, opener: End, id: ConnectionId) -> u64 {
        self.numbers += 1;
        let pipe = Pipe {
            opener,
            sockets: [(opener, Socket::Connecting(id)), (opener.other(), Socket::None)].into(),
            views: BOTH.map(|end| (end, View::default())).into(),
            latest: BOTH.map(|end| (end, self.now)).into(),
        };
        self.pipes.insert(self.numbers, pipe);
        self.numbers
    }

    /// In segments of any size.
    fn send_octets(&mut self, pipe: u64, from: End, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            let most = if self.random.chance(500) { 40 } else { 1_500 };
            let size = usize::try_from(self.random.within(1..most)).unwrap().min(rest.len());
            let (segment, after) = rest.split_at(size);
            self.send(pipe, from.other(), What::Octets(segment.to_vec()));
            rest = after;
        }
        self.send(pipe, from, What::Writable);
    }

    fn send(&mut self, pipe: u64, to: End, what: What) {
        let delay = Duration::from_micros(self.random.within(self.delay_us.clone()));
        let earliest = self.now + delay;
        let latest = self.pipes.get_mut(&pipe).unwrap().latest.get_mut(&to).unwrap();
        // That something has been written does not hold up what comes.
        let when = if matches!(what, What::Writable) { earliest } else { earliest.max(*latest) };
        *latest = when.max(*latest);
        self.numbers += 1;
        self.under_way.insert((when, self.numbers), Arrival { pipe, to, what });
    }

    /// Whether an arrival waits for the slow end, or for what that end does not take.
    fn is_unread(&self, arrival: &Arrival) -> bool {
        self.slow.is_some_and(|slow| match arrival.what {
            What::Octets(_) | What::Fin => arrival.to == slow,
            What::Writable => arrival.to == slow.other(),
            What::Syn | What::SynAck | What::Refused | What::Reset => false,
        })
    }

    fn deliver(&mut self, arrival: Arrival) {
        if self.is_unread(&arrival) {
            return self.unread.push(arrival);
        }
        let Arrival { pipe, to, what } = arrival;
        if self.is_cut {
            match what {
                What::SynAck | What::Octets(_) | What::Fin | What::Writable => {
                    self.stalled.push(Arrival { pipe, to, what });
                }
                What::Syn | What::Refused | What::Reset => {}
            }
            return;
        }
        let (local, remote) = (to.address(), to.other().address());
        match (what, self.socket(pipe, to)) {
            (What::Syn, _) => self.accept(pipe, to),
            (What::SynAck, Socket::Connecting(id)) => {
                self.set_socket(pipe, to, Socket::Open(id));
                let direction = Direction::Outgoing;
                self.change(to, |peer, now| peer.handle_connected(id, direction, local, remote, now));
            }
            (What::Refused | What::Reset, Socket::Connecting(id)) => {
                self.set_socket(pipe, to, Socket::None);
                self.change(to, |peer, now| peer.handle_connect_failed(id, now));
            }
            (What::Octets(octets), Socket::Open(id)) => {
                self.pipes.get_mut(&pipe).unwrap().views.get_mut(&to).unwrap().take(to, &octets);
                self.learn(pipe, to, id);
                self.change(to, |peer, now| peer.handle_octets(id, &octets, now));
                // There may be a session since.
                self.learn(pipe, to, id);
            }
            (What::Fin | What::Reset, Socket::Open(id)) => {
                self.set_socket(pipe, to, Socket::None);
                self.change(to, |peer, now| peer.handle_closed(id, now));
            }
            (What::Writable, Socket::Open(id)) => {
                self.change(to, |peer, now| peer.handle_writable(id, now));
            }
            (What::SynAck | What::Octets(_) | What::Fin, Socket::None) => {
                self.send(pipe, to.other(), What::Reset);
            }
            (What::Refused | What::Reset | What::Writable, Socket::None) | (_, Socket::Lingering) => {}
            (what, socket) => panic!("seed {}: {what:?} for {socket:?}", self.seed),
        }
    }

    /// A helper has all that its session has told.
    fn learn(&mut self, pipe: u64, to: End, id: ConnectionId) {
        let host = self.hosts.get_mut(&to).unwrap();
        if let (Some(helper), true) = (&mut host.helper, host.session == Some(id)) {
            helper.learn(&self.pipes[&pipe].views[&to]);
        }
    }

    fn accept(&mut self, pipe: u64, to: End) {
        let opener = self.pipes[&pipe].opener;
        let host = self.host(to);
        let Some(peer) = host.peer.as_mut().filter(|_| host.is_listening) else {
            return self.send(pipe, opener, What::Refused);
        };
        let id = peer.next_connection();
        self.set_socket(pipe, to, Socket::Open(id));
        self.send(pipe, opener, What::SynAck);
        let (local, remote) = (to.address(), opener.address());
        self.change(to, |peer, now| peer.handle_connected(id, Direction::Incoming, local, remote, now));
    }

    fn socket(&self, pipe: u64, end: End) -> Socket {
        self.pipes[&pipe].sockets[&end]
    }

    pub(crate) fn set_socket(&mut self, pipe: u64, end: End, socket: Socket) {
        self.pipes.get_mut(&pipe).unwrap().sockets.insert(end, socket);
    }

    pub(crate) fn pipe_of(&self, end: End, id: ConnectionId) -> u64 {
        let mut pipes = self.pipes.iter().rev();
        let is_meant = |socket| socket == Socket::Open(id) || socket == Socket::Connecting(id);
        let found = pipes.find(|(_, pipe)| is_meant(pipe.sockets[&end]));
        *found.unwrap_or_else(|| panic!("seed {}: {id} of {end:?} is not open", self.seed)).0
    }

    /// Whether both ends have a session, and the same.
    pub(crate) fn is_up(&self) -> bool {
        let pipes = BOTH.map(|end| self.hosts[&end].session.map(|session| self.pipe_of(end, session)));
        pipes[0].is_some() && pipes[0] == pipes[1]
    }

    /// Whether each end knows what the other wants it to know, and that this is all.
    pub(crate) fn is_told(&self) -> bool {
        BOTH.iter().all(|end| {
            let Some(session) = self.hosts[end].session else { return false };
            let view = &self.pipes[&self.pipe_of(*end, session)].views[end];
            view.is_complete() && view.routes == expected(&self.hosts[&end.other()].wanted)
        })
    }
}
