//! The thread's loop: wanted sessions and packets in, then timers, then packets and the view out.

use std::os::fd::AsFd;
use std::time::Duration;
use std::{iter, thread};

use ferrolb_telemetry::clock;
use ferrolb_vocab::Instant;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::sync::{mpsc, watch};

use super::sessions::{News, Sessions};
use super::{BfdEvent, BfdView, VIEW_INTERVAL, Wanted};
use crate::wake::Wakened;

/// From one turn to the next at least: to wake takes more of a processor than a packet does, so
/// that hundreds of sessions are served a handful at a time. A tenth of the shortest interval,
/// which jitter takes off where one late packet is a failure (RFC 5880 §6.8.7).
const TURN_INTERVAL: Duration = Duration::from_millis(1);

/// The sessions and everything they are driven with.
#[derive(Debug)]
pub(super) struct Driver {
    sessions: Sessions,
    wakened: Wakened,
    /// When the view is to show small news.
    view_due: Instant,
    is_leaving: bool,
    channels: Channels,
}

/// The driver's ends of its channels. Last in [`Driver`]: whoever sees the view closed finds the
/// ports free.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) view: watch::Sender<BfdView>,
    pub(super) events: mpsc::Sender<BfdEvent>,
}

impl Driver {
    pub(super) fn new(sessions: Sessions, wakened: Wakened, channels: Channels) -> Self {
        Self { sessions, wakened, view_due: Instant::ORIGIN, is_leaving: false, channels }
    }

    /// Runs until all sessions have ended, if that is wanted, or the handle is gone.
    pub(super) fn run(mut self) {
        let mut now = clock::now();
        while self.turn(now) {
            self.wait(now + TURN_INTERVAL);
            now = clock::now();
        }
    }

    /// Does all that there is to do at `now`, which is the time of the whole turn: a packet that
    /// arrives after it is read cannot be missed by a deadline before it. Whether to go on.
    fn turn(&mut self, now: Instant) -> bool {
        let Ok(is_wanted_new) = self.channels.wanted.has_changed() else { return false };
        if is_wanted_new {
            let Wanted { sessions, is_leaving } = self.channels.wanted.borrow_and_update().clone();
            self.is_leaving = is_leaving;
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
        !(self.is_leaving && self.sessions.is_empty())
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
            let fds = self.sessions.fds().chain([self.wakened.as_fd()]);
            let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            // Refused or not: what is there is found by the turn, not by what is said of it here.
            ppoll(&mut fds, due.map(left).map(TimeSpec::from_duration), None).ok();
            self.wakened.drain();
        }
        thread::sleep(left(earliest));
    }
}

#[cfg(test)]
mod tests;
