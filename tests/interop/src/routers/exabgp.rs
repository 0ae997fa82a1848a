//! ExaBGP. It keeps no table: what it hears it tells to a program, here one that writes it down, and
//! what that program says it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result};
use ferrolb_vocab::IpFamily;
use serde_json::Value;

use super::{HOLD_TIME, ROUTER_PREFIXES, RouteSeen, Router, canonical, colons, family_word};
use crate::pair::{ROUTER_ASN, Terms};
use crate::stage::{Daemon, Host, ROUTER_V4, ROUTER_V6, Stage};

/// What it is to do, a line each.
const COMMANDS: &str = "commands";
/// What it heard, a JSON object each line.
const HEARD: &str = "heard.log";

/// The daemon.
#[derive(Debug)]
pub(super) struct Exabgp {
    /// Ends with it.
    _daemon: Daemon,
    neighbor: String,
}

/// What is left of all that it heard.
#[derive(Debug, Default)]
struct Heard {
    is_established: bool,
    table: BTreeMap<String, RouteSeen>,
}

impl Exabgp {
    pub(super) fn start(stage: &Stage, terms: &Terms) -> Result<Self> {
        stage.write(COMMANDS, "")?;
        let [commands, heard] = [COMMANDS, HEARD].map(|name| stage.inside(name).display().to_string());
        let script = format!("tail -n +1 -f {commands} &\nexec cat > {heard}\n");
        let script = stage.write("program.sh", &script)?;
        let text = configuration(&script.display().to_string(), terms);
        let file = stage.write("exabgp.conf", &text)?;
        let mut command = stage.on(Host::Router, "exabgp");
        command.env("exabgp.daemon.user", "root").env("exabgp.daemon.daemonize", "false");
        // It would answer every line of the program's, and asks for pipes that nobody needs.
        command.env("exabgp.api.ack", "false").env("exabgp.api.cli", "false");
        command.env("exabgp.log.destination", "stdout").arg(file);
        let daemon = stage.start(&mut command, "exabgp.log")?;
        Ok(Self { _daemon: daemon, neighbor: terms.address(Host::Speaker).to_string() })
    }
}

fn configuration(script: &str, terms: &Terms) -> String {
    let [v4, v6] = ROUTER_PREFIXES;
    let password = terms.password.map(|key| format!("md5-password '{key}';")).unwrap_or_default();
    format!(
        "process program {{\n  run /bin/sh {script};\n  encoder json;\n}}\n\
         neighbor {} {{\n  router-id {ROUTER_V4};\n  local-address {};\n  local-as {ROUTER_ASN};\n  \
         peer-as {};\n  hold-time {HOLD_TIME};\n  passive true;\n  listen 179;\n  {password}\n  \
         capability {{ graceful-restart 60; route-refresh enable; asn4 enable; }}\n  \
         family {{ ipv4 unicast; ipv6 unicast; }}\n  \
         api {{ processes [ program ]; neighbor-changes; receive {{ parsed; update; notification; }} }}\n  \
         static {{ route {v4} next-hop {ROUTER_V4}; route {v6} next-hop {ROUTER_V6}; }}\n}}\n",
        terms.address(Host::Speaker),
        terms.address(Host::Router),
        terms.speaker_asn,
    )
}

impl Heard {
    /// Goes through all that was written down; a line that is not complete yet is left.
    fn of(text: &str) -> Self {
        let mut heard = Self::default();
        for value in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            match value["type"].as_str() {
                Some("state") => heard.note_state(value["neighbor"]["state"].as_str()),
                Some("update") => heard.note_update(&value["neighbor"]["message"]["update"]),
                _of_no_interest => {}
            }
        }
        heard
    }

    fn note_state(&mut self, state: Option<&str>) {
        self.is_established = state == Some("up");
        if state == Some("down") {
            self.table.clear();
        }
    }

    fn note_update(&mut self, update: &Value) {
        let route = route(&update["attribute"]);
        for family in ["ipv4 unicast", "ipv6 unicast"] {
            let withdrawn = update["withdraw"][family].as_array().into_iter().flatten();
            for prefix in withdrawn.filter_map(prefix) {
                self.table.remove(&prefix);
            }
            let by_next_hop = update["announce"][family].as_object().into_iter().flatten();
            let announced = by_next_hop.filter_map(|(_next_hop, prefixes)| prefixes.as_array()).flatten();
            self.table.extend(announced.filter_map(prefix).map(|prefix| (prefix, route.clone())));
        }
    }
}

