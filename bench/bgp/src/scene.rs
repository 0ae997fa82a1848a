//! Where it is measured: the two hosts of a [`Stage`], with an address for each session.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use ferrolb_interop::{Host, Stage};

use crate::BfdLink;

/// The address of the contender's BGP sessions, which the stage gives it.
pub(crate) const CONTENDER: Ipv4Addr = ferrolb_interop::stage::SPEAKER_V4;

/// Does `work` on a [`scene`], and says of what goes wrong there also how the logs end.
pub(crate) fn on_scene<T>(
    peer_count: u8,
    link_count: u8,
    work: impl FnOnce(&Stage) -> Result<T>,
) -> Result<T> {
    let stage = scene(peer_count, link_count)?;
    work(&stage).map_err(|error| explained(&error, &stage))
}

/// An error with the ends of the logs.
pub(crate) fn explained(error: &anyhow::Error, stage: &Stage) -> anyhow::Error {
    anyhow::anyhow!("{error:#}\n{}", stage.logs())
}

/// A stage with so many addresses to have BGP sessions with, and so many pairs for BFD.
pub(crate) fn scene(peer_count: u8, link_count: u8) -> Result<Stage> {
    let stage = Stage::new(Path::new("/"))?;
    // The first is the stage's own.
    for peer in peers(peer_count).iter().skip(1) {
        add_address(&stage, Host::Router, &format!("{peer}/24"))?;
    }
    for link in links(Host::Speaker, link_count) {
        add_address(&stage, Host::Speaker, &format!("{}/16", link.local))?;
        add_address(&stage, Host::Router, &format!("{}/16", link.peer))?;
    }
    Ok(stage)
}

/// Who a contender has BGP sessions with.
pub(crate) fn peers(count: u8) -> Vec<Ipv4Addr> {
    let [first, second, third, fourth] = ferrolb_interop::stage::ROUTER_V4.octets();
    (0..count).map(|number| Ipv4Addr::new(first, second, third, fourth.saturating_add(number))).collect()
}

/// The BFD sessions, as a host sees them: each has addresses of its own on both sides, because a peer's
/// address tells sessions apart (RFC 5881 §3).
pub(crate) fn links(host: Host, count: u8) -> Vec<BfdLink> {
    let address = |third, number| Ipv4Addr::new(198, 18, third, number);
    let link = |number| match host {
        Host::Speaker => BfdLink { local: address(0, number), peer: address(1, number) },
        Host::Router => BfdLink { local: address(1, number), peer: address(0, number) },
    };
    (1..=count).map(link).collect()
}

/// Drops the BFD packets that a host sends, behind its sockets' backs: they learn nothing of it.
pub(crate) fn cut(stage: &Stage, host: Host) -> Result<()> {
    let rules = "add table netdev cut; \
                 add chain netdev cut out { type filter hook egress device eth0 priority 0; }; \
                 add rule netdev cut out udp dport 3784 drop";
    said(stage.on(host, "nft").arg(rules)).map(drop)
}

/// Lets them through again.
pub(crate) fn heal(stage: &Stage, host: Host) -> Result<()> {
    said(stage.on(host, "nft").arg("delete table netdev cut")).map(drop)
}

/// Runs a program to its end and returns what it prints.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {said}{complaint}", output.status);
    }
    Ok(said)
}

fn add_address(stage: &Stage, host: Host, address: &str) -> Result<()> {
    said(stage.on(host, "ip").args(["address", "add", address, "dev", "eth0"])).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_same_two_ends_from_either_side() {
        let [here, there] = [Host::Speaker, Host::Router].map(|host| links(host, 200));
        assert_eq!(here.len(), 200);
        let is_same =
            |(here, there): (&BfdLink, &BfdLink)| here.local == there.peer && here.peer == there.local;
        assert!(here.iter().zip(&there).all(is_same));
        let mut ends: Vec<_> = here.iter().flat_map(|link| [link.local, link.peer]).collect();
        ends.sort();
        ends.dedup();
        assert_eq!(ends.len(), 400);
    }

    #[test]
    fn the_first_peer_is_the_stages_router() {
        assert_eq!(peers(4).first(), Some(&ferrolb_interop::stage::ROUTER_V4));
        assert_eq!(peers(4).last(), Some(&Ipv4Addr::new(192, 0, 2, 5)));
    }
}
