//! The layer 2 driver: one task that owns the announcer, its sockets and its timer.
//!
//! ```text
//!  L2Handle ──commands (COMMAND_QUEUE)──> ┌──────┐ ──events (EVENT_QUEUE)──> owner
//!  links::follow ──watch────────────────> │ task │ ──status (watch)────────> owner
//!  packet sockets <───────frames────────> └──────┘
//! ```
//!
//! The task ends when the last [`L2Handle`] is dropped; its sockets close and the addresses fall
//! silent. Every wait in it can be cancelled without loss.

use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::net::IpAddr;
use std::time::Duration;

use ferrolb_l2::{Announcer, Dropped, Event, Handled, Intervals, LinkState, Stall, Start};
use ferrolb_telemetry::{RateLimit, clock};
use ferrolb_vocab::{Instant, InterfaceName, IpFamily, Link, MacAddr, NodeName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tracing::{info, trace, warn};

use crate::metrics::L2Metrics;
use crate::packet::Received;
use listeners::Listeners;
pub use status::{L2Status, ListenerError};

mod listeners;
mod status;

/// A running driver.
#[derive(Debug)]
pub struct L2Driver {
    /// What it is told.
    pub handle: L2Handle,
    /// What it has to say. When the receiver lags by more than [`EVENT_QUEUE`] events, the next are
    /// dropped and counted.
    pub events: mpsc::Receiver<Event>,
    /// Ends after the last handle was dropped.
    pub task: JoinHandle<()>,
}

/// Tells the driver what to announce.
#[derive(Clone, Debug)]
pub struct L2Handle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<L2Status>,
}

/// The driver's task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the layer 2 driver has stopped; restart the speaker")]
pub struct DriverGone;

#[derive(Debug)]
enum Command {
    Announce(IpAddr, BTreeSet<InterfaceName>, Start),
    Withdraw(IpAddr),
    Reassert(IpAddr),
    SetFellows(BTreeMap<MacAddr, NodeName>),
    StandBy(BTreeSet<(InterfaceName, IpFamily)>),
}

impl L2Handle {
    /// Answers for `address` on exactly `interfaces` from now on, present or not. Where it was not
    /// answered for before it is announced, and probed for first if `how` says so. Waits while
    /// [`COMMAND_QUEUE`] commands are queued.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn announce(
        &self,
        address: IpAddr,
        interfaces: BTreeSet<InterfaceName>,
        how: Start,
    ) -> Result<(), DriverGone> {
        self.send(Command::Announce(address, interfaces, how)).await
    }

    /// Stops answering for `address`. Waits while [`COMMAND_QUEUE`] commands are queued.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn withdraw(&self, address: IpAddr) -> Result<(), DriverGone> {
        self.send(Command::Withdraw(address)).await
    }

    /// Announces `address` anew where it is announced: another node claimed it too, and has let go. Waits
    /// while [`COMMAND_QUEUE`] commands are queued.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn reassert(&self, address: IpAddr) -> Result<(), DriverGone> {
        self.send(Command::Reassert(address)).await
    }

    /// Tells which hardware addresses are other nodes': their claims may only be early. No conflict is
    /// defended before. Waits while [`COMMAND_QUEUE`] commands are queued.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn set_fellows(&self, fellows: BTreeMap<MacAddr, NodeName>) -> Result<(), DriverGone> {
        self.send(Command::SetFellows(fellows)).await
    }

    /// Keeps sockets open on exactly these interfaces from now on, whatever is announced there: to open one
    /// takes the kernel up to 16 ms, which nobody has to wait for when an address is taken over. Waits
    /// while [`COMMAND_QUEUE`] commands are queued.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn stand_by(&self, standby: BTreeSet<(InterfaceName, IpFamily)>) -> Result<(), DriverGone> {
        self.send(Command::StandBy(standby)).await
    }

    /// What is up and what is not. The channel closes when the driver stops.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<L2Status> {
        self.status.clone()
    }

    async fn send(&self, command: Command) -> Result<(), DriverGone> {
        self.commands.send(command).await.map_err(|_closed| DriverGone)
    }
}

