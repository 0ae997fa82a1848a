//! Which peers there are: the thread's first task, which starts and ends those of the peers.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::{io, mem};

use ferrolb_bgp::Stop;
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Instant, ObjectName};
use ferrolb_wire::bgp::{Cease, Notification};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::callers::{Caller, Callers};
use super::connection::Connection;
use super::listeners::{Accepted, Listeners};
use super::peer_driver::PeerDriver;
use super::telling::Telling;
use super::{Ending, HandedOver, PeerError, Wanted, WantedPeer};

/// Connections of a peer's that its task has not taken: it has use for one. Beyond it they are dropped, and
/// counted with reason `connection_queue`.
const ACCEPTED_MAX: usize = 2;

/// Connections of others that are told at the same time that they are not wanted. Beyond it they are dropped;
/// all that were just opened are counted with reason `unknown_peer`.
const STRANGERS_MAX: usize = 16;

/// The tasks of the peers, and what each is told.
#[derive(Debug)]
pub(super) struct Driver {
    wanted: watch::Receiver<Wanted>,
    /// Those that are wanted, and those that say farewell.
    peers: BTreeMap<ObjectName, Told>,
    /// Of each, what another process can go on with, if it was asked.
    tasks: JoinSet<Option<HandedOver>>,
    handed_over: Vec<HandedOver>,
    /// The sessions of the process before this one, until it is said who is a peer.
    inherited: BTreeMap<ObjectName, HandedOver>,
    listeners: Listeners,
    callers: Callers,
    strangers: JoinSet<()>,
    telling: Telling,
}

/// What a peer's task is told.
#[derive(Debug)]
struct Told {
    want: watch::Sender<Want>,
    accepted: mpsc::Sender<TcpStream>,
}

/// What is wanted of a peer's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// A session like this; and why the peer cannot connect, if it is to.
    Session(Arc<WantedPeer>, Option<PeerError>),
    /// To say farewell and end.
    End(Stop),
    /// To end without a word, for another process.
    HandOver,
}

impl Driver {
    pub(super) fn new(wanted: watch::Receiver<Wanted>, inherited: Vec<HandedOver>, telling: Telling) -> Self {
        let callers = Callers::among(inherited.iter().map(|session| &session.peer));
        telling.show_ranges(callers.status(&BTreeMap::new(), |_| None));
        Self {
            wanted,
            peers: BTreeMap::new(),
            tasks: JoinSet::new(),
            handed_over: Vec::new(),
            inherited: inherited.into_iter().map(|session| (session.peer.clone(), session)).collect(),
            listeners: Listeners::default(),
            callers,
            strangers: JoinSet::new(),
            telling,
        }
    }

