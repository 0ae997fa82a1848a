//! What the speaker before this one may have left to its peers: RFC 4724 §4.1.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use ferrolb_vocab::ObjectName;

use super::sought::RESTART_TIME;

/// The node's speaker before this process, of which nothing is known but that there may have been one.
#[derive(Clone, Debug, Default)]
pub(super) struct FormerLife {
    /// Whether the node forwards as it did then. A peer keeps routes for the Restart Time: if the node has
    /// been up for longer, what a peer keeps is of this life of the kernel's, which never stopped to forward.
    pub(super) forwards: bool,
    /// The peers that may have routes of it: those of the first plan, as long as they are planned.
    peers: Option<BTreeSet<ObjectName>>,
}

impl FormerLife {
    pub(super) fn of_this_node() -> Self {
        let restart_time = Duration::from_secs(RESTART_TIME.into());
        let uptime = fs::read_to_string(UPTIME).ok().and_then(|text| parse(&text));
        Self { forwards: uptime.is_some_and(|uptime| uptime > restart_time), peers: None }
    }

    /// Takes note of the peers of a plan. One that was left knows that its routes are gone.
    pub(super) fn note_peers(&mut self, planned: BTreeSet<ObjectName>) {
        self.peers = Some(match self.peers.take() {
            None => planned,
            Some(known) => known.intersection(&planned).cloned().collect(),
        });
    }

    /// Whether the peer may have routes of it.
    pub(super) fn knew(&self, peer: &ObjectName) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.contains(peer))
    }
}

/// proc(5): seconds since the kernel was started, and those that it was idle.
const UPTIME: &str = "/proc/uptime";

fn parse(text: &str) -> Option<Duration> {
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_peers_of_the_first_plan_may_have_routes_of_a_former_life_until_they_are_left() {
        let [one, other] = ["one", "other"].map(|name| ObjectName::new("metallb-system", name));
        let both = || BTreeSet::from([one.clone(), other.clone()]);
        let mut life = FormerLife::default();
        assert!(!life.knew(&one));
        life.note_peers([one.clone()].into());
        life.note_peers(both());
        assert!(life.knew(&one) && !life.knew(&other));
        life.note_peers([other.clone()].into());
        life.note_peers(both());
        assert!(!life.knew(&one));
    }

    #[test]
    fn the_uptime_is_read_as_the_kernel_writes_it() {
        assert_eq!(parse("350735.47 234388.90\n"), Some(Duration::from_millis(350_735_470)));
        for text in ["", "soon", "-1.0 0", "NaN 0"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let text = fs::read_to_string(UPTIME).expect("Linux has it");
        assert!(parse(&text).is_some_and(|uptime| uptime > Duration::ZERO), "{text}");
    }
}