/// A prefix as versions write it: `{"nlri": "198.51.100.1/32"}` or the text alone.
fn prefix(value: &Value) -> Option<String> {
    canonical(value.as_str().or_else(|| value["nlri"].as_str())?)
}

fn route(attributes: &Value) -> RouteSeen {
    let tags = |name: &str| {
        let tags = attributes[name].as_array().into_iter().flatten();
        tags.map(|tag| colons(&list(tag))).collect()
    };
    RouteSeen {
        as_path: as_path(&attributes["as-path"]),
        communities: tags("community"),
        large_communities: tags("large-community"),
        local_pref: attributes["local-preference"].as_u64().and_then(|value| value.try_into().ok()),
    }
}

/// A list of numbers, or since version 5 an object of segments with a list each.
fn as_path(value: &Value) -> Vec<u32> {
    match value.as_object() {
        Some(segments) => segments.values().flat_map(|segment| list(&segment["value"])).collect(),
        None => list(value),
    }
}

fn list(value: &Value) -> Vec<u32> {
    let numbers = value.as_array().into_iter().flatten().filter_map(Value::as_u64);
    numbers.filter_map(|number| number.try_into().ok()).collect()
}

impl Router for Exabgp {
    fn is_established(&self, stage: &Stage) -> Result<bool> {
        Ok(Heard::of(&stage.read(HEARD)).is_established)
    }

    fn prefixes(&self, stage: &Stage, family: IpFamily) -> Result<BTreeSet<String>> {
        let table = Heard::of(&stage.read(HEARD)).table;
        Ok(table.into_keys().filter(|prefix| super::family(prefix) == family).collect())
    }

    fn route(&self, stage: &Stage, prefix: &str) -> Result<Option<RouteSeen>> {
        Ok(Heard::of(&stage.read(HEARD)).table.remove(prefix))
    }

    fn describe(&self, stage: &Stage) -> Result<String> {
        Ok(stage.read(HEARD))
    }

    fn ask_for_routes(&self, stage: &Stage, family: IpFamily) -> Result<()> {
        let file = File::options().append(true).open(stage.outside(COMMANDS));
        let mut file = file.context("open what the program reads commands from")?;
        let family = family_word(family);
        writeln!(file, "neighbor {} announce route-refresh {family} unicast", self.neighbor)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_what_was_heard_is_the_table() {
        let update = |message: &str| {
            format!("{{\"type\":\"update\",\"neighbor\":{{\"message\":{{\"update\":{message}}}}}}}\n")
        };
        let state = |state: &str| format!("{{\"type\":\"state\",\"neighbor\":{{\"state\":\"{state}\"}}}}\n");
        let announced = update(
            "{\"attribute\":{\"as-path\":[64512],\"community\":[[64512,100]],\"large-community\":[[1,2,3]]},\
             \"announce\":{\"ipv4 unicast\":\
             {\"192.0.2.1\":[{\"nlri\":\"10.0.0.1/32\"},{\"nlri\":\"10.0.0.2/32\"}]}}}",
        );
        let withdrawn = update("{\"withdraw\":{\"ipv4 unicast\":[{\"nlri\":\"10.0.0.2/32\"}]}}");
        let heard = Heard::of(&[state("up"), announced.clone(), withdrawn, "{\"type\":".to_owned()].concat());
        assert!(heard.is_established);
        let (prefix, route) = heard.table.first_key_value().unwrap();
        assert_eq!(
            (heard.table.len(), prefix.as_str(), &route.as_path[..]),
            (1, "10.0.0.1/32", &[64_512][..])
        );
        assert_eq!(route.communities, ["64512:100".to_owned()].into());
        assert_eq!(route.large_communities, ["1:2:3".to_owned()].into());
        assert!(Heard::of(&[state("up"), announced, state("down")].concat()).table.is_empty());
    }
}
