//! One peer as the driver carries it: the loop of its task.

use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::iter;
use std::sync::Arc;

use ferrolb_bgp::{ConnectionId, Direction, Event, Peer, Stop, Transmit};
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, ObjectName};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep_until;

use super::connection::Connection;
use super::driver::Want;
use super::link::Link;
use super::metrics::PeerMetrics;
use super::socket;
use super::telling::Telling;
use super::{BgpEvent, PeerError, PeerStatus, TransportOptions, VIEW_INTERVAL, WantedPeer};

/// Octets that are read at once.
const READ_LENGTH: usize = 16_384;

/// How often in a turn. A router that sends without end leaves the thread to the others after each.
const READS_MAX: usize = 4;

/// Connections that are closed and wait for the peer to close its side. Beyond it they are dropped: a
/// peer that takes so many at once does not read why.
const FAREWELLS_MAX: usize = 8;

/// A peer and what it is driven with.
pub(super) struct PeerDriver {
    name: ObjectName,
    peer: Peer,
    wanted: watch::Receiver<Want>,
    /// What was wanted last.
    followed: Arc<WantedPeer>,
    has_started: bool,
    is_ending: bool,
    link: Link,
    farewells: JoinSet<()>,
    error: Option<PeerError>,
    events: Vec<Event>,
    news: News,
    /// When the view is to show small news.
    view_due: Instant,
    metrics: PeerMetrics,
    telling: Telling,
}

/// What has changed since it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    None,
    /// Told by and by.
    Small,
    /// What somebody waits for: told at once.
    Great,
}

impl PeerDriver {
    /// A peer that connects to nobody before it has been run.
    pub(super) fn new(
        name: ObjectName,
        peer: &Arc<WantedPeer>,
        mut wanted: watch::Receiver<Want>,
        telling: Telling,
    ) -> Self {
        wanted.mark_changed();
        Self {
            peer: Peer::new(peer.config.clone(), seed(&name)),
            wanted,
            followed: Arc::clone(peer),
            has_started: false,
            is_ending: false,
            link: Link::None,
            farewells: JoinSet::new(),
            error: None,
            events: Vec::new(),
            news: News::Great,
            view_due: Instant::ORIGIN,
            metrics: telling.metrics_of(&name),
            telling,
            name,
        }
    }

    /// Runs until the peer is not wanted any more and has been told so.
    pub(super) async fn run(mut self) {
        loop {
            let is_busy = self.turn(clock::now());
            if self.is_ending && self.link.is_none() && self.farewells.is_empty() {
                break;
            }
            if is_busy {
                yield_now().await;
            } else {
                self.wait().await;
            }
        }
        self.metrics.forget();
    }

    /// Does what there is to do at `now`, which is the time of the whole turn: octets that come after
    /// it is read cannot be missed by a deadline before it. Whether there may be more to do at once.
    fn turn(&mut self, now: Instant) -> bool {
        self.follow(now);
        let has_more_to_read = self.receive(now);
        self.write(now);
        if self.peer.poll_timeout().is_some_and(|(due, _)| due <= now) {
            self.peer.handle_timeout(now);
            self.drain(now);
        }
        self.publish(now);
        has_more_to_read || matches!(&self.link, Link::Open(connection) if connection.is_writable())
    }

    /// Takes on what is wanted.
    fn follow(&mut self, now: Instant) {
        if !self.wanted.has_changed().unwrap_or(false) {
            return;
        }
        self.news = News::Great;
        let want = self.wanted.borrow_and_update().clone();
        match want {
            Want::Session(wanted) => self.follow_session(&wanted, now),
            Want::End(stop) => {
                self.is_ending = true;
                self.peer.stop(stop, now);
            }
        }
        self.drain(now);
    }

    fn follow_session(&mut self, wanted: &Arc<WantedPeer>, now: Instant) {
        self.is_ending = false;
        let before = std::mem::replace(&mut self.followed, Arc::clone(wanted));
        // First what goes into UPDATEs, all of it: then it goes into them at once.
        let rib_out = self.peer.rib_out_mut();
        if !(self.has_started && Arc::ptr_eq(&before.routes, &wanted.routes)) {
            rib_out.set_wanted(&wanted.routes);
        }
        rib_out.set_graceful_shutdown(wanted.is_shutting_down);
        if wanted.is_complete {
            rib_out.complete();
        }
        self.peer.set_config(wanted.config.clone(), now);
        self.peer.set_bfd(wanted.bfd, now);
        self.follow_options(&before.options, now);
        if wanted.has_restarted && !self.has_started {
            self.peer.start_restarted(now);
        } else {
            self.peer.start(now);
        }
        self.has_started = true;
        self.peer.flush(now);
    }

    /// Takes on the options of TCP: all of them before there is a connection, later what it can take.
    fn follow_options(&mut self, before: &TransportOptions, now: Instant) {
        let TransportOptions { ttl, password } = &self.followed.options;
        if *before == self.followed.options {
            return;
        }
        match &self.link {
            Link::Open(connection) if before.password == *password => {
                let set = connection.set_ttl(self.followed.config.transport.remote, *ttl);
                self.error = set.err().map(|error| PeerError::Socket(socket::errno(error)));
            }
            Link::None | Link::Opening(..) | Link::Open(_) => self.peer.stop(Stop::Reset, now),
        }
    }

