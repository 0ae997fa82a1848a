//! FRRouting: zebra, and bgpd and bfdd as they are needed. Routes are changed as MetalLB's reloader does
//! in the end, by a file of commands for `vtysh`; what it takes to find out which these are is not there.

use std::ops::Range;

use anyhow::{Context, Result};
use ferrolb_interop::stage::Daemon;
use ferrolb_interop::wait::until;
use ferrolb_interop::{Host, Stage};
use serde_json::Value;

use super::{Contender, Place};
use crate::scene::said;
use crate::{CONTENDER_ASN, DETECT_MULT, RECEIVER_ASN, Wanted};

/// Where Debian has the daemons.
const DIRECTORY: &str = "/usr/lib/frr";

/// The daemons.
#[derive(Debug)]
pub(super) struct Frr {
    daemons: Vec<Daemon>,
    routes: u16,
}

impl Frr {
    pub(super) fn start(place: Place<'_>, wanted: &Wanted) -> Result<Self> {
        let stage = place.stage;
        stage.write("zebra.conf", "")?;
        stage.write("bgpd.conf", &bgp_configuration(wanted))?;
        stage.write("bfdd.conf", &bfd_configuration(wanted))?;
        stage.write("vtysh.conf", "")?;
        // They run as a user of their own.
        said(stage.on(Host::Speaker, "chown").args(["-R", "frr:frr"]).arg(stage.inside("")))?;
        let mut daemons = Vec::new();
        for (daemon, socket, is_needed) in [
            ("zebra", "zserv.api", true),
            ("bfdd", "bfdd.vty", !wanted.bfd.is_empty()),
            ("bgpd", "bgpd.vty", !wanted.peers.is_empty()),
        ] {
            if !is_needed {
                continue;
            }
            let mut command = place.command(format!("{DIRECTORY}/{daemon}"));
            command.arg("--vty_socket").arg(stage.inside(""));
            command.arg("--socket").arg(stage.inside("zserv.api"));
            command.arg("--pid_file").arg(stage.inside(&format!("{daemon}.pid")));
            command.arg("--config_file").arg(stage.inside(&format!("{daemon}.conf")));
            command.args(["--vty_port", "0", "--log", "stdout"]);
            if daemon == "bfdd" {
                command.arg("--bfdctl").arg(stage.inside("bfdd.sock"));
            }
            daemons.push(stage.start(&mut command, &format!("{daemon}.log"))?);
            // Who finds no zebra tries again after ten seconds.
            let is_there = || Ok(stage.outside(socket).exists());
            until(&format!("{socket} of {daemon}"), is_there, |is_there| *is_there)?;
        }
        Ok(Self { daemons, routes: wanted.routes })
    }
}

impl Contender for Frr {
    fn processes(&self) -> Vec<u32> {
        self.daemons.iter().map(Daemon::id).collect()
    }

    fn wait_until_loaded(&self, stage: &Stage) -> Result<()> {
        let count = || -> Result<Option<u64>> {
            let summary = vtysh(stage, &["-c", "show bgp ipv4 unicast summary json"])?;
            let summary: Value = serde_json::from_str(&summary).context("vtysh says no JSON")?;
            Ok(summary.get("ribCount").and_then(Value::as_u64))
        };
        let is_whole = |seen: &Option<u64>| seen.is_some_and(|count| count >= u64::from(self.routes));
        until("FRR has all routes", count, is_whole).map(drop)
    }

    fn tell(&mut self, stage: &Stage, routes: u16) -> Result<()> {
        let added = networks("network", self.routes..routes);
        let removed = networks("no network", routes..self.routes);
        let commands = format!(
            "router bgp {CONTENDER_ASN}\n address-family ipv4 unicast\n{added}{removed} exit-address-family\n"
        );
        let file = stage.write("change.conf", &commands)?;
        self.routes = routes;
        vtysh(stage, &["-f", &file.display().to_string()]).map(drop)
    }
}

fn vtysh(stage: &Stage, words: &[&str]) -> Result<String> {
    let directory = stage.inside("");
    let mut vtysh = stage.on(Host::Speaker, "vtysh");
    vtysh.arg("--vty_socket").arg(&directory).arg("--config_dir").arg(&directory);
    said(vtysh.args(words))
}

fn bgp_configuration(wanted: &Wanted) -> String {
    let mut text = format!(
        "router bgp {CONTENDER_ASN}\n \
         bgp router-id {}\n \
         no bgp ebgp-requires-policy\n \
         no bgp network import-check\n \
         no bgp default ipv4-unicast\n",
        wanted.local
    );
    for peer in &wanted.peers {
        text += &format!(" neighbor {peer} remote-as {RECEIVER_ASN}\n neighbor {peer} timers connect 1\n");
    }
    text += " address-family ipv4 unicast\n";
    for peer in &wanted.peers {
        text += &format!("  neighbor {peer} activate\n");
    }
    text + &networks("network", 0..wanted.routes) + " exit-address-family\n"
}

fn networks(command: &str, numbers: Range<u16>) -> String {
    Wanted::prefixes(numbers).map(|address| format!("  {command} {address}/32\n")).collect()
}

fn bfd_configuration(wanted: &Wanted) -> String {
    let interval = wanted.interval_ms;
    let mut text = format!(
        "bfd\n profile bench\n  transmit-interval {interval}\n  receive-interval {interval}\n  \
         detect-multiplier {DETECT_MULT}\n exit\n"
    );
    for link in &wanted.bfd {
        text += &format!(
            " peer {} local-address {} interface eth0\n  profile bench\n  no shutdown\n exit\n",
            link.peer, link.local
        );
    }
    text
}
