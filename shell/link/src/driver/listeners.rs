//! The sockets of the driver, opened and closed as the announcer wants, each on its own: what
//! fails on one is retried and leaves the others alone.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::Ipv6Addr;
use std::task::Poll;
use std::time::Duration;

use ferrolb_l2::{Listening, Protocol};
use ferrolb_telemetry::{RateLimit, chain};
use ferrolb_vocab::{Instant, InterfaceName};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::{L2Status, LOG_INTERVAL, ListenerError, RETRY_MAX, RETRY_MIN};
use crate::metrics::L2Metrics;
use crate::multicast::{JoinError, Memberships};
use crate::packet::{OpenError, PacketSocket, Received};

/// One protocol on one interface.
type Key = (InterfaceName, Protocol);

/// The sockets that are wanted, open or not.
#[derive(Debug)]
pub(super) struct Listeners {
    listeners: BTreeMap<Key, Listener>,
    metrics: L2Metrics,
    status: watch::Sender<L2Status>,
}

#[derive(Debug)]
struct Listener {
    wanted: Wanted,
    state: State,
    /// How long to wait after the next failure.
    backoff: Duration,
    log: RateLimit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    index: u32,
    groups: BTreeSet<Ipv6Addr>,
}

#[derive(Debug)]
enum State {
    New,
    Open { socket: PacketSocket, memberships: Memberships, since: Instant },
    Failed { error: ListenerError, retry_at: Instant },
}

#[derive(Debug, thiserror::Error)]
enum UpdateError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// A socket failed while it was in use.
#[derive(Debug, thiserror::Error)]
#[error("{verb} on {interface}")]
struct IoFailure {
    verb: &'static str,
    interface: InterfaceName,
    #[source]
    source: io::Error,
}

impl Listeners {
    pub(super) fn new(metrics: L2Metrics, status: watch::Sender<L2Status>) -> Self {
        Self { listeners: BTreeMap::new(), metrics, status }
    }

    /// Opens, closes and joins what `listening` asks for, and retries what is due. Returns the
    /// listeners that had failed and are open again.
    pub(super) fn update(
        &mut self,
        listening: &BTreeMap<&InterfaceName, Listening>,
        now: Instant,
    ) -> Vec<Key> {
        let wanted = wanted(listening);
        self.listeners.retain(|key, listener| {
            wanted.get(key).is_some_and(|wanted| wanted.index == listener.wanted.index)
        });
        let mut reopened = Vec::new();
        for (key, wanted) in wanted {
            let listener = self
                .listeners
                .entry(key.clone())
                .and_modify(|listener| listener.wanted.groups.clone_from(&wanted.groups))
                .or_insert_with(|| Listener::new(wanted));
            let had_failed = matches!(listener.state, State::Failed { .. });
            match listener.update(&key, now) {
                Ok(()) if had_failed && listener.is_open() => reopened.push(key),
                Ok(()) => {}
                Err(error) => self.fail(&key, &error, now),
            }
        }
        self.publish();
        reopened
    }

