//! For whoever looks into the driver without a part in it.
//!
//! A question goes to the tasks of all peers, which answer it between two turns, for themselves. Nothing is
//! kept for it, and nobody waits for whoever has asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::{Peer, Route};
use ferrolb_vocab::{IpPrefix, ObjectName};
use ferrolb_wire::bgp::{Attributes, Family};
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use crate::recording::Recorder;

/// Questions that wait for the tasks of peers. Of more the oldest have no answer.
const QUESTIONS_MAX: usize = 4;

/// How long the tasks may take to answer. They take milliseconds for ten thousand routes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the driver, and changes nothing. Copies ask the same one.
#[derive(Clone, Debug)]
pub struct BgpInspector {
    questions: broadcast::Sender<Question>,
    recorder: Recorder,
}

/// What a peer has been told: RFC 4271 §3.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdjRibOut {
    /// The routes that went to the connection, with their attributes: as long as something is pending, those
    /// that are to be told anew have the new ones.
    pub routes: Vec<(IpPrefix, Arc<Attributes>)>,
    /// How many prefixes are yet to be told, told anew or withdrawn.
    pub pending: usize,
}

/// What these peers have been told, by whom it concerns.
#[derive(Clone, Debug)]
pub(super) struct Question {
    peers: Arc<BTreeSet<ObjectName>>,
    answers: mpsc::Sender<(ObjectName, AdjRibOut)>,
}

impl BgpInspector {
    /// What each of these peers has been told, as far as it has a task that answers.
    pub async fn advertised(&self, peers: BTreeSet<ObjectName>) -> BTreeMap<ObjectName, AdjRibOut> {
        let (answers, mut told) = mpsc::channel(peers.len().max(1));
        // Without tasks it is dropped, and there are no answers.
        drop(self.questions.send(Question { peers: Arc::new(peers), answers }));
        let mut advertised = BTreeMap::new();
        let all = async {
            while let Some((name, adj_rib_out)) = told.recv().await {
                advertised.insert(name, adj_rib_out);
            }
        };
        if timeout(ANSWER_TIMEOUT, all).await.is_err() {
            tracing::debug!("a BGP peer's task is too busy to say what the peer was told");
        }
        advertised
    }

    /// What is written down of the driver.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The end of a peer's task.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Question> {
        self.questions.subscribe()
    }
}

impl Default for BgpInspector {
    fn default() -> Self {
        Self { questions: broadcast::Sender::new(QUESTIONS_MAX), recorder: Recorder::default() }
    }
}

impl Question {
    /// Answers it for a peer, if it is about that.
    pub(super) fn answer(&self, name: &ObjectName, peer: &Peer) {
        if self.peers.contains(name) {
            // There is room for one of each; whoever has asked may be gone.
            drop(self.answers.try_send((name.clone(), AdjRibOut::of(peer))));
        }
    }
}

impl AdjRibOut {
    fn of(peer: &Peer) -> Self {
        let rib_out = peer.rib_out();
        let mut adj_rib_out = Self::default();
        for family in Family::ALL {
            let mut known: BTreeMap<&Route, Option<Arc<Attributes>>> = BTreeMap::new();
            for (prefix, route) in rib_out.advertised(family) {
                let attributes =
                    known.entry(route).or_insert_with(|| rib_out.attributes(family, route).map(Arc::new));
                adj_rib_out.routes.extend(attributes.clone().map(|attributes| (prefix, attributes)));
            }
            adj_rib_out.pending += rib_out.statistics(family).pending;
        }
        adj_rib_out
    }
}

#[cfg(test)]
mod tests;
