//! One peer as the driver carries it: the loop of its task.

use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::sync::Arc;

use ferrolb_bgp::{ConnectionId, Event, Transmit};
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, ObjectName};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinSet, yield_now};

use super::driver::{Want, sleep_to};
use super::inspector::Question;
use super::links::Links;
use super::metrics::PeerMetrics;
use super::telling::Telling;
use super::{BgpEvent, HandedOver, PeerError, PeerStatus, VIEW_INTERVAL, WantedPeer};
use recorded::RecordedPeer;

mod connecting;
mod recorded;

/// Octets that are read at once.
const READ_LENGTH: usize = 16_384;

/// How often in a turn: a router that sends without end leaves the thread to the others after 64 KiB, of
/// 3,449 messages at most. What is written in a turn is bounded by the core: a batch of UPDATEs when there
/// is something new, and one more when that was written.
const READS_MAX: usize = 4;

/// A peer and what it is driven with.
pub(super) struct PeerDriver {
    name: ObjectName,
    peer: RecordedPeer,
    wanted: watch::Receiver<Want>,
    /// Connections that the peer has opened.
    accepted: mpsc::Receiver<TcpStream>,
    /// Of those who look into the driver.
    questions: broadcast::Receiver<Question>,
    /// What was wanted last.
    followed: Arc<WantedPeer>,
    has_started: bool,
    is_ending: bool,
    /// Whether it is no peer any more without a connection.
    ends_with_connection: bool,
    /// Whether another process goes on.
    is_followed: bool,
    /// The session of the process before this one, until there is a peer for it.
    inherited: Option<HandedOver>,
    links: Links,
    farewells: JoinSet<()>,
    /// Why the last attempt to connect came to nothing.
    error: Option<PeerError>,
    /// Why the peer cannot connect.
    listen_error: Option<PeerError>,
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
        accepted: mpsc::Receiver<TcpStream>,
        telling: Telling,
    ) -> Self {
        wanted.mark_changed();
        let recorder = telling.inspector.recorder().clone();
        Self {
            peer: RecordedPeer::new(&name, peer.config.clone(), seed(&name), recorder),
            wanted,
            accepted,
            questions: telling.inspector.subscribe(),
            followed: Arc::clone(peer),
            has_started: false,
            is_ending: false,
            ends_with_connection: false,
            is_followed: false,
            inherited: None,
            links: Links::default(),
            farewells: JoinSet::new(),
            error: None,
            listen_error: None,
            events: Vec::new(),
            news: News::Great,
            view_due: Instant::ORIGIN,
            metrics: telling.metrics_of(&name),
            telling,
            name,
        }
    }

    /// Has the peer go on with a session of the process before this one.
    pub(super) fn inherit(&mut self, session: Option<HandedOver>) {
        self.inherited = session;
    }

    /// Has the peer be one as long as it has the connection that it is about to get, or goes on with.
    pub(super) const fn end_with_connection(&mut self) {
        self.ends_with_connection = true;
    }

    /// Runs until the peer is not wanted any more and has been told so, or another process goes on with
    /// what is returned.
    pub(super) async fn run(mut self) -> Option<HandedOver> {
        loop {
            let is_busy = self.turn(clock::now());
            if self.is_followed {
                return self.hand_over(clock::now());
            }
            let is_over = self.is_ending || (self.ends_with_connection && self.accepted.is_empty());
            if is_over && self.links.is_empty() && self.farewells.is_empty() {
                break;
            }
            if is_busy {
                yield_now().await;
            } else {
                self.wait().await;
            }
        }
        self.metrics.forget();
        self.telling.hide(&self.name);
        self.telling.exports.hide(&self.name);
        None
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
        while let Ok(question) = self.questions.try_recv() {
            question.answer(&self.name, &self.peer);
        }
        has_more_to_read || self.links.are_writable()
    }

    /// Takes on what is wanted.
    fn follow(&mut self, now: Instant) {
        if !self.wanted.has_changed().unwrap_or(false) {
            return;
        }
        self.news = News::Great;
        let want = self.wanted.borrow_and_update().clone();
        match want {
            Want::Session(wanted, listen_error) => {
                self.listen_error = listen_error;
                self.follow_session(&wanted, now);
            }
            Want::End(stop) => {
                self.is_ending = true;
                self.peer.stop(stop, now);
            }
            Want::HandOver => self.is_followed = true,
        }
        self.drain(now);
    }

    fn follow_session(&mut self, wanted: &Arc<WantedPeer>, now: Instant) {
        self.is_ending = false;
        let before = std::mem::replace(&mut self.followed, Arc::clone(wanted));
        // First what goes into UPDATEs, all of it: then it goes into them at once.
        let mut rib_out = self.peer.rib_out_mut(now);
        if !(self.has_started && Arc::ptr_eq(&before.routes, &wanted.routes)) {
            rib_out.set_wanted(&wanted.routes);
        }
        rib_out.set_graceful_shutdown(wanted.is_shutting_down);
        if wanted.is_complete {
            rib_out.complete();
        }
        if let Some(session) = self.inherited.take() {
            self.resume(session, now);
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
    }

    /// Hands in what has come. Whether there may be more.
    fn receive(&mut self, now: Instant) -> bool {
        let mut has_more = false;
        for id in self.links.ids() {
            has_more |= self.receive_on(id, now);
        }
        has_more
    }

    fn receive_on(&mut self, id: ConnectionId, now: Instant) -> bool {
        let mut buffer = [0; READ_LENGTH];
        for _ in 0..READS_MAX {
            let Some(connection) = self.links.get(id) else { return false };
            match connection.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    self.links.remove(id);
                    self.peer.handle_timed_out(id, now);
                    self.drain(now);
                }
                Ok(0) | Err(_) => {
                    self.links.remove(id);
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
        for id in self.links.ids() {
            let Some(connection) = self.links.get_mut(id) else { continue };
            connection.write();
            if connection.take_writable() {
                self.peer.handle_writable(id, now);
                self.note(News::Small);
                self.drain(now);
            }
        }
    }

    /// Does what the peer wants done, and keeps what it tells.
    fn drain(&mut self, now: Instant) {
        while let Some(transmit) = self.peer.poll_transmit() {
            self.note(News::Small);
            match transmit {
                Transmit::Connect { id } => self.connect(id, now),
                Transmit::Send { id, octets } => {
                    if let Some(connection) = self.links.get_mut(id) {
                        connection.send(octets);
                    }
                }
                Transmit::Close { id } => self.close(id),
                Transmit::Abort { id } => self.abort(id),
            }
        }
        while let Some(event) = self.peer.poll_event() {
            self.heed(&event);
            self.events.push(event);
            self.news = News::Great;
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
            self.telling.exports.show(&self.name, &self.peer, &session, &self.events);
            if self.is_ending {
                self.telling.hide(&self.name);
            } else {
                let error = self.error.as_ref().or(self.listen_error.as_ref()).cloned();
                self.telling.show(&self.name, PeerStatus { at: now, session, error });
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
        let Self { wanted, accepted, questions, links, farewells, .. } = self;
        tokio::select! {
            connected = links.ready() => {
                if let Some((id, connected)) = connected {
                    self.take_connected(id, connected, clock::now());
                }
            }
            Some(stream) = accepted.recv() => self.take_accepted(stream, clock::now()),
            Ok(()) = wanted.changed() => wanted.mark_changed(),
            // Those that were missed are not answered; the next are in the turn that follows.
            asked = questions.recv() => {
                if let Ok(question) = asked {
                    question.answer(&self.name, &self.peer);
                }
            }
            Some(_ended) = farewells.join_next() => {}
            () = sleep_to(due) => {}
        }
    }
}

/// What jitter is drawn from: another one for each peer and each process.
fn seed(name: &ObjectName) -> u64 {
    RandomState::new().hash_one(name)
}

#[cfg(test)]
mod tests;
