//! BFD beside a session.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::endings::TEXT;
use crate::pair::{ESTABLISHED, PREFIXES, Pair};
use crate::wait::{throughout, until};
use crate::{BfdView, Command, View};

/// For how long BFD must stay up: forty Detection Times at 3 x 50 ms.
const CALM: Duration = Duration::from_secs(6);

/// The Detection Time of 900 ms, with room for a busy machine; less than the router's and than the hold
/// time of 9 s.
const DOWN_MAX: Duration = Duration::from_secs(3);

/// Why a session is down that the router has made anew.
const RESET: &str = "neighbor_reset";

/// The UDP port of BFD over one hop: RFC 5881 §4.
const PORT: u16 = 3784;

/// BFD comes up on both sides with what both are configured with, and does not flap. FRR 10 makes its session
/// anew when BGP comes up, once, which ends no BGP session.
pub(super) fn stays_up(pair: &mut Pair) -> Result<()> {
    comes_up(pair)?;
    let timing = pair.description().bfd.context("the terms have BFD")?;
    let detection_time = u128::from(timing.interval_ms) * u128::from(timing.detect_mult) * 1_000;
    let agreed =
        |view: &View| view.bfd.as_ref().is_some_and(|bfd| bfd.detection_time_us == Some(detection_time));
    pair.speaker.wait("the Detection Time of the configuration", agreed)?;
    throughout("BFD is up, by the router", CALM, || pair.router.is_bfd_up(&pair.stage), |is_up| *is_up)?;
    let view = pair.speaker.view();
    let is_calm = |bfd: &BfdView| bfd.downs == 0 || (bfd.downs == 1 && bfd.down.as_deref() == Some(RESET));
    let is_calm = is_up(&view) && view.bfd.as_ref().is_some_and(is_calm);
    ensure!(is_calm && view.established == 1, "something flapped: {view:?}");
    Ok(())
}

/// No BFD packets pass any more, while TCP goes on: the speaker ends the session long before the hold
/// timer would, and before the router, which has been asked for more patience, could.
pub(super) fn down(pair: &mut Pair) -> Result<()> {
    comes_up(pair)?;
    pair.wait_for_prefixes(&PREFIXES)?;
    pair.stage.drop_udp(PORT)?;
    let is_down = |view: &View| view.last_lost.as_deref() == Some("bfd_down");
    pair.speaker.wait_at_most(DOWN_MAX, "BFD ends the session", is_down)?;
    until("BFD is down, by the router", || pair.router.is_bfd_up(&pair.stage), |is_up| !is_up).map(drop)
}

/// The router's operator takes BFD away: RFC 5882 §4.2.
pub(super) fn admin_down(pair: &mut Pair) -> Result<()> {
    comes_up(pair)?;
    pair.wait_for_prefixes(&PREFIXES)?;
    pair.router.disable_bfd(&pair.stage)?;
    let is_told = |view: &View| view.bfd.as_ref().is_some_and(|bfd| bfd.remote_state == "AdminDown");
    pair.speaker.wait("AdminDown, by the router", is_told)?;
    let established = || pair.router.is_established(&pair.stage);
    throughout("the session stays, by the router", DOWN_MAX, established, |is_so| *is_so)?;
    let view = pair.speaker.view();
    ensure!(view.state == ESTABLISHED && view.established == 1, "the session was lost: {view:?}");
    Ok(())
}

/// The speaker leaves: it ends the session, with its words, and says AdminDown then. The router hears that
/// long before it would miss the speaker, and the words stay the reason.
pub(super) fn leave(pair: &mut Pair) -> Result<()> {
    comes_up(pair)?;
    pair.wait_for_prefixes(&PREFIXES)?;
    let begun = Instant::now();
    pair.speaker.tell(&Command::Leave(TEXT.to_owned()))?;
    until("BFD is down, by the router", || pair.router.is_bfd_up(&pair.stage), |is_up| !is_up)?;
    ensure!(begun.elapsed() < DOWN_MAX, "the router heard of it after {:?}", begun.elapsed());
    let shown = || Ok(pair.router.describe(&pair.stage)? + &pair.stage.logs());
    until("the words of the shutdown, by the router", shown, |shown| shown.contains(TEXT))?;
    pair.wait_for_no_prefixes(&PREFIXES)?;
    pair.speaker.wait_for_end()
}

fn comes_up(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.speaker.wait("BFD is up", is_up)?;
    until("BFD is up, by the router", || pair.router.is_bfd_up(&pair.stage), |is_up| *is_up).map(drop)
}

fn is_up(view: &View) -> bool {
    view.bfd.as_ref().is_some_and(|bfd| bfd.state == "Up")
}