impl L2Driver {
    /// Starts a driver on the present runtime. The sockets it opens belong to the network
    /// namespace of the runtime's threads.
    #[must_use]
    pub fn spawn(links: watch::Receiver<Vec<Link>>, intervals: Intervals, metrics: L2Metrics) -> Self {
        let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
        let (events, event_receiver) = mpsc::channel(EVENT_QUEUE);
        let (status_sender, status) = watch::channel(L2Status::default());
        let driver = Driver {
            announcer: Announcer::new(intervals),
            listeners: Listeners::new(metrics.clone(), status_sender.clone()),
            status: status_sender,
            links,
            commands,
            events,
            metrics,
            stall: Stall::default(),
            stall_log: RateLimit::new(LOG_INTERVAL),
        };
        Self {
            handle: L2Handle { commands: command_sender, status },
            events: event_receiver,
            task: tokio::spawn(driver.run()),
        }
    }
}

struct Driver {
    announcer: Announcer,
    listeners: Listeners,
    status: watch::Sender<L2Status>,
    links: watch::Receiver<Vec<Link>>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    metrics: L2Metrics,
    stall: Stall,
    stall_log: RateLimit,
}

impl Driver {
    async fn run(mut self) {
        self.on_links();
        let mut links_followed = true;
        loop {
            let now = clock::now();
            if let Some(late) = self.stall.begin_turn(now)
                && let Some(suppressed) = self.stall_log.admit(now)
            {
                warn!(
                    ?late,
                    suppressed,
                    "layer 2 stood still; nothing is said until it is known what others have by now"
                );
            }
            // First what has been heard: an answer that waits in a socket comes before the time is up.
            self.receive();
            let now = clock::now();
            if !self.stall.is_silent() {
                self.announcer.handle_timeout(now);
                self.drain();
            }
            self.publish_unproven();
            self.retry_listeners(now);
            let announcing = self.announcer.poll_timeout().map(|(due, _)| due);
            let due = announcing.into_iter().chain(self.listeners.retry_at()).min();
            let deadline = self.stall.end_turn(due, announcing.is_some(), now);
            tokio::select! {
                command = self.commands.recv() => {
                    let Some(command) = command else { break };
                    self.on_commands(command);
                }
                changed = self.links.changed(), if links_followed => {
                    links_followed = changed.is_ok();
                    self.on_links();
                }
                () = self.listeners.readable() => {}
                () = sleep_to(deadline) => {}
            }
        }
        info!("layer 2 driver stopped");
    }

    /// Applies what is queued as a whole, so that a thousand addresses cost one look at the sockets.
    fn on_commands(&mut self, first: Command) {
        let now = clock::now();
        self.apply(first, now);
        for _ in 1..COMMAND_QUEUE {
            let Ok(next) = self.commands.try_recv() else { break };
            self.apply(next, now);
        }
        self.update_listeners(now);
    }

    fn apply(&mut self, command: Command, now: Instant) {
        match command {
            Command::Announce(address, interfaces, how) => {
                self.announcer.announce(address, &interfaces, how, now);
            }
            Command::Withdraw(address) => self.announcer.withdraw(address),
            Command::Reassert(address) => self.announcer.reassert(address, now),
            Command::SetFellows(fellows) => self.announcer.set_fellows(fellows),
            Command::StandBy(standby) => self.announcer.stand_by(standby),
        }
    }

    fn on_links(&mut self) {
        let now = clock::now();
        let links = self
            .links
            .borrow_and_update()
            .iter()
            .filter_map(|link| Some((link.name.clone(), LinkState::of(link)?)))
            .collect();
        self.announcer.set_links(links, now);
        self.update_listeners(now);
    }

    fn retry_listeners(&mut self, now: Instant) {
        if self.listeners.retry_at().is_some_and(|at| at <= now) {
            self.update_listeners(now);
        }
    }

    fn update_listeners(&mut self, now: Instant) {
        for (interface, protocol) in self.listeners.update(&self.announcer.listening(), now) {
            self.announcer.reannounce(&interface, protocol, now);
        }
        self.publish_occupied();
    }

