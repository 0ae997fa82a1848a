//! The router that all contenders tell their routes: it takes sessions at its addresses, keeps a table of
//! each, and notes when what arrived. It says nothing itself but OPEN and KEEPALIVE.
//!
//! It is one program for all, so what it takes to read and to keep a route is the same for all; BIRD
//! would not say when it had the last.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ferrolb_interop::{Host, Stage};
use ferrolb_vocab::{Asn, BgpId, Community, IpPrefix};
use ferrolb_wire::bgp::{
    Capabilities, Decoding, Disposition, Families, Frame, MessageType, Notification, Open, PORT, Update,
    keepalive,
};
use nix::sched::{CloneFlags, setns};

use crate::RECEIVER_ASN;

/// A running receiver; it ends when this is dropped, and the sessions with it.
#[derive(Debug)]
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads of sessions write, and whoever measures reads.
#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct Seen {
    tables: BTreeMap<Ends, Table>,
    /// Why a session that was Established has ended, or why none can be.
    failure: Option<String>,
}

/// The addresses that a session is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ends {
    receiver: IpAddr,
    contender: IpAddr,
}

/// What came from one session.
#[derive(Debug, Default)]
struct Table {
    /// With the first community of each.
    prefixes: HashMap<IpPrefix, Option<Community>>,
    arrival: Arrival,
}

/// When routes of a session came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    /// The contender's KEEPALIVE, with which the session is Established.
    pub(crate) established: Option<Instant>,
    /// The first UPDATE with a route since [`Receiver::forget_times`], as it was read.
    pub(crate) first: Option<Instant>,
    /// The last one.
    pub(crate) last: Option<Instant>,
    /// How many there were.
    pub(crate) updates: u64,
}

impl Receiver {
    /// Listens at all addresses of the stage's router. Before that contenders are refused, so that they
    /// can get ready without being timed.
    pub(crate) fn start(stage: &Stage) -> Result<Self> {
        let path = format!("/run/netns/{}", stage.netns(Host::Router));
        let namespace = File::open(&path).with_context(|| format!("open {path}"))?;
        Ok(Self::listen(Some(namespace)))
    }

    /// The same at all addresses of the network namespace that this process is in.
    pub(crate) fn here() -> Self {
        Self::listen(None)
    }

