//! FRRouting: zebra, bfdd and bgpd, asked through `vtysh`.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use ferrolb_vocab::IpFamily;
use serde_json::Value;

use super::{HOLD_TIME, ROUTER_PREFIXES, RouteSeen, Router, canonical, colons, family_word, json, numbers};
use crate::pair::{ROUTER_ASN, Terms};
use crate::stage::{Daemon, Host, ROUTER_V4, Stage};
use crate::wait::until;

/// Where Debian has the daemons.
const DIRECTORY: &str = "/usr/lib/frr";

/// The three daemons.
#[derive(Debug)]
pub(super) struct Frr {
    /// End with it.
    _daemons: Vec<Daemon>,
    neighbor: String,
    has_bfd: bool,
}

impl Frr {
    pub(super) fn start(stage: &Stage, terms: &Terms) -> Result<Self> {
        stage.write("zebra.conf", "")?;
        stage.write("bfdd.conf", &bfd_configuration(terms))?;
        stage.write("bgpd.conf", &configuration(terms))?;
        stage.write("vtysh.conf", "")?;
        // They run as a user of their own.
        stage.ask("chown", &["-R", "frr:frr", &stage.inside("").display().to_string()])?;
        // Later versions have no such socket.
        let has_control = stage.ask(&format!("{DIRECTORY}/bfdd"), &["--help"])?.contains("--bfdctl");
        let mut daemons = Vec::new();
        for (daemon, socket) in [("zebra", "zserv.api"), ("bfdd", "bfdd.vty"), ("bgpd", "bgpd.vty")] {
            let directory = stage.inside("");
            let mut command = stage.on(Host::Router, format!("{DIRECTORY}/{daemon}"));
            command.arg("--vty_socket").arg(&directory);
            command.arg("--socket").arg(stage.inside("zserv.api"));
            command.arg("--pid_file").arg(stage.inside(&format!("{daemon}.pid")));
            command.arg("--config_file").arg(stage.inside(&format!("{daemon}.conf")));
            command.args(["--vty_port", "0", "--log", "stdout"]);
            if daemon == "bfdd" && has_control {
                command.arg("--bfdctl").arg(stage.inside("bfdd.sock"));
            }
            daemons.push(stage.start(&mut command, &format!("{daemon}.log"))?);
            // Who finds no zebra tries again after ten seconds.
            until(
                &format!("{socket} of {daemon}"),
                || Ok(stage.outside(socket).exists()),
                |is_there| *is_there,
            )?;
        }
        let neighbor = terms.address(Host::Speaker).to_string();
        Ok(Self { _daemons: daemons, neighbor, has_bfd: terms.router_bfd.is_some() })
    }
}

fn configuration(terms: &Terms) -> String {
    let neighbor = terms.address(Host::Speaker);
    let [v4, v6] = ROUTER_PREFIXES;
    let bfd = if terms.router_bfd.is_some() {
        format!(" neighbor {neighbor} bfd\n neighbor {neighbor} bfd profile lab\n")
    } else {
        String::new()
    };
    let password =
        terms.password.map(|key| format!(" neighbor {neighbor} password {key}\n")).unwrap_or_default();
    format!(
        "router bgp {ROUTER_ASN}\n \
         bgp router-id {ROUTER_V4}\n \
         bgp log-neighbor-changes\n \
         no bgp ebgp-requires-policy\n \
         no bgp network import-check\n \
         no bgp default ipv4-unicast\n \
         neighbor {neighbor} remote-as {}\n \
         neighbor {neighbor} timers {} {HOLD_TIME}\n \
         neighbor {neighbor} timers connect 1\n \
         neighbor {neighbor} update-source {}\n\
         {password}{bfd} \
         address-family ipv4 unicast\n  neighbor {neighbor} activate\n  network {v4}\n exit-address-family\n \
         address-family ipv6 unicast\n  neighbor {neighbor} activate\n  network {v6}\n exit-address-family\n",
        terms.speaker_asn,
        HOLD_TIME / 3,
        terms.address(Host::Router),
    )
}

fn bfd_configuration(terms: &Terms) -> String {
    let Some(timing) = terms.router_bfd else { return String::new() };
    let (interval, mult) = (timing.interval_ms, timing.detect_mult);
    format!(
        "bfd\n profile lab\n  transmit-interval {interval}\n  receive-interval {interval}\n  \
         detect-multiplier {mult}\n"
    )
}

/// What vtysh answers to these commands.
fn vtysh(stage: &Stage, commands: &[&str]) -> Result<String> {
    let directory = stage.inside("").display().to_string();
    let place = ["--vty_socket", directory.as_str(), "--config_dir", directory.as_str()];
    let commands = commands.iter().flat_map(|command| ["-c", *command]);
    stage.ask("vtysh", &place.into_iter().chain(commands).collect::<Vec<&str>>())
}

impl Router for Frr {
    fn is_established(&self, stage: &Stage) -> Result<bool> {
        let said = json(&self.describe(stage)?)?;
        Ok(said[&self.neighbor]["bgpState"] == "Established")
    }

    fn prefixes(&self, stage: &Stage, family: IpFamily) -> Result<BTreeSet<String>> {
        let said = json(&vtysh(stage, &[&format!("show bgp {} unicast json", family_word(family))])?)?;
        let routes = said["routes"].as_object().into_iter().flatten();
        Ok(routes.filter_map(|(prefix, _paths)| canonical(prefix)).collect())
    }

    fn route(&self, stage: &Stage, prefix: &str) -> Result<Option<RouteSeen>> {
        let family = family_word(super::family(prefix));
        let said = json(&vtysh(stage, &[&format!("show bgp {family} unicast {prefix} json")])?)?;
        let path = &said["paths"][0];
        if path.is_null() {
            return Ok(None);
        }
        let text = |value: &Value| value["string"].as_str().unwrap_or_default().to_owned();
        let tags = |value: &Value| text(value).split_whitespace().map(|tag| colons(&numbers(tag))).collect();
        Ok(Some(RouteSeen {
            as_path: numbers(&text(&path["aspath"])),
            communities: tags(&path["community"]),
            large_communities: tags(&path["largeCommunity"]),
            local_pref: path["locPrf"].as_u64().and_then(|value| value.try_into().ok()),
        }))
    }

    fn describe(&self, stage: &Stage) -> Result<String> {
        vtysh(stage, &[&format!("show bgp neighbors {} json", self.neighbor)])
    }

    fn ask_for_routes(&self, stage: &Stage, family: IpFamily) -> Result<()> {
        vtysh(stage, &[&format!("clear bgp {} unicast * soft in", family_word(family))]).map(drop)
    }

    fn is_bfd_up(&self, stage: &Stage) -> Result<bool> {
        ensure!(self.has_bfd, "it was started without BFD");
        let said = json(&vtysh(stage, &["show bfd peers json"])?)?;
        let mut peers = said.as_array().into_iter().flatten();
        Ok(peers.any(|peer| peer["peer"] == self.neighbor.as_str() && peer["status"] == "up"))
    }

    fn disable_bfd(&self, stage: &Stage) -> Result<()> {
        vtysh(stage, &["configure terminal", "bfd", "profile lab", "shutdown"]).map(drop)
    }
}
