//! Sessions that come up, and what of them the routes show.

use anyhow::{Context, Result, ensure};

use crate::pair::{LOCAL_PREF, PREFIXES, Pair};

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
