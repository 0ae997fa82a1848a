//! GoBGP, asked through `gobgp`.

use std::collections::BTreeSet;

use anyhow::Result;
use ferrolb_vocab::IpFamily;
use serde_json::Value;

use super::{HOLD_TIME, ROUTER_PREFIXES, RouteSeen, Router, canonical, colons, family_word, json};
use crate::pair::{ROUTER_ASN, Terms};
use crate::stage::{Daemon, Host, ROUTER_V4, ROUTER_V6, Stage};
use crate::wait::until;

/// The daemon.
#[derive(Debug)]
pub(super) struct Gobgp {
    /// Ends with it.
    _daemon: Daemon,
    neighbor: String,
}

impl Gobgp {
    pub(super) fn start(stage: &Stage, terms: &Terms) -> Result<Self> {
        let file = stage.write("gobgpd.toml", &configuration(terms))?;
        let mut command = stage.on(Host::Router, "gobgpd");
        command.args(["--config-type", "toml", "--api-hosts", "127.0.0.1:50051"]);
        command.arg("--config-file").arg(file);
        let daemon = stage.start(&mut command, "gobgpd.log")?;
        // Its configuration has no words for prefixes of its own.
        until("gobgpd takes prefixes", || tell_prefixes(stage), |()| true)?;
        Ok(Self { _daemon: daemon, neighbor: terms.address(Host::Speaker).to_string() })
    }

    fn table(stage: &Stage, family: IpFamily) -> Result<Value> {
        json(&stage.ask("gobgp", &["global", "rib", "-a", family_word(family), "-j"])?)
    }
}

fn configuration(terms: &Terms) -> String {
    let families = ["ipv4-unicast", "ipv6-unicast"].map(|family| {
        format!(
            "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n\
             [neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n"
        )
    });
    let password = terms.password.map(|key| format!("auth-password = \"{key}\"\n")).unwrap_or_default();
    format!(
        "[global.config]\nas = {ROUTER_ASN}\nrouter-id = \"{ROUTER_V4}\"\n\
         local-address-list = [\"{ROUTER_V4}\", \"{ROUTER_V6}\"]\n\
         [[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {}\n{password}\
         [neighbors.timers.config]\nhold-time = {HOLD_TIME}\nkeepalive-interval = {}\nconnect-retry = 1\n\
         idle-hold-time-after-reset = 1\n\
         [neighbors.graceful-restart.config]\nenabled = true\nrestart-time = 120\nhelper-only = true\n\
         {}",
        terms.address(Host::Speaker),
        terms.speaker_asn,
        HOLD_TIME / 3,
        families.concat(),
    )
}

fn tell_prefixes(stage: &Stage) -> Result<()> {
    let [v4, v6] = ROUTER_PREFIXES;
    let [next_hop_v4, next_hop_v6] = [ROUTER_V4.to_string(), ROUTER_V6.to_string()];
    stage.ask("gobgp", &["global", "rib", "add", v4, "nexthop", &next_hop_v4, "-a", "ipv4"])?;
    stage.ask("gobgp", &["global", "rib", "add", v6, "nexthop", &next_hop_v6, "-a", "ipv6"]).map(drop)
}

/// The path attribute of this type code among those of a path.
fn attribute(path: &Value, code: u64) -> &Value {
    let attributes = path["attrs"].as_array().map(Vec::as_slice).unwrap_or_default();
    attributes.iter().find(|attribute| attribute["type"] == code).unwrap_or(&Value::Null)
}

/// The numbers of a list.
fn list(value: &Value) -> Vec<u32> {
    let numbers = value.as_array().into_iter().flatten().filter_map(Value::as_u64);
    numbers.filter_map(|number| number.try_into().ok()).collect()
}

fn route(path: &Value) -> RouteSeen {
    let segments = attribute(path, 2)["as_paths"].as_array().into_iter().flatten();
    let communities = list(&attribute(path, 8)["communities"]);
    let large = attribute(path, 32)["value"].as_array().into_iter().flatten();
    let large = large.map(|tag| ["ASN", "LocalData1", "LocalData2"].map(|part| tag[part].to_string()));
    RouteSeen {
        as_path: segments.flat_map(|segment| list(&segment["asns"])).collect(),
        communities: communities.into_iter().map(|tag| colons(&[tag >> 16, tag & 0xffff])).collect(),
        large_communities: large.map(|parts| parts.join(":")).collect(),
        local_pref: attribute(path, 5)["value"].as_u64().and_then(|value| value.try_into().ok()),
    }
}

impl Router for Gobgp {
    fn is_established(&self, stage: &Stage) -> Result<bool> {
        let said = self.describe(stage)?;
        Ok(said.lines().any(|line| line.contains("BGP state") && line.contains("ESTABLISHED")))
    }

    fn prefixes(&self, stage: &Stage, family: IpFamily) -> Result<BTreeSet<String>> {
        let table = Self::table(stage, family)?;
        Ok(table.as_object().into_iter().flatten().filter_map(|(prefix, _paths)| canonical(prefix)).collect())
    }

    fn route(&self, stage: &Stage, prefix: &str) -> Result<Option<RouteSeen>> {
        let table = Self::table(stage, super::family(prefix))?;
        Ok(table[prefix].get(0).map(route))
    }

    fn describe(&self, stage: &Stage) -> Result<String> {
        stage.ask("gobgp", &["neighbor", &self.neighbor])
    }
}
