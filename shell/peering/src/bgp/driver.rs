//! Which peers there are: the thread's first task, which starts and ends those of the peers.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use ferrolb_bgp::Stop;
use ferrolb_vocab::ObjectName;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::peer_driver::PeerDriver;
use super::telling::Telling;
use super::{Leaving, Wanted, WantedPeer};

/// The tasks of the peers, and what each is told.
#[derive(Debug)]
pub(super) struct Driver {
    wanted: watch::Receiver<Wanted>,
    /// Those that are wanted, and those that say farewell.
    peers: BTreeMap<ObjectName, watch::Sender<Want>>,
    tasks: JoinSet<()>,
    telling: Telling,
}

/// What is wanted of a peer's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// A session like this.
    Session(Arc<WantedPeer>),
    /// To say farewell and end.
    End(Stop),
}

impl Driver {
    pub(super) fn new(wanted: watch::Receiver<Wanted>, telling: Telling) -> Self {
        Self { wanted, peers: BTreeMap::new(), tasks: JoinSet::new(), telling }
    }

    /// Runs until all peers have been left, if that is wanted, or the handle is gone.
    pub(super) async fn run(mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            self.follow(&wanted);
            if wanted.leaving.is_some() && self.tasks.is_empty() {
                return;
            }
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(ended) = self.tasks.join_next() => self.note_ended(ended),
            }
        }
    }

    /// Tells each peer what is wanted of it, and starts those that are new.
    fn follow(&mut self, wanted: &Wanted) {
        let stop = match &wanted.leaving {
            Some(Leaving(text)) => Stop::Shutdown(text.clone()),
            None => Stop::PeerRemoved,
        };
        for (name, told) in &self.peers {
            if !wanted.peers.contains_key(name) {
                tell(told, Want::End(stop.clone()));
            }
        }
        for (name, peer) in &*wanted.peers {
            if let Some(told) = self.peers.get(name) {
                tell(told, Want::Session(Arc::clone(peer)));
                continue;
            }
            let (sender, receiver) = watch::channel(Want::Session(Arc::clone(peer)));
            let driver = PeerDriver::new(name.clone(), peer, receiver, self.telling.clone());
            self.tasks.spawn(driver.run());
            self.peers.insert(name.clone(), sender);
        }
    }

    /// A task has ended: its peer begins anew should it be wanted again.
    fn note_ended(&mut self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            resume_unwind(panic);
        }
        self.peers.retain(|_, told| !told.is_closed());
    }
}

/// Says what is wanted, if that is new.
fn tell(told: &watch::Sender<Want>, want: Want) {
    told.send_if_modified(|known| {
        let is_new = *known != want;
        if is_new {
            *known = want;
        }
        is_new
    });
}
