//! What a speaker says to who asks on its node: `ferrolb bgp` and `ferrolb dump`.
//!
//! A task of its own answers from what the drivers show, beside the speaker's loop and without it. A
//! question changes nothing, and that nobody can ask stops nothing.
//!
//! # Layout
//! `sessions` and `routes` are the answers of `ferrolb bgp`, `lines` those of `ferrolb dump`.

mod lines;
mod routes;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferrolb_api::bgp_session::BgpSessionStatus;
use ferrolb_bgp::{Config, RemoteAsn};
use ferrolb_peering::bfd::SessionPath;
use ferrolb_peering::inspection::{ANSWER_MAX, Inspection, Question, Topic};
use ferrolb_peering::{BfdView, BgpInspector, BgpView};
use ferrolb_telemetry::{chain, clock};
use ferrolb_vocab::{Asn, NodeName, ObjectName};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::peering::WallClock;
use crate::bgp_command::answer::{Advertised, Sessions};

/// How long after the name was refused it is asked for again.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

/// After how many refusals that is said. A speaker that this one follows lets go of the name a moment after
/// it was asked to.
const REFUSALS_TOLD: u32 = 10;

/// The peers of this node, by name.
pub(super) type KnownPeers = Arc<BTreeMap<ObjectName, KnownPeer>>;

/// What is known of a peer before there is a session.
#[derive(Clone, Debug)]
pub(super) enum KnownPeer {
    /// There can be one.
    Possible {
        /// Where the peer is to be.
        remote: SocketAddr,
        /// Its AS; `None` for any external one.
        asn: Option<Asn>,
        /// The path that BFD watches.
        path: Option<SessionPath>,
    },
    /// There can be none, for what is said there: with a range, but with those who connect from it.
    Impossible(Box<BgpSessionStatus>),
}

/// Whom to ask, on behalf of others. Copies ask the same.
#[derive(Clone, Debug)]
pub(super) struct Inspector {
    pub(super) node: NodeName,
    pub(super) bgp: BgpInspector,
    pub(super) bgp_view: watch::Receiver<BgpView>,
    pub(super) bfd_view: watch::Receiver<BfdView>,
    pub(super) known: watch::Receiver<KnownPeers>,
    pub(super) clock: WallClock,
}

/// The task that answers. It ends, and lets go of the socket's name, when this is dropped.
#[derive(Debug)]
pub(super) struct Serving(JoinHandle<()>);

/// Answers under `name` from now on.
pub(super) fn serve(inspector: Inspector, name: String) -> Serving {
    Serving(tokio::spawn(async move {
        let inspection = listen(&name).await;
        inspection.serve(move |question| answer(inspector.clone(), question)).await;
    }))
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl KnownPeer {
    /// A peer with this configuration, of which BFD watches that path.
    pub(super) fn of(config: &Config, path: Option<SessionPath>) -> Self {
        let asn = match config.remote_asn {
            RemoteAsn::Exactly(asn) => Some(asn),
            RemoteAsn::Internal => Some(config.session_asn()),
            RemoteAsn::External => None,
        };
        Self::Possible { remote: config.transport.remote, asn, path }
    }
}

async fn listen(name: &str) -> Inspection {
    let mut refusals: u32 = 0;
    loop {
        match Inspection::listen(name) {
            Ok(inspection) => return inspection,
            Err(error) => {
                refusals = refusals.saturating_add(1);
                if refusals == REFUSALS_TOLD {
                    let error = chain(&error);
                    tracing::warn!(%error, "`ferrolb bgp` finds another process here; end that one");
                }
                sleep(LISTEN_RETRY).await;
            }
        }
    }
}

async fn answer(inspector: Inspector, question: Question) -> Result<String, String> {
    let known = Arc::clone(&inspector.known.borrow());
    let asked = asked(&known, question.peer.as_deref())?;
    let node = inspector.node.to_string();
    let told = match question.topic {
        Topic::Sessions => {
            let sessions = sessions::sessions(&asked, &inspector);
            serde_json::to_string(&Sessions { node, sessions })
        }
        Topic::Advertised => {
            let peers = asked.keys().map(|name| (*name).clone()).collect::<BTreeSet<_>>();
            let told = inspector.bgp.advertised(peers).await;
            let peers = told.iter().map(|(name, adj_rib_out)| routes::told(name, adj_rib_out)).collect();
            serde_json::to_string(&Advertised { node, peers })
        }
        Topic::Recording => {
            let recording = inspector.bgp.recorder().recording();
            return Ok(lines::lines(&recording, (clock::now(), Timestamp::now()), ANSWER_MAX));
        }
    };
    told.map_err(|error| format!("the answer cannot be written as JSON: {error}"))
}

/// The peers that a question is about.
fn asked<'a>(
    known: &'a BTreeMap<ObjectName, KnownPeer>,
    peer: Option<&str>,
) -> Result<BTreeMap<&'a ObjectName, &'a KnownPeer>, String> {
    let is_asked = |name: &ObjectName| peer.is_none_or(|peer| name.name == peer || name.to_string() == peer);
    let asked: BTreeMap<_, _> = known.iter().filter(|(name, _)| is_asked(name)).collect();
    match peer {
        Some(peer) if asked.is_empty() => {
            let names: Vec<String> = known.keys().map(ToString::to_string).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(format!("no BGPPeer of this node is called {peer:?}; there is {there}"))
        }
        Some(_) | None => Ok(asked),
    }
}

#[cfg(test)]
mod tests;
