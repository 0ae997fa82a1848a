//! The thread's loop: wanted sessions and packets in, then timers, then packets and the view out.

use std::os::fd::AsFd;
use std::time::Duration;
use std::{array, iter, thread};

use ferrolb_telemetry::clock;
use ferrolb_vocab::Instant;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::sync::{mpsc, oneshot, watch};

use super::sessions::{News, Sessions};
use super::{BfdEvent, BfdView, End, VIEW_INTERVAL, Wanted};
use crate::wake::Wakened;

/// From one turn to the next at least: to wake takes more of a processor than a packet does, so
/// that hundreds of sessions are served a handful at a time. A tenth of the shortest interval,
/// which jitter takes off where one late packet is a failure (RFC 5880 §6.8.7).
const TURN_INTERVAL: Duration = Duration::from_millis(1);

/// What is waited for at most: packets of both kinds of sessions and address families, Echo packets, the
/// wake-up.
const FDS_MAX: usize = 6;

/// The sessions and everything they are driven with.
#[derive(Debug)]
pub(super) struct Driver {
    sessions: Sessions,
    wakened: Wakened,
    /// When the view is to show small news.
    view_due: Instant,
    end: End,
    channels: Channels,
}

/// The driver's ends of its channels. Last in [`Driver`]: whoever sees the view closed finds the
/// ports free.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) view: watch::Sender<BfdView>,
    pub(super) events: mpsc::Sender<BfdEvent>,
    pub(super) handed_over: oneshot::Sender<Vec<String>>,
}

impl Driver {
    pub(super) fn new(sessions: Sessions, wakened: Wakened, channels: Channels) -> Self {
        Self { sessions, wakened, view_due: Instant::ORIGIN, end: End::Never, channels }
    }

    /// Runs until all sessions have ended or are handed over, if that is wanted, or the handle is gone.
    pub(super) fn run(mut self) {
        let mut now = clock::now();
        while self.turn(now) {
            self.wait(now + TURN_INTERVAL);
            now = clock::now();
        }
        self.finish(now);
    }

    /// Closes the sockets, and then tells what another process needs to go on, if that is wanted.
    fn finish(self, now: Instant) {
        let Self { sessions, channels, end, .. } = self;
        let lines = (end == End::HandOver).then(|| sessions.hand_over(now));
        drop(sessions);
        if let Some(lines) = lines {
            // Whoever does not wait for them any more goes on without.
            channels.handed_over.send(lines).ok();
        }
    }

    /// Does all that there is to do at `now`, which is the time of the whole turn: a packet that
    /// arrives after it is read cannot be missed by a deadline before it. Whether to go on.
    fn turn(&mut self, now: Instant) -> bool {
        let Ok(is_wanted_new) = self.channels.wanted.has_changed() else { return false };
        if is_wanted_new {
            let Wanted { sessions, end } = self.channels.wanted.borrow_and_update().clone();
            self.end = end;
            self.sessions.want(&sessions, now);
        }
        self.sessions.do_chores(now);
        self.sessions.receive(now);
        self.sessions.handle_timeout(now);
        self.sessions.transmit(now);
        let events: Vec<BfdEvent> = iter::from_fn(|| self.sessions.poll_event()).collect();
        // First: whoever reads an event finds it in the view.
        self.publish(now);
        for event in events {
            if self.channels.events.try_send(event).is_err() {
                self.sessions.count_unread_event();
            }
        }
        match self.end {
            End::Never => true,
            End::Leave => !self.sessions.is_empty(),
            End::HandOver => false,
        }
    }

    fn publish(&mut self, now: Instant) {
        let is_due = match self.sessions.news {
            News::None => false,
            News::Small => self.view_due <= now,
            News::Great => true,
        };
        if !is_due {
            return;
        }
        self.sessions.news = News::None;
        self.view_due = now + VIEW_INTERVAL;
        self.sessions.show();
        let view = self.sessions.view();
        self.channels.view.send_if_modified(|told| {
            let is_new = !told.is_like(&view);
            *told = view;
            is_new
        });
    }

    /// Sleeps until a packet or a wake-up is there, or something is due, and until `earliest`.
    fn wait(&self, earliest: Instant) {
        let view_due = (self.sessions.news == News::Small).then_some(self.view_due);
        let due = self.sessions.poll_timeout().into_iter().chain(view_due).min();
        let left = |until: Instant| until.saturating_since(clock::now());
        if due.is_none_or(|due| due > earliest) {
            // Without an allocation: this is done a thousand times a second.
            let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds: [PollFd<'_>; FDS_MAX] = array::from_fn(|_| readable(self.wakened.as_fd()));
            for (room, fd) in fds.iter_mut().zip(self.sessions.fds()) {
                *room = readable(fd);
            }
            // Refused or not: what is there is found by the turn, not by what is said of it here.
            ppoll(&mut fds, due.map(left).map(TimeSpec::from_duration), None).ok();
            self.wakened.drain();
        }
        thread::sleep(left(earliest));
    }
}

#[cfg(test)]
mod tests;
