//! Routes in both directions.

use anyhow::{Context, Result, ensure};
use ferrolb_vocab::IpFamily;

use crate::pair::{COMMUNITY, LARGE_COMMUNITY, PREFIXES, Pair, route};
use crate::routers::{ROUTER_PREFIXES, family};
use crate::wait::until;

/// Both kinds of tags come with the prefix.
pub(super) fn communities(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)?;
    for prefix in PREFIXES {
        let route = pair.router.route(&pair.stage, prefix)?.context("the route is gone")?;
        ensure!(
            route.communities == [COMMUNITY.to_owned()].into()
                && route.large_communities == [LARGE_COMMUNITY.to_owned()].into(),
            "{prefix}: expected {COMMUNITY} and {LARGE_COMMUNITY}, the router has {route:?}"
        );
    }
    Ok(())
}

/// A thousand prefixes of each family come and go within one session.
pub(super) fn thousand(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)?;
    pair.change(|description| description.routes.extend((0..1_000).flat_map(numbered)))?;
    let [v4, v6] = PREFIXES.map(family);
    for family in [v4, v6] {
        wait_for_count(pair, family, 1_000)?;
    }
    pair.change(|description| description.routes.truncate(PREFIXES.len()))?;
    for family in [v4, v6] {
        wait_for_count(pair, family, 0)?;
    }
    pair.wait_for_prefixes(&PREFIXES)?;
    let view = pair.speaker.view();
    ensure!(view.established == 1, "the session was lost: {view:?}");
    Ok(())
}

/// A prefix of each family.
fn numbered(number: u16) -> [crate::description::RouteDescription; 2] {
    let [high, low] = number.to_be_bytes();
    [route(&format!("{NUMBERED_V4}{high}.{low}/32")), route(&format!("{NUMBERED_V6}{number:x}/128"))]
}

/// Waits until the router's table has so many of the numbered prefixes.
fn wait_for_count(pair: &Pair, family: IpFamily, count: usize) -> Result<()> {
    let is_numbered = |prefix: &&String| prefix.starts_with(NUMBERED_V4) || prefix.starts_with(NUMBERED_V6);
    let look = || Ok(pair.router.prefixes(&pair.stage, family)?.iter().filter(is_numbered).count());
    until(&format!("{count} {family} prefixes in the router's table"), look, |seen| *seen == count).map(drop)
}

/// What the router tells is read without an error.
pub(super) fn heard(pair: &mut Pair) -> Result<()> {
    let prefixes = ROUTER_PREFIXES.len() as u64;
    let view = pair.speaker.wait("the router's prefixes", |view| view.reachable >= prefixes)?;
    ensure!(view.erroneous == 0, "there are errors in the router's UPDATEs: {view:?}");
    Ok(())
}

/// The router says of both families that it has told all.
pub(super) fn end_of_rib(pair: &mut Pair) -> Result<()> {
    pair.speaker.wait("End-of-RIB of both families", |view| view.end_of_rib.len() == 2).map(drop)
}

/// The router asks, is told again, and still has everything.
pub(super) fn refresh(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)?;
    let before = pair.speaker.view();
    for prefix in PREFIXES {
        pair.router.ask_for_routes(&pair.stage, family(prefix))?;
    }
    let is_answered = |view: &crate::View| {
        view.route_refreshes >= before.route_refreshes + 2 && view.updates_sent >= before.updates_sent + 2
    };
    let view = pair.speaker.wait("two ROUTE-REFRESHes and their answers", is_answered)?;
    ensure!(view.established == 1, "the session was lost: {view:?}");
    pair.wait_for_prefixes(&PREFIXES)
}

/// How the numbered prefixes begin.
const NUMBERED_V4: &str = "10.77.";
const NUMBERED_V6: &str = "2001:db8:77::";