    /// When to call [`Listeners::update`] for a retry.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        let retry_at = |listener: &Listener| match listener.state {
            State::Failed { retry_at, .. } => Some(retry_at),
            State::New | State::Open { .. } => None,
        };
        self.listeners.values().filter_map(retry_at).min()
    }

    pub(super) fn open(&self) -> Vec<Key> {
        self.listeners.iter().filter(|(_, listener)| listener.is_open()).map(|(key, _)| key.clone()).collect()
    }

    /// Ready when a frame may be waiting on any socket.
    pub(super) async fn readable(&self) {
        poll_fn(|cx| {
            // Each socket is polled, or it would not wake us.
            let ready = self
                .listeners
                .values()
                .filter_map(Listener::socket)
                .filter(|socket| socket.poll_readable(cx).is_ready())
                .count();
            if ready > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Receives the next frame into `buffer`; nothing if the socket has failed.
    pub(super) fn receive(
        &mut self,
        (interface, protocol): (&InterfaceName, Protocol),
        buffer: &mut [u8],
        now: Instant,
    ) -> Received {
        let key = (interface.clone(), protocol);
        let Some(socket) = self.listeners.get(&key).and_then(Listener::socket) else {
            return Received::Nothing;
        };
        socket.try_receive(buffer).unwrap_or_else(|source| {
            let failure = IoFailure { verb: "receiving", interface: interface.clone(), source };
            self.fail(&key, &failure, now);
            self.publish();
            Received::Nothing
        })
    }

    /// Sends a frame, or says why not.
    pub(super) fn send(
        &mut self,
        (interface, protocol): (&InterfaceName, Protocol),
        frame: &[u8],
        now: Instant,
    ) -> Result<(), &'static str> {
        let key = (interface.clone(), protocol);
        let socket = self.listeners.get(&key).and_then(Listener::socket).ok_or("ListenerDown")?;
        match socket.try_send(frame) {
            Ok(()) => Ok(()),
            Err(error) if is_congestion(&error) => Err("Congested"),
            Err(source) => {
                let failure = IoFailure { verb: "sending", interface: interface.clone(), source };
                self.fail(&key, &failure, now);
                self.publish();
                Err("SendFailed")
            }
        }
    }

    fn fail(&mut self, key: &Key, error: &dyn Error, now: Instant) {
        let (interface, protocol) = key;
        self.metrics.failure(interface, *protocol);
        let Some(listener) = self.listeners.get_mut(key) else { return };
        if let Some(suppressed) = listener.log.admit(now) {
            warn!(
                %interface, protocol = protocol.name(), error = %chain(error), suppressed,
                "layer 2 socket failed; it is tried again"
            );
        }
        listener.fail(error, now);
    }

    fn publish(&self) {
        let listeners: BTreeMap<_, _> =
            self.listeners.iter().map(|(key, listener)| (key.clone(), listener.status())).collect();
        self.status.send_if_modified(|status| {
            let changed = status.listeners != listeners;
            status.listeners = listeners;
            changed
        });
    }
}

impl Listener {
    const fn new(wanted: Wanted) -> Self {
        Self { wanted, state: State::New, backoff: RETRY_MIN, log: RateLimit::new(LOG_INTERVAL) }
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    const fn socket(&self) -> Option<&PacketSocket> {
        match &self.state {
            State::Open { socket, .. } => Some(socket),
            State::New | State::Failed { .. } => None,
        }
    }

    fn status(&self) -> Result<(), ListenerError> {
        match &self.state {
            State::New | State::Open { .. } => Ok(()),
            State::Failed { error, .. } => Err(error.clone()),
        }
    }

    fn update(&mut self, (interface, protocol): &Key, now: Instant) -> Result<(), UpdateError> {
        match &mut self.state {
            State::Open { memberships, .. } => Ok(memberships.set(&self.wanted.groups)?),
            State::Failed { retry_at, .. } if now < *retry_at => Ok(()),
            State::New | State::Failed { .. } => {
                let socket = PacketSocket::open(interface, self.wanted.index, (*protocol).into())?;
                let mut memberships = Memberships::new(interface.clone(), self.wanted.index);
                memberships.set(&self.wanted.groups)?;
                debug!(%interface, protocol = protocol.name(), "layer 2 socket open");
                self.state = State::Open { socket, memberships, since: now };
                Ok(())
            }
        }
    }

    fn fail(&mut self, error: &dyn Error, now: Instant) {
        if let State::Open { since, .. } = self.state
            && now.saturating_since(since) > RETRY_MAX
        {
            self.backoff = RETRY_MIN;
        }
        let error = ListenerError(chain(error).to_string());
        self.state = State::Failed { error, retry_at: now + self.backoff };
        self.backoff = (self.backoff * 2).min(RETRY_MAX);
    }
}

fn wanted(listening: &BTreeMap<&InterfaceName, Listening>) -> BTreeMap<Key, Wanted> {
    let mut wanted = BTreeMap::new();
    for (interface, Listening { index, arp, ndp, groups }) in listening {
        let key = |protocol| ((*interface).clone(), protocol);
        if *arp {
            wanted.insert(key(Protocol::Arp), Wanted { index: *index, groups: BTreeSet::new() });
        }
        if *ndp {
            wanted.insert(key(Protocol::Ndp), Wanted { index: *index, groups: groups.clone() });
        }
    }
    wanted
}

/// Whether the interface's queue is full: the frame is lost and the socket is well.
fn is_congestion(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(nix::libc::ENOBUFS)
}
