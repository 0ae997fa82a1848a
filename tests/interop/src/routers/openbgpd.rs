//! OpenBGPD, asked through `bgpctl`.

use std::collections::BTreeSet;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use ferrolb_vocab::IpFamily;
use serde_json::Value;

use super::{HOLD_TIME, ROUTER_PREFIXES, RouteSeen, Router, canonical, family_word, json, numbers};
use crate::pair::{ROUTER_ASN, Terms};
use crate::stage::{Daemon, Host, ROUTER_V4, ROUTER_V6, Stage};

/// Debian's path: FRR has a program of the same name elsewhere.
const PROGRAM: &str = "/usr/sbin/bgpd";

/// Where its processes lock themselves in, which systemd would make before it starts them.
const PRISON: &str = "/run/openbgpd";

/// The daemon.
#[derive(Debug)]
pub(super) struct Openbgpd {
    /// Ends with it.
    _daemon: Daemon,
    neighbor: String,
}

impl Openbgpd {
    pub(super) fn start(stage: &Stage, terms: &Terms) -> Result<Self> {
        let file = stage.write("bgpd.conf", &configuration(stage, terms))?;
        // One that others can read is refused: there might be keys in it.
        set_permissions(stage.outside("bgpd.conf"), Permissions::from_mode(0o600))?;
        stage.ask("mkdir", &["-p", PRISON])?;
        let mut command = stage.on(Host::Router, PROGRAM);
        command.arg("-d").arg("-f").arg(file);
        let daemon = stage.start(&mut command, "bgpd.log")?;
        Ok(Self { _daemon: daemon, neighbor: terms.address(Host::Speaker).to_string() })
    }
}

fn configuration(stage: &Stage, terms: &Terms) -> String {
    let [v4, v6] = ROUTER_PREFIXES;
    let password = terms.password.map(|key| format!("  tcp md5sig password {key}\n")).unwrap_or_default();
    format!(
        "AS {ROUTER_ASN}\nrouter-id {ROUTER_V4}\nholdtime {HOLD_TIME}\nfib-update no\n\
         listen on {ROUTER_V4}\nlisten on {ROUTER_V6}\nsocket \"{}\"\n\
         network {v4}\nnetwork {v6}\n\
         neighbor {} {{\n  remote-as {}\n  local-address {}\n  announce IPv4 unicast\n  \
         announce IPv6 unicast\n{password}}}\n\
         allow from any\nallow to any\n",
        stage.inside("bgpd.sock").display(),
        terms.address(Host::Speaker),
        terms.speaker_asn,
        terms.address(Host::Router),
    )
}

fn bgpctl(stage: &Stage, words: &[&str]) -> Result<String> {
    let socket = stage.inside("bgpd.sock").display().to_string();
    stage.ask("bgpctl", &[&["-s", socket.as_str()][..], words].concat())
}

/// The routes that `bgpctl -j show rib` prints.
fn routes(said: &str) -> Result<Vec<Value>> {
    Ok(json(said)?["rib"].as_array().cloned().unwrap_or_default())
}

fn route(said: &Value) -> RouteSeen {
    let tags = |name: &str| {
        let tags = said[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        tags.map(str::to_owned).collect()
    };
    RouteSeen {
        as_path: numbers(said["aspath"].as_str().unwrap_or_default()),
        communities: tags("communities"),
        large_communities: tags("large_communities"),
        local_pref: said["localpref"].as_u64().and_then(|value| value.try_into().ok()),
    }
}

impl Router for Openbgpd {
    fn is_established(&self, stage: &Stage) -> Result<bool> {
        Ok(self.describe(stage)?.contains("BGP state = Established"))
    }

    fn prefixes(&self, stage: &Stage, family: IpFamily) -> Result<BTreeSet<String>> {
        let routes = routes(&bgpctl(stage, &["-j", "show", "rib", family_word(family)])?)?;
        Ok(routes.iter().filter_map(|route| canonical(route["prefix"].as_str()?)).collect())
    }

    fn route(&self, stage: &Stage, prefix: &str) -> Result<Option<RouteSeen>> {
        let routes = routes(&bgpctl(stage, &["-j", "show", "rib", "detail", prefix])?)?;
        Ok(routes.first().map(route))
    }

    fn describe(&self, stage: &Stage) -> Result<String> {
        bgpctl(stage, &["show", "neighbor", &self.neighbor])
    }

    /// It asks for all families at once.
    fn ask_for_routes(&self, stage: &Stage, _family: IpFamily) -> Result<()> {
        bgpctl(stage, &["neighbor", &self.neighbor, "refresh"]).map(drop)
    }
}
