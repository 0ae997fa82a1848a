//! Many BFD sessions of one contender; all their other ends are FerroLB's, in one process that is not
//! counted.

use std::time::Duration;

use anyhow::{Context, Result};
use ferrolb_interop::Host;

use super::footprint::at_rest;
use super::links_up::wait_until_up;
use super::{Sample, bfd, other_end, place};
use crate::Kind;
use crate::capture::Capture;
use crate::scene::{links, on_scene};

const SESSIONS: u8 = 200;
const INTERVAL_MS: u32 = 50;

pub(super) fn measure(contender: Kind, time: Duration) -> Result<Vec<Sample>> {
    on_scene(0, SESSIONS, |stage| {
        let links = links(Host::Speaker, SESSIONS);
        let _other = Kind::Ferrolb.start(place(stage, Host::Router), &other_end(SESSIONS, INTERVAL_MS))?;
        let running = contender.start(place(stage, Host::Speaker), &bfd(links.clone(), INTERVAL_MS))?;
        wait_until_up(&mut Capture::start(stage, Host::Speaker)?, &links, INTERVAL_MS)?;
        let footprint = at_rest(&*running, time)?;
        // Who has lost sessions has done less.
        wait_until_up(&mut Capture::start(stage, Host::Speaker)?, &links, INTERVAL_MS)
            .context("sessions were lost meanwhile")?;
        Ok(vec![
            Sample::new("crowd: processor", contender, vec![footprint.processor]),
            Sample::new("crowd: memory", contender, vec![footprint.memory]),
        ])
    })
}
