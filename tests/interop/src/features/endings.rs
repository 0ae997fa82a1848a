//! Ends of sessions, and what becomes of the routes.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::description::Command;
use crate::pair::{ESTABLISHED, PREFIXES, Pair, route};
use crate::routers::family;
use crate::stage::Host;
use crate::wait::{throughout, until};

/// The words of a shutdown.
pub(super) const TEXT: &str = "rack 7 moves to the other hall";

/// How long the speaker is away: long enough for a router to forget routes if it will.
const ABSENCE: Duration = Duration::from_secs(2);

/// Of a session with a hold time of 3 s: that, and the second for which its last KEEPALIVE may be
/// older than the router's halt, with room for a busy machine.
const SILENCE_MAX: Duration = Duration::from_secs(6);

/// A router that was stopped finds a connection that was tried meanwhile and has gone again, and may hold back
/// for that as for a failure: OpenBGPD for 30 s, and twice as long the next time.
const HOLD_BACK_MAX: Duration = Duration::from_secs(120);

/// A prefix that the speaker does not want any more after its restart.
const FORGOTTEN: &str = "198.51.100.99/32";

/// The speaker is killed: its routes stay. It is back with one route less: when it has told all, that
/// one goes, and the others were there all the time.
pub(super) fn restart(pair: &mut Pair) -> Result<()> {
    pair.change(|description| description.routes.push(route(FORGOTTEN)))?;
    let view = pair.wait_for_session()?;
    ensure!(view.graceful_restart, "graceful restart was not agreed on: {view:?}");
    let [v4, v6] = PREFIXES;
    pair.wait_for_prefixes(&[v4, v6, FORGOTTEN])?;
    pair.speaker.kill()?;
    until("no session, by the router", || pair.router.is_established(&pair.stage), |is_so| !is_so)?;
    throughout("the routes stay", ABSENCE, || gone(pair, &[v4, v6, FORGOTTEN]), Vec::is_empty)?;
    pair.restart_speaker(|description| description.routes.retain(|route| route.prefix != FORGOTTEN))?;
    let look = || Ok((gone(pair, &PREFIXES)?, gone(pair, &[FORGOTTEN])?));
    let is_over = |(lost, forgotten): &(Vec<_>, Vec<_>)| !(lost.is_empty() && forgotten.is_empty());
    let (lost, _forgotten) = until("the router forgets what it is not told again", look, is_over)?;
    ensure!(lost.is_empty(), "the router forgot {lost:?}, which it was to be told again");
    pair.wait_for_session()?;
    throughout("the routes stay", ABSENCE, || gone(pair, &PREFIXES), Vec::is_empty)
}

/// Those of the prefixes that are not in the router's table.
fn gone<'a>(pair: &Pair, prefixes: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut gone = Vec::new();
    for prefix in prefixes {
        if !pair.router.prefixes(&pair.stage, family(prefix))?.contains(*prefix) {
            gone.push(*prefix);
        }
    }
    Ok(gone)
}

/// The router's process is stopped: nothing comes, though TCP acknowledges all that is sent.
pub(super) fn silence(pair: &mut Pair) -> Result<()> {
    let view = pair.wait_for_session()?;
    ensure!(view.hold_time == Some(3), "expected a hold time of 3 s: {view:?}");
    pair.wait_for_prefixes(&PREFIXES)?;
    pair.stage.signal(Host::Router, Signal::SIGSTOP)?;
    let is_lost = |view: &crate::View| view.last_lost.as_deref() == Some("hold_timer_expired");
    let lost = pair.speaker.wait_at_most(SILENCE_MAX, "the hold time ends the session", is_lost);
    pair.stage.signal(Host::Router, Signal::SIGCONT)?;
    lost?;
    let is_back = |view: &crate::View| view.state == ESTABLISHED;
    let view = pair.speaker.wait_at_most(HOLD_BACK_MAX, "another session", is_back)?;
    ensure!(view.established == 2, "expected one lost session: {view:?}");
    pair.wait_for_prefixes(&PREFIXES)
}

/// The speaker leaves: the router shows its words, and has none of its routes.
pub(super) fn shutdown(pair: &mut Pair) -> Result<()> {
    pair.wait_for_session()?;
    pair.wait_for_prefixes(&PREFIXES)?;
    pair.speaker.tell(&Command::Leave(TEXT.to_owned()))?;
    pair.speaker.wait_for_end()?;
    let shown = || Ok(pair.router.describe(&pair.stage)? + &pair.stage.logs());
    until("the words of the shutdown, by the router", shown, |shown| shown.contains(TEXT))?;
    pair.wait_for_no_prefixes(&PREFIXES)
}
