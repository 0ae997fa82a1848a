//! Sessions that come up, and what of them the routes show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::View;
use crate::pair::{LOCAL_PREF, PREFIXES, Pair};
use crate::wait::{throughout, until};

/// A key that the router does not have.
const OTHER_KEY: &str = "another-key";

/// How long there must be no session: beyond the time in which two with the same key have one.
const APART: Duration = Duration::from_secs(3);

/// The speaker's AS number is all of the path.
pub(super) fn external(pair: &mut Pair) -> Result<()> {
    let view = pair.wait_for_session()?;
    ensure!(view.four_octet_as, "four-octet AS numbers were not agreed on: {view:?}");
    pair.wait_for_prefixes(&PREFIXES)?;
    let asn = pair.description().local_asn;
    for prefix in PREFIXES {
        let route = pair.router.route(&pair.stage, prefix)?.context("the route is gone")?;
        ensure!(route.as_path == [asn], "{prefix}: expected path {asn}, the router has {route:?}");
    }
    ensure!(pair.speaker.view().established == 1, "the session was lost: {:?}", pair.speaker.view());
    Ok(())
}

/// There is no path within the AS, and LOCAL_PREF is told.
pub(super) fn internal(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)?;
    for prefix in PREFIXES {
        let route = pair.router.route(&pair.stage, prefix)?.context("the route is gone")?;
        ensure!(route.as_path.is_empty(), "{prefix}: expected no path, the router has {route:?}");
        ensure!(
            route.local_pref == Some(LOCAL_PREF),
            "{prefix}: expected LOCAL_PREF {LOCAL_PREF}, the router has {route:?}"
        );
    }
    Ok(())
}

/// With the same key there is a session. With another one neither side hears the other, until the speaker has
/// the router's again.
pub(super) fn signed(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)?;
    let key = pair.description().password.clone();
    pair.change(|description| description.password = Some(OTHER_KEY.to_owned()))?;
    let is_lost = |view: &View| view.last_lost.as_deref() == Some("hold_timer_expired");
    pair.speaker.wait("the router is not heard any more", is_lost)?;
    until("no session, by the router", || pair.router.is_established(&pair.stage), |is_so| !is_so)?;
    let established = || pair.router.is_established(&pair.stage);
    throughout("no session with another key, by the router", APART, established, |is_so| !is_so)?;
    pair.change(|description| description.password = key)?;
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)
}
