//! BIRD: a configuration, and `birdc configure` when it has changed.

use anyhow::{Result, bail};
use ferrolb_interop::stage::Daemon;
use ferrolb_interop::wait::until;
use ferrolb_interop::{Host, Stage};

use super::{Contender, Place};
use crate::scene::said;
use crate::{CONTENDER_ASN, DETECT_MULT, RECEIVER_ASN, Wanted};

/// The daemon.
#[derive(Debug)]
pub(super) struct Bird {
    daemon: Daemon,
    wanted: Wanted,
}

impl Bird {
    pub(super) fn start(place: Place<'_>, wanted: &Wanted) -> Result<Self> {
        let stage = place.stage;
        let file = stage.write(FILE, &configuration(wanted))?;
        let mut command = place.command("bird");
        command.arg("-f").arg("-c").arg(file);
        command.arg("-s").arg(stage.inside(SOCKET)).arg("-P").arg(stage.inside("bird.pid"));
        let daemon = stage.start(&mut command, "bird.log")?;
        Ok(Self { daemon, wanted: wanted.clone() })
    }
}

impl Contender for Bird {
    fn processes(&self) -> Vec<u32> {
        vec![self.daemon.id()]
    }

    fn wait_until_loaded(&self, stage: &Stage) -> Result<()> {
        let wanted = format!("{} of ", self.wanted.routes);
        let count = || birdc(stage, &["show", "route", "count"]);
        let is_whole = |said: &String| said.lines().any(|line| line.starts_with(&wanted));
        until("BIRD has all routes", count, is_whole).map(drop)
    }

    fn tell(&mut self, stage: &Stage, routes: u16) -> Result<()> {
        self.wanted.routes = routes;
        stage.write(FILE, &configuration(&self.wanted))?;
        let said = birdc(stage, &["configure"])?;
        if !said.contains("Reconfigur") {
            bail!("BIRD does not take its configuration: {said}");
        }
        Ok(())
    }
}

fn birdc(stage: &Stage, words: &[&str]) -> Result<String> {
    let mut birdc = stage.on(Host::Speaker, "birdc");
    said(birdc.arg("-s").arg(stage.inside(SOCKET)).args(words))
}

fn configuration(wanted: &Wanted) -> String {
    let mut text = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{ }}\nprotocol static bench4 {{\n  ipv4;\n",
        wanted.local
    );
    for address in Wanted::prefixes(0..wanted.routes) {
        text += &format!("  route {address}/32 blackhole;\n");
    }
    text += "}\n";
    for (number, peer) in wanted.peers.iter().enumerate() {
        text += &format!(
            "protocol bgp peer{number} {{\n  local {} as {CONTENDER_ASN};\n  \
             neighbor {peer} as {RECEIVER_ASN};\n  hold time 90;\n  connect delay time 1;\n  \
             connect retry time 1;\n  error wait time 1,1;\n  \
             ipv4 {{ import none; export where proto = \"bench4\"; }};\n}}\n",
            wanted.local
        );
    }
    if !wanted.bfd.is_empty() {
        let interval = wanted.interval_ms;
        text += &format!(
            "protocol bfd {{\n  interface \"eth0\" {{ min rx interval {interval} ms; \
             min tx interval {interval} ms; idle tx interval 1 s; multiplier {DETECT_MULT}; }};\n"
        );
        for link in &wanted.bfd {
            text += &format!("  neighbor {} dev \"eth0\" local {};\n", link.peer, link.local);
        }
        text += "}\n";
    }
    text
}

const FILE: &str = "bird.conf";
const SOCKET: &str = "bird.ctl";