    /// Handles what has arrived, on every interface up to [`RECEIVE_BATCH`] frames: a flood on one
    /// keeps neither the others nor a command waiting.
    fn receive(&mut self) {
        let mut buffer = [0; FRAME_MAX];
        for (interface, protocol) in self.listeners.open() {
            for _ in 0..RECEIVE_BATCH {
                let now = clock::now();
                match self.listeners.receive((&interface, protocol), &mut buffer, now) {
                    Received::Frame(length) => {
                        self.on_frame(&interface, buffer.get(..length).unwrap_or(&buffer), now);
                    }
                    Received::OfOtherLink => self.metrics.drop("OtherLink"),
                    Received::Nothing => break,
                }
            }
        }
    }

    fn on_frame(&mut self, interface: &InterfaceName, frame: &[u8], now: Instant) {
        match self.announcer.handle_packet(interface, frame, now) {
            Ok(Handled::Request(protocol)) => self.metrics.request(interface, protocol),
            Ok(Handled::Conflict(protocol)) => self.metrics.conflict(interface, protocol),
            // The event says it.
            Ok(Handled::Occupied(_)) => {}
            Err(dropped) => self.on_dropped(interface, dropped),
        }
        self.drain();
    }

    fn on_dropped(&self, interface: &InterfaceName, dropped: Dropped) {
        trace!(%interface, reason = dropped.reason(), "packet without effect");
        self.metrics.drop(dropped.reason());
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.announcer.poll_transmit() {
            if self.stall.is_silent() {
                self.metrics.drop("Stalled");
                continue;
            }
            let interface = &transmit.interface;
            let protocol = IpFamily::of(transmit.address).into();
            let now = clock::now();
            match self.listeners.send((interface, protocol), &transmit.frame, now) {
                Ok(()) => {
                    trace!(%interface, ip = %transmit.address, reason = transmit.kind.name(), "frame sent");
                    self.metrics.sent(interface, protocol, transmit.kind);
                }
                Err(reason) => {
                    self.metrics.drop(reason);
                    self.announcer.handle_unsent(&transmit, now);
                }
            }
        }
        let mut occupied_changed = false;
        while let Some(event) = self.announcer.poll_event() {
            occupied_changed |= matches!(event, Event::Occupied(_) | Event::Free { .. });
            if self.events.try_send(event).is_err() {
                self.metrics.drop("EventQueueFull");
            }
        }
        if occupied_changed {
            self.publish_occupied();
        }
    }

    fn publish_unproven(&self) {
        self.status.send_if_modified(|status| {
            let changed = status.unproven != *self.announcer.unproven();
            if changed {
                status.unproven.clone_from(self.announcer.unproven());
            }
            changed
        });
    }

    /// Shows who has addresses that are wanted here: all of it, so that a lost event does no harm.
    fn publish_occupied(&self) {
        let occupied = self.announcer.occupied();
        self.metrics.occupied(occupied.len());
        self.status.send_if_modified(|status| {
            let changed = status.occupied != occupied;
            status.occupied = occupied;
            changed
        });
    }
}

/// Sleeps until `deadline`, or for ever.
pub(crate) async fn sleep_to(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(clock::to_std(deadline).into()).await,
        None => future::pending().await,
    }
}

/// The commands that may wait for the driver: a node that takes over a thousand addresses is not
/// held up, and the driver applies them together.
pub const COMMAND_QUEUE: usize = 1024;

/// The events that may wait for their receiver. They are rare: one for each address, interface
/// and [`CONFLICT_REPORT_INTERVAL`](ferrolb_l2::schedule::CONFLICT_REPORT_INTERVAL).
pub const EVENT_QUEUE: usize = 256;

/// Frames read from a socket before the others get their turn.
const RECEIVE_BATCH: usize = 64;

/// Octets kept of a frame. Neither protocol needs a tenth of it; what is longer is cut off and
/// fails to parse.
const FRAME_MAX: usize = 1514;

/// The time before a socket is tried again after its first failure.
const RETRY_MIN: Duration = Duration::from_millis(100);

/// The longest time between two tries; a socket that was open longer starts over at [`RETRY_MIN`].
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How often the failures of one socket are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
