//! All sessions: what is wanted, what of it runs, and the packets of those that do.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ferrolb_bfd::{Config, Engine, Path};
use ferrolb_vocab::Instant;

use super::echo::EchoSocket;
use super::inheritance::{Inheritance, Inherited};
use super::listeners::{Listeners, Port};
use super::metrics::BfdMetrics;
use super::retry::Retry;
use super::sender::Sender;
use super::session::{Running, Session, farewell, random};
use super::{BfdConfig, BfdView, SHARED_INTERVAL_MIN, SessionError, SessionPath, SessionStatus};
use crate::realtime::RealtimeError;

mod echo;
mod packets;

/// The engine, and the sockets that it is driven with.
#[derive(Debug)]
pub(super) struct Sessions {
    config: BfdConfig,
    refused: Option<RealtimeError>,
    metrics: BfdMetrics,
    engine: Engine,
    listeners: Listeners,
    echo: EchoSocket,
    sessions: BTreeMap<SessionPath, Session>,
    /// What is still to be taken over.
    inheritance: Inheritance,
    /// Of those that run: whose a discriminator is.
    names: BTreeMap<NonZeroU32, SessionPath>,
    /// Of those that run: what the engine knows them by.
    paths: BTreeSet<Path>,
    /// When something is to be opened, started or ended.
    next_chore: Option<Instant>,
    pub(super) news: News,
}

/// What has changed since it was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    #[default]
    None,
    /// Counts, or what a peer says of itself: told by and by.
    Small,
    /// What somebody waits for: told at once.
    Great,
}

impl Sessions {
    /// Without a session that runs: those of `inheritance` go on when they are wanted. `refused` says why
    /// the thread runs as any other, if it does.
    pub(super) fn new(
        config: BfdConfig,
        refused: Option<RealtimeError>,
        metrics: BfdMetrics,
        inheritance: Inheritance,
    ) -> Self {
        Self {
            config,
            refused,
            metrics,
            engine: Engine::default(),
            listeners: Listeners::new(config),
            echo: EchoSocket::new(config.single_hop_port),
            sessions: BTreeMap::new(),
            inheritance,
            names: BTreeMap::new(),
            paths: BTreeSet::new(),
            next_chore: None,
            // Whether the thread runs before others is to be told too.
            news: News::Great,
        }
    }

    /// Takes on what is wanted.
    pub(super) fn want(&mut self, wanted: &BTreeMap<SessionPath, Config>, now: Instant) {
        for (path, session) in &mut self.sessions {
            if !wanted.contains_key(path) && session.wanted.take().is_some() {
                session.error = None;
                if let Some(running) = &mut session.running {
                    self.engine.disable(running.local_discr, now);
                    let core = self.engine.session(running.local_discr);
                    running.ends = Some(now + core.map(farewell).unwrap_or_default());
                }
            }
        }
        for (path, &config) in wanted {
            let metrics = &self.metrics;
            let session = self.sessions.entry(path.clone());
            let session = session.or_insert_with(|| Session::new(metrics.of(path), now));
            if session.wanted == Some(config) {
                continue;
            }
            session.wanted = Some(config);
            session.retry = Retry::at_once(now);
            session.error = check(config, self.refused).err();
            // What cannot be kept leaves a session that runs as it is.
            if session.error.is_none()
                && let Some(running) = &mut session.running
            {
                self.engine.set_config(running.local_discr, config, now);
                self.engine.enable(running.local_discr, now);
                running.ends = None;
            }
        }
        self.next_chore = Some(now);
    }

    /// Ends, opens and starts what is due.
    pub(super) fn do_chores(&mut self, now: Instant) {
        if self.next_chore.is_none_or(|due| due > now) {
            return;
        }
        self.news = News::Great;
        self.inheritance.forget_late(now);
        self.end_farewells(now);
        let needed = self.sessions.keys().map(Port::of).collect();
        self.listeners.set_needed(&needed, now);
        self.prepare_echo(now);
        let listeners = &self.listeners;
        let is_due = |path: &SessionPath, session: &Session| {
            session.is_pending() && session.retry.due() <= now && listeners.is_open(Port::of(path))
        };
        let due = self.sessions.iter().filter(|(path, session)| is_due(path, session));
        let due: Vec<SessionPath> = due.map(|(path, _)| path.clone()).collect();
        for path in due {
            let error = self.start(&path, now).err();
            if let Some(session) = self.sessions.get_mut(&path) {
                session.error = error;
                session.retry.put_off(now);
            }
        }
        self.next_chore = self.next_due();
    }