    fn listen(namespace: Option<File>) -> Self {
        let shared = Arc::new(Shared::default());
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = accept(&shared, namespace.as_ref()) {
                    shared.fail(&error.context("receive routes"));
                }
            }
        });
        Self { shared, acceptor: Some(acceptor) }
    }

    /// Waits until so many sessions are Established, each with so many routes.
    pub(crate) fn wait(&self, sessions: usize, routes: u16) -> Result<Vec<Arrival>> {
        self.wait_until(sessions, routes, |_table| true)
    }

    /// The same, and all of these routes have the community, as their first.
    pub(crate) fn wait_marked(
        &self,
        sessions: usize,
        routes: u16,
        community: Community,
    ) -> Result<Vec<Arrival>> {
        self.wait_until(sessions, routes, |table| {
            table.prefixes.values().all(|first| *first == Some(community))
        })
    }

    fn wait_until(
        &self,
        sessions: usize,
        routes: u16,
        is_as_told: impl Fn(&Table) -> bool,
    ) -> Result<Vec<Arrival>> {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = self.shared.seen();
        loop {
            if let Some(failure) = &seen.failure {
                bail!("{failure}");
            }
            let is_whole = |table: &Table| {
                table.arrival.established.is_some()
                    && table.prefixes.len() == usize::from(routes)
                    && is_as_told(table)
            };
            if seen.tables.len() == sessions && seen.tables.values().all(is_whole) {
                return Ok(seen.tables.values().map(|table| table.arrival).collect());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let known: Vec<_> = seen.tables.values().map(|table| table.prefixes.len()).collect();
                bail!("not within {DEADLINE:?}: {routes} routes of each of {sessions}; there are {known:?}");
            }
            let waited = self.shared.changed.wait_timeout(seen, left);
            (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts UPDATEs anew.
    pub(crate) fn forget_times(&self) {
        for table in self.shared.seen().tables.values_mut() {
            table.arrival = Arrival { established: table.arrival.established, ..Arrival::default() };
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // A thread that panicked has said so itself.
        let _ended = self.acceptor.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn fail(&self, error: &anyhow::Error) {
        self.seen().failure.get_or_insert_with(|| format!("{error:#}"));
        self.changed.notify_all();
    }
}

/// Takes connections in the namespace, if it is another, until it is over, and waits for the ends of the
/// sessions.
fn accept(shared: &Arc<Shared>, namespace: Option<&File>) -> Result<()> {
    if let Some(namespace) = namespace {
        setns(namespace, CloneFlags::CLONE_NEWNET).context("join the router's network namespace")?;
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("listen on the port of BGP")?;
    listener.set_nonblocking(true)?;
    let mut sessions = Vec::new();
    while !shared.is_over() {
        match listener.accept() {
            Ok((stream, _contender)) => {
                let shared = Arc::clone(shared);
                sessions.push(thread::spawn(move || serve(&shared, stream)));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ACCEPT_POLL),
            Err(error) => return Err(error).context("accept a connection"),
        }
    }
    for session in sessions {
        // A thread that panicked has said so itself.
        let _ended = session.join();
    }
    Ok(())
}

/// Has a session on a connection. One that ends before it is Established is tried again by the contender.
fn serve(shared: &Shared, stream: TcpStream) {
    let (Ok(receiver), Ok(contender)) = (stream.local_addr(), stream.peer_addr()) else { return };
    let ends = Ends { receiver: receiver.ip(), contender: contender.ip() };
    let ended = Session { ends, stream, buffer: Vec::new(), keepalive_due: None }.run(shared);
    let mut seen = shared.seen();
    let table = seen.tables.remove(&ends).unwrap_or_default();
    drop(seen);
    if let Err(error) = ended
        && table.arrival.established.is_some()
    {
        shared.fail(&error.context(format!("the session of {contender} with {receiver} was lost")));
    }
}

/// One connection.
struct Session {
    ends: Ends,
    stream: TcpStream,
    /// What was read and is no whole message yet.
    buffer: Vec<u8>,
    /// From the OPEN on.
    keepalive_due: Option<Instant>,
}

impl Session {
    /// Until it is over.
    fn run(mut self, shared: &Shared) -> Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(READ_POLL))?;
        let mut chunk = vec![0; CHUNK];
        while !shared.is_over() {
            match self.stream.read(&mut chunk) {
                Ok(0) => bail!("the contender closed the connection"),
                Ok(length) => {
                    let now = Instant::now();
                    self.buffer.extend_from_slice(chunk.get(..length).unwrap_or_default());
                    self.take_messages(shared, now)?;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).context("read"),
            }
            if self.keepalive_due.is_some_and(|due| due <= Instant::now()) {
                self.send_keepalive()?;
            }
        }
        Ok(())
    }

    /// What has been read at `now`.
    fn take_messages(&mut self, shared: &Shared, now: Instant) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut at = 0;
        while let Some((frame, length)) = Frame::next(buffer.get(at..).unwrap_or_default())? {
            match frame.message_type {
                MessageType::Open => self.answer(&Open::parse(frame.body)?)?,
                MessageType::Keepalive => {
                    let mut seen = shared.seen();
                    let table = seen.tables.entry(self.ends).or_default();
                    table.arrival.established.get_or_insert(now);
                }
                MessageType::Update => {
                    let update = Update::parse(frame.body, &DECODING)?;
                    let mut seen = shared.seen();
                    seen.tables.entry(self.ends).or_default().take(&update, now)?;
                }
                MessageType::Notification => bail!("{}", Notification::parse(frame.body)?),
                MessageType::RouteRefresh => {}
            }
            at += length;
        }
        self.buffer.extend_from_slice(buffer.get(at..).unwrap_or_default());
        shared.changed.notify_all();
        Ok(())
    }

    /// Accepts the contender's OPEN with one of its own, and says so.
    fn answer(&mut self, open: &Open) -> Result<()> {
        ensure!(open.capabilities.four_octet_asn.is_some(), "the contender has no four-octet AS numbers");
        let receiver = self.ends.receiver;
        let IpAddr::V4(address) = receiver else { bail!("{receiver} is no IPv4 address") };
        let answer = Open {
            asn: Asn(RECEIVER_ASN),
            hold_time: HOLD_TIME,
            bgp_id: BgpId::from_ipv4(address).context("the address is no BGP Identifier")?,
            capabilities: Capabilities {
                families: Some(Families::IPV4),
                four_octet_asn: Some(Asn(RECEIVER_ASN)),
                ..Capabilities::default()
            },
        };
        self.stream.write_all(&answer.emit()).context("send an OPEN")?;
        self.send_keepalive()
    }

    fn send_keepalive(&mut self) -> Result<()> {
        self.stream.write_all(&keepalive()).context("send a KEEPALIVE")?;
        self.keepalive_due = Some(Instant::now() + KEEPALIVE_TIME);
        Ok(())
    }
}

impl Table {
    fn take(&mut self, update: &Update<'_>, now: Instant) -> Result<()> {
        ensure!(update.disposition() == Disposition::Accept, "an UPDATE is malformed: {update:?}");
        let mut routes = 0_u64;
        for prefix in update.withdrawn() {
            self.prefixes.remove(&prefix);
            routes += 1;
        }
        for prefix in update.reachable() {
            self.prefixes.insert(prefix, update.communities().next());
            routes += 1;
        }
        // End-of-RIB has none.
        if routes > 0 {
            self.arrival.first.get_or_insert(now);
            self.arrival.last = Some(now);
            self.arrival.updates += 1;
        }
        Ok(())
    }
}

/// How long sessions and routes may take: FRR needs seconds for 10,000 at once. It is a deadline for
/// what is broken, no measurement.
const DEADLINE: Duration = Duration::from_secs(90);

/// Octets of the greatest read.
const CHUNK: usize = 64 * 1024;

/// From one look for a connection to the next: contenders are timed from Established on.
const ACCEPT_POLL: Duration = Duration::from_millis(5);

/// From one look whether it is over to the next, where nothing arrives.
const READ_POLL: Duration = Duration::from_millis(200);

/// In seconds: RFC 4271 §10.
const HOLD_TIME: u16 = 90;
/// A third of it.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);

/// What all contenders agree to.
const DECODING: Decoding = Decoding {
    four_octet_as: true,
    is_internal: false,
    local_asn: Asn(RECEIVER_ASN),
    families: Families::IPV4,
};

#[cfg(test)]
mod tests;