    /// Runs until all peers have been left, if that is wanted, or the handle is gone. What another
    /// process can go on with, if that is wanted.
    pub(super) async fn run(mut self) -> Vec<HandedOver> {
        // Before somebody says who is a peer, it is not known who is none.
        if self.wanted.changed().await.is_err() {
            return Vec::new();
        }
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            self.listeners.follow(&wanted, clock::now());
            self.follow(&wanted);
            if wanted.ending.is_some() && self.tasks.is_empty() {
                return self.handed_over;
            }
            let retry = self.listeners.next_retry();
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return Vec::new();
                    }
                }
                Some(ended) = self.tasks.join_next() => self.note_ended(ended),
                accepted = self.listeners.accept() => {
                    if let Some(accepted) = accepted {
                        self.pass_on(&wanted, accepted);
                    }
                }
                Some(_refused) = self.strangers.join_next() => {}
                () = sleep_to(retry) => {}
            }
        }
    }

    /// Tells each peer what is wanted of it, and starts those that are new.
    fn follow(&mut self, wanted: &Wanted) {
        let end = match &wanted.ending {
            Some(Ending::Leave(text)) => Want::End(Stop::Shutdown(text.clone())),
            Some(Ending::HandOver) => Want::HandOver,
            None => Want::End(Stop::PeerRemoved),
        };
        for (name, told) in &self.peers {
            if !wanted.peers.contains_key(name) {
                told.tell(end.clone());
            }
        }
        for (name, peer) in &*wanted.peers {
            let want = Want::Session(Arc::clone(peer), self.listeners.error(peer));
            if let Some(told) = self.peers.get(name) {
                told.tell(want);
                continue;
            }
            self.start(name, peer, want);
        }
        let inherited = mem::take(&mut self.inherited).into_values();
        if let Some(Ending::HandOver) = wanted.ending {
            // Who is a peer is for the process after this one to say.
            self.handed_over.extend(inherited);
            return;
        }
        for HandedOver { resumption, stream, .. } in inherited {
            let last_word = resumption.deconfigured();
            self.dismiss(Connection::resume(stream, resumption.unwritten), &last_word);
        }
        for stream in self.callers.retain(wanted, |name| self.peers.contains_key(name)) {
            self.refuse(stream);
        }
        self.telling
            .show_ranges(self.callers.status(&wanted.ranges, |range| self.listeners.range_error(range)));
    }

    /// Starts the task of a peer; of one that connects from a range, if it has a connection.
    fn start(&mut self, name: &ObjectName, peer: &Arc<WantedPeer>, want: Want) {
        let (caller, inherited) = (Caller::of(name), self.inherited.remove(name));
        let held = caller.as_ref().and_then(|caller| self.callers.take(caller));
        if caller.is_some() && inherited.is_none() && held.is_none() {
            // It is gone, which whoever wants it is about to see.
            return;
        }
        let (want, to_follow) = watch::channel(want);
        let (accepted, to_take) = mpsc::channel(ACCEPTED_MAX);
        let mut driver = PeerDriver::new(name.clone(), peer, to_follow, to_take, self.telling.clone());
        driver.inherit(inherited);
        if caller.is_some() {
            driver.end_with_connection();
        }
        if let Some(stream) = held {
            // There is room for it.
            drop(accepted.try_send(stream));
        }
        self.tasks.spawn(driver.run());
        self.peers.insert(name.clone(), Told { want, accepted });
    }

    /// Hands a connection to the peer that it is of, or holds it if it may become one. Who is no peer is
    /// told so: RFC 4486 §4.
    fn pass_on(&mut self, wanted: &Wanted, accepted: Accepted) {
        let peer = wanted.peers.iter().find(|(_, peer)| accepted.is_of(peer));
        if let Some(told) = peer.and_then(|(name, _)| self.peers.get(name)) {
            if told.accepted.try_send(accepted.stream).is_err() {
                self.telling.count_drop("connection_queue");
            }
            return;
        }
        let (refused, reason) = match accepted.caller(wanted) {
            None => (accepted.stream, "unknown_peer"),
            Some(caller) => match self.callers.admit(caller, accepted.stream) {
                Ok(()) => return,
                Err(stream) => (stream, "listen_range_full"),
            },
        };
        self.telling.count_drop(reason);
        self.refuse(refused);
    }

    fn refuse(&mut self, stream: TcpStream) {
        let refusal = Notification::cease(Cease::ConnectionRejected, None);
        self.dismiss(Connection::new(stream), &refusal);
    }

    /// Closes a connection, if it is still open, with a last word to who is no peer.
    fn dismiss(&mut self, connection: io::Result<Connection>, last_word: &Notification) {
        if self.strangers.len() < STRANGERS_MAX
            && let Ok(mut connection) = connection
        {
            connection.send(last_word.emit());
            self.strangers.spawn(connection.close());
        }
    }

    /// A task has ended: its peer begins anew should it be wanted again.
    fn note_ended(&mut self, ended: Result<Option<HandedOver>, JoinError>) {
        match ended.map_err(JoinError::try_into_panic) {
            Ok(session) => self.handed_over.extend(session),
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_aborted)) => {}
        }
        self.peers.retain(|_, told| !told.want.is_closed());
    }
}

impl Told {
    /// Says what is wanted, if that is new.
    fn tell(&self, want: Want) {
        self.want.send_if_modified(|known| {
            let is_new = *known != want;
            if is_new {
                *known = want;
            }
            is_new
        });
    }
}

/// Sleeps until a time, or for ever.
pub(super) async fn sleep_to(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(clock::to_std(due).into()).await,
        None => pending().await,
    }
}