    /// Hands in what has come. Whether there may be more.
    fn receive(&mut self, now: Instant) -> bool {
        let mut buffer = [0; READ_LENGTH];
        for _ in 0..READS_MAX {
            let Link::Open(connection) = &self.link else { return false };
            let id = connection.id;
            match connection.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    self.link = Link::None;
                    self.peer.handle_closed(id, now);
                    self.drain(now);
                }
                Ok(length) => {
                    let octets = buffer.get(..length).unwrap_or(&buffer);
                    self.peer.handle_octets(id, octets, now);
                    self.note(News::Small);
                    self.drain(now);
                }
            }
        }
        true
    }

    /// Writes what waits, and has the next of it when that is done.
    fn write(&mut self, now: Instant) {
        let Link::Open(connection) = &mut self.link else { return };
        connection.write();
        if connection.take_writable() {
            let id = connection.id;
            self.peer.handle_writable(id, now);
            self.note(News::Small);
            self.drain(now);
        }
    }

    /// Does what the peer wants done, and keeps what it tells.
    fn drain(&mut self, now: Instant) {
        while let Some(transmit) = self.peer.poll_transmit() {
            self.note(News::Small);
            match transmit {
                Transmit::Connect { id } => self.connect(id, now),
                Transmit::Send { id, octets } => {
                    if let Some(connection) = self.link.open_mut(id) {
                        connection.send(octets);
                    }
                }
                Transmit::Close { id } => self.close(id),
                Transmit::Abort { id } => self.abort(id),
            }
        }
        let told = self.events.len();
        self.events.extend(iter::from_fn(|| self.peer.poll_event()));
        if self.events.len() > told {
            self.news = News::Great;
        }
    }

    fn connect(&mut self, id: ConnectionId, now: Instant) {
        match socket::connect(&self.peer.config().transport, &self.followed.options) {
            Ok(attempt) => self.link = Link::Opening(id, attempt),
            Err(error) => {
                self.error = Some(error);
                self.peer.handle_connect_failed(id, now);
            }
        }
    }

    /// The system has opened the connection, or has not.
    fn take_connected(&mut self, id: ConnectionId, connected: io::Result<TcpStream>, now: Instant) {
        let connected = connected.and_then(|stream| Ok((stream.local_addr()?, stream.peer_addr()?, stream)));
        match connected {
            Ok((local, remote, stream)) => {
                self.error = None;
                self.link = Link::Open(Connection::new(id, stream));
                self.peer.handle_connected(id, Direction::Outgoing, local, remote, now);
            }
            Err(error) => {
                let remote = self.peer.config().transport.remote;
                self.error = Some(PeerError::Connect { remote, source: socket::errno(error) });
                self.peer.handle_connect_failed(id, now);
            }
        }
        self.drain(now);
    }

    fn close(&mut self, id: ConnectionId) {
        let Link::Open(connection) = self.link.take(id) else { return };
        while self.farewells.try_join_next().is_some() {}
        if self.farewells.len() < FAREWELLS_MAX {
            self.farewells.spawn(connection.close());
        } else {
            connection.abort();
        }
    }

    fn abort(&mut self, id: ConnectionId) {
        match self.link.take(id) {
            Link::None => {}
            // What the system said of an attempt before says nothing of this one.
            Link::Opening(..) => self.error = None,
            Link::Open(connection) => connection.abort(),
        }
    }

    fn note(&mut self, news: News) {
        self.news = self.news.max(news);
    }

    /// Tells what is new.
    fn publish(&mut self, now: Instant) {
        let is_due = match self.news {
            News::None => false,
            News::Small => self.view_due <= now,
            News::Great => true,
        };
        if is_due {
            self.news = News::None;
            self.view_due = now + VIEW_INTERVAL;
            let session = self.peer.status(now);
            self.metrics.show(&session);
            if self.is_ending {
                self.telling.hide(&self.name);
            } else {
                self.telling.show(&self.name, PeerStatus { at: now, session, error: self.error.clone() });
            }
        }
        // After the view: whoever reads an event finds it there.
        for event in self.events.drain(..) {
            self.metrics.count_event(&event);
            self.telling.tell(BgpEvent { peer: self.name.clone(), event });
        }
    }

    /// Sleeps until there is something to do.
    async fn wait(&mut self) {
        let view_due = (self.news == News::Small).then_some(self.view_due);
        let timer = self.peer.poll_timeout().map(|(due, _)| due);
        let due = timer.into_iter().chain(view_due).min();
        let Self { wanted, link, farewells, .. } = self;
        let connected = tokio::select! {
            connected = link.ready() => connected,
            Ok(()) = wanted.changed() => {
                wanted.mark_changed();
                None
            }
            Some(_ended) = farewells.join_next() => None,
            () = sleep_to(due) => None,
        };
        if let Some((id, connected)) = connected {
            self.take_connected(id, connected, clock::now());
        }
    }
}

async fn sleep_to(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(clock::to_std(due).into()).await,
        None => pending().await,
    }
}

/// What jitter is drawn from: another one for each peer and each process.
fn seed(name: &ObjectName) -> u64 {
    RandomState::new().hash_one(name)
}

#[cfg(test)]
mod tests;
