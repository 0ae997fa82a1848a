//! GoBGP: one route at a time through its command line, many at once as a table that it imports.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use ferrolb_interop::stage::Daemon;
use ferrolb_interop::wait::until;
use ferrolb_interop::{Host, Stage};

use super::mrt::table_dump;
use super::{Contender, Place};
use crate::scene::said;
use crate::{CONTENDER_ASN, RECEIVER_ASN, Wanted};

/// The daemon.
#[derive(Debug)]
pub(super) struct Gobgp {
    daemon: Daemon,
    wanted: Wanted,
}

impl Gobgp {
    pub(super) fn start(place: Place<'_>, wanted: &Wanted) -> Result<Self> {
        if !wanted.bfd.is_empty() {
            bail!("GoBGP of this version has no BFD");
        }
        let stage = place.stage;
        let file = stage.write("gobgpd.toml", &configuration(wanted))?;
        let mut command = place.command("gobgpd");
        command.args(["--config-type", "toml", "--api-hosts", "127.0.0.1:50051"]);
        command.arg("--config-file").arg(file);
        let daemon = stage.start(&mut command, "gobgpd.log")?;
        until("gobgpd answers", || gobgp(stage, &["global"]), |_said| true)?;
        let mut gobgp = Self { daemon, wanted: Wanted { routes: 0, ..wanted.clone() } };
        gobgp.tell(stage, wanted.routes)?;
        Ok(gobgp)
    }
}

impl Contender for Gobgp {
    fn processes(&self) -> Vec<u32> {
        vec![self.daemon.id()]
    }

    fn wait_until_loaded(&self, stage: &Stage) -> Result<()> {
        let wanted = format!("Destination: {},", self.wanted.routes);
        let summary = || gobgp(stage, &["global", "rib", "summary", "-a", "ipv4"]);
        until("GoBGP has all routes", summary, |said| said.contains(&wanted)).map(drop)
    }

    fn tell(&mut self, stage: &Stage, routes: u16) -> Result<()> {
        let before = self.wanted.routes;
        self.wanted.routes = routes;
        // Its command line takes routes away one by one only.
        for address in Wanted::prefixes(routes..before) {
            gobgp(stage, &["global", "rib", "del", &format!("{address}/32"), "-a", "ipv4"])?;
        }
        let added: Vec<_> = Wanted::prefixes(before..routes).collect();
        match added.as_slice() {
            [] => Ok(()),
            [address] => {
                let next_hop = self.wanted.local.to_string();
                let prefix = format!("{address}/32");
                gobgp(stage, &["global", "rib", "add", &prefix, "nexthop", &next_hop, "-a", "ipv4"]).map(drop)
            }
            many => self.import(stage, &table_dump(self.wanted.local, many)?),
        }
    }
}

impl Gobgp {
    /// Has it import a table. Its command line does not wait until what it sends has arrived when its input
    /// ends, which loses the last routes: so the input ends when they are there.
    fn import(&self, stage: &Stage, table: &[u8]) -> Result<()> {
        let mut command = stage.on(Host::Speaker, "gobgp");
        command.args(["mrt", "inject", "global", "/dev/stdin"]).stdin(Stdio::piped());
        let mut child = command.spawn().context("start gobgp")?;
        let mut stdin = child.stdin.take().context("its standard input is not a pipe")?;
        stdin.write_all(table).context("give gobgp a table")?;
        self.wait_until_loaded(stage)?;
        drop(stdin);
        let status = child.wait()?;
        ensure!(status.success(), "gobgp has not imported a table: {status}");
        Ok(())
    }
}

fn gobgp(stage: &Stage, words: &[&str]) -> Result<String> {
    said(stage.on(Host::Speaker, "gobgp").args(words))
}

fn configuration(wanted: &Wanted) -> String {
    let mut text = format!(
        "[global.config]\nas = {CONTENDER_ASN}\nrouter-id = \"{0}\"\nlocal-address-list = [\"{0}\"]\n",
        wanted.local
    );
    for peer in &wanted.peers {
        text += &format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{peer}\"\npeer-as = {RECEIVER_ASN}\n\
             [neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"ipv4-unicast\"\n"
        );
    }
    text
}