    /// When there is something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.engine.poll_timeout().map(|(due, _)| due);
        timer.into_iter().chain(self.next_chore).min()
    }

    /// An event was lost to a reader that is away.
    pub(super) fn count_unread_event(&self) {
        self.metrics.count_unread_event();
    }

    /// Whether none is left, not even one that says farewell.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// What becomes readable when packets have come.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.fds().chain(self.echo.fd())
    }

    /// How the wanted sessions are.
    pub(super) fn view(&self) -> BfdView {
        let wanted = self.sessions.iter().filter(|(_, session)| session.wanted.is_some());
        let sessions = wanted.map(|(path, session)| (path.clone(), self.status(path, session)));
        BfdView { refused: self.refused, sessions: Arc::new(sessions.collect()) }
    }

    /// What another process needs to go on with the sessions that are Up, when all that was to be sent
    /// is sent: a line for each.
    pub(super) fn hand_over(&self, now: Instant) -> Vec<String> {
        let line = |(path, session): (&SessionPath, &Session)| {
            let running = session.running.as_ref().filter(|_| session.wanted.is_some())?;
            let config = self.engine.session(running.local_discr)?.config();
            let inherited = Inherited {
                source_port: running.sender.source_port(),
                up_for: session.up_for(now),
                config,
                is_authenticated: config.authentication.is_some(),
                resumption: self.engine.resumption(running.local_discr)?,
            };
            Some(inherited.line(path))
        };
        self.sessions.iter().filter_map(line).collect()
    }

    /// Shows in the metrics how the sessions are.
    pub(super) fn show(&self) {
        for session in self.sessions.values() {
            session.show(self.core(session));
        }
        self.metrics.show_discards(self.engine.discards());
    }

    fn status(&self, path: &SessionPath, session: &Session) -> SessionStatus {
        let mut status = session.status(self.core(session));
        if let Some(error) = self.listeners.error(Port::of(path)) {
            status.error = Some(error);
        } else if status.error.is_none() && echo::is_echo_wanted(path, session) {
            status.error = self.echo.error();
        }
        status
    }

    /// What the engine says of a session that runs.
    fn core(&self, session: &Session) -> Option<&ferrolb_bfd::Session> {
        self.engine.session(session.running.as_ref()?.local_discr)
    }

    fn start(&mut self, path: &SessionPath, now: Instant) -> Result<(), SessionError> {
        let Some(config) = self.sessions.get(path).and_then(|session| session.wanted) else { return Ok(()) };
        check(config, self.refused)?;
        let inherited = self.inheritance.get(path);
        let own_port = inherited.map(|inherited| inherited.source_port);
        let running = || self.sessions.values().filter_map(|session| session.running.as_ref());
        let is_taken = |port| {
            let is_awaited = own_port != Some(port) && self.inheritance.has_port(port);
            is_awaited || running().any(|running| running.sender.source_port() == port)
        };
        let port = match own_port {
            Some(port) => port,
            None => u16::from_ne_bytes(random()?),
        };
        let sender = Sender::open(path, self.config.port(path.is_multihop), port, is_taken)?;
        let engine_path = path.engine_path(sender.interface());
        let local_discr = match inherited {
            Some(Inherited { resumption, .. }) => {
                self.engine.resume(engine_path, resumption, config, now)?;
                resumption.local_discr()
            }
            None => {
                let local_discr = u32::from_ne_bytes(random()?);
                let local_discr = NonZeroU32::new(local_discr).ok_or(SessionError::Random)?;
                let seed = u64::from_ne_bytes(random()?);
                self.engine.add(engine_path, ferrolb_bfd::Session::new(local_discr, config, seed, now))?;
                local_discr
            }
        };
        let inherited = self.inheritance.remove(path);
        self.names.insert(local_discr, path.clone());
        self.paths.insert(engine_path);
        if let Some(session) = self.sessions.get_mut(path) {
            session.running = Some(Running {
                local_discr,
                path: engine_path,
                sender,
                neighbor: None,
                send_error: None,
                ends: None,
            });
            if let Some(Inherited { up_for, .. }) = inherited {
                session.note_resumed(now - up_for);
            }
        }
        Ok(())
    }

    /// Ends a session without another word.
    fn stop(&mut self, path: &SessionPath) {
        let session = self.sessions.get_mut(path);
        if let Some(running) = session.and_then(|session| session.running.take()) {
            self.engine.remove(running.local_discr);
            self.names.remove(&running.local_discr);
            self.paths.remove(&running.path);
        }
    }

    fn end_farewells(&mut self, now: Instant) {
        let is_over = |session: &Session| match &session.running {
            Some(running) => running.ends.is_some_and(|ends| ends <= now),
            None => session.wanted.is_none(),
        };
        let over = self.sessions.iter().filter(|(_, session)| is_over(session));
        let over: Vec<SessionPath> = over.map(|(path, _)| path.clone()).collect();
        for path in over {
            self.stop(&path);
            if self.sessions.get(&path).is_some_and(|session| session.wanted.is_none()) {
                self.sessions.remove(&path);
                self.metrics.forget(&path);
            }
        }
    }

    /// When the next chore is due. A session whose port cannot be opened waits for that.
    fn next_due(&self) -> Option<Instant> {
        let sessions = self.sessions.iter().filter_map(|(path, session)| match &session.running {
            Some(running) => running.ends,
            None => self.listeners.is_open(Port::of(path)).then(|| session.retry.due()),
        });
        sessions.chain(self.listeners.next_retry()).chain(self.echo.next_retry()).min()
    }
}

/// A thread that shares its processor keeps no short intervals.
fn check(config: Config, refused: Option<RealtimeError>) -> Result<(), SessionError> {
    let timing = config.timing;
    let interval = timing.desired_min_tx().min(timing.required_min_rx());
    let interval = timing.echo().map_or(interval, |echo| interval.min(echo));
    match refused {
        Some(source) if interval < SHARED_INTERVAL_MIN => Err(SessionError::Interval { interval, source }),
        Some(_) | None => Ok(()),
    }
}
