//! BIRD 2 and 3, asked through `birdc`.

use std::collections::BTreeSet;

use anyhow::Result;
use ferrolb_vocab::IpFamily;

use super::{HOLD_TIME, ROUTER_PREFIXES, RouteSeen, Router, canonical, colons, family_word, numbers};
use crate::pair::{ROUTER_ASN, Terms};
use crate::stage::{Daemon, Host, ROUTER_V4, Stage};

/// The daemon.
#[derive(Debug)]
pub(super) struct Bird {
    /// Ends with it.
    _daemon: Daemon,
    neighbor: String,
}

impl Bird {
    pub(super) fn start(stage: &Stage, terms: &Terms) -> Result<Self> {
        let file = stage.write("bird.conf", &configuration(terms))?;
        let mut command = stage.on(Host::Router, "bird");
        command.arg("-f").arg("-c").arg(file);
        command.arg("-s").arg(stage.inside("bird.ctl")).arg("-P").arg(stage.inside("bird.pid"));
        let daemon = stage.start(&mut command, "bird.log")?;
        Ok(Self { _daemon: daemon, neighbor: terms.address(Host::Speaker).to_string() })
    }
}

fn configuration(terms: &Terms) -> String {
    let (local, neighbor) = (terms.address(Host::Router), terms.address(Host::Speaker));
    let [v4, v6] = ROUTER_PREFIXES;
    let (bfd, bfd_on) = terms.router_bfd.map_or_else(Default::default, |timing| {
        let (interval, mult) = (timing.interval_ms, timing.detect_mult);
        let protocol = format!(
            "protocol bfd {{ interface \"eth0\" {{ min rx interval {interval} ms; \
             min tx interval {interval} ms; idle tx interval 1 s; multiplier {mult}; }}; }}\n"
        );
        (protocol, "bfd on;")
    });
    let password = terms.password.map(|key| format!("password \"{key}\";")).unwrap_or_default();
    format!(
        "log stderr all;\n\
         router id {ROUTER_V4};\n\
         protocol device {{ }}\n\
         protocol direct {{ ipv4; ipv6; }}\n\
         protocol static static4 {{ ipv4; route {v4} blackhole; }}\n\
         protocol static static6 {{ ipv6; route {v6} blackhole; }}\n\
         {bfd}\
         protocol bgp speaker {{\n  \
         local {local} as {ROUTER_ASN};\n  neighbor {neighbor} as {};\n  \
         hold time {HOLD_TIME};\n  keepalive time {};\n  connect retry time 1;\n  error wait time 1,1;\n  \
         graceful restart on;\n  {bfd_on}\n  {password}\n  \
         ipv4 {{ import all; export where proto = \"static4\"; }};\n  \
         ipv6 {{ import all; export where proto = \"static6\"; }};\n}}\n",
        terms.speaker_asn,
        HOLD_TIME / 3,
    )
}

fn birdc(stage: &Stage, words: &[&str]) -> Result<String> {
    let socket = stage.inside("bird.ctl").display().to_string();
    stage.ask("birdc", &[&["-s", socket.as_str()][..], words].concat())
}

/// The name of an attribute without what versions set before it: `BGP.as_path`, `bgp_path`.
fn attribute(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim().split_once(':')?;
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("bgp.").or_else(|| name.strip_prefix("bgp_"))?;
    Some((name.to_owned(), value))
}

/// Lists such as `(64512,100) (64512,200)`, with colons.
fn tags(value: &str) -> BTreeSet<String> {
    value.split(')').map(numbers).filter(|tag| !tag.is_empty()).map(|tag| colons(&tag)).collect()
}

fn route(said: &str) -> Option<RouteSeen> {
    let mut seen = None;
    for (name, value) in said.lines().filter_map(attribute) {
        let seen = seen.get_or_insert_with(RouteSeen::default);
        match name.as_str() {
            "as_path" | "path" => seen.as_path = numbers(value),
            "local_pref" => seen.local_pref = value.trim().parse().ok(),
            "community" => seen.communities = tags(value),
            "large_community" => seen.large_communities = tags(value),
            _of_no_interest => {}
        }
    }
    seen
}

impl Router for Bird {
    fn is_established(&self, stage: &Stage) -> Result<bool> {
        Ok(birdc(stage, &["show", "protocols", "speaker"])?.contains("Established"))
    }

    fn prefixes(&self, stage: &Stage, family: IpFamily) -> Result<BTreeSet<String>> {
        let table = if family_word(family) == "ipv4" { "master4" } else { "master6" };
        let said = birdc(stage, &["show", "route", "table", table])?;
        let firsts = said.lines().filter_map(|line| line.split_whitespace().next());
        Ok(firsts.filter_map(canonical).collect())
    }

    fn route(&self, stage: &Stage, prefix: &str) -> Result<Option<RouteSeen>> {
        Ok(route(&birdc(stage, &["show", "route", prefix, "all"])?))
    }

    fn describe(&self, stage: &Stage) -> Result<String> {
        birdc(stage, &["show", "protocols", "all", "speaker"])
    }

    /// It asks for all families at once.
    fn ask_for_routes(&self, stage: &Stage, _family: IpFamily) -> Result<()> {
        // BIRD 3.4 has a word more.
        let asked = birdc(stage, &["reload", "bgp", "in", "speaker"]);
        asked.or_else(|_older| birdc(stage, &["reload", "in", "speaker"])).map(drop)
    }

    fn is_bfd_up(&self, stage: &Stage) -> Result<bool> {
        let said = birdc(stage, &["show", "bfd", "sessions"])?;
        Ok(said.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.first() == Some(&self.neighbor.as_str()) && words.get(2) == Some(&"Up")
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_of_both_major_versions_are_read() {
        for (dot, path) in [("BGP.", "as_path"), ("bgp_", "path")] {
            let said = format!(
                "BIRD ready.\nTable master4:\n198.51.100.1/32 unicast [speaker] * (100) [AS64512i]\n\
                 \tvia 192.0.2.1 on eth0\n\t{dot}origin: IGP\n\t{dot}{path}: 64512 64500\n\
                 \t{dot}local_pref: 200\n\t{dot}community: (64512,100) (65535,0)\n\
                 \t{dot}large_community: (4200000001, 1, 2)\n"
            );
            let seen = route(&said).unwrap();
            assert_eq!((seen.as_path, seen.local_pref), (vec![64_512, 64_500], Some(200)));
            assert_eq!(seen.communities, ["64512:100".to_owned(), "65535:0".to_owned()].into());
            assert_eq!(seen.large_communities, ["4200000001:1:2".to_owned()].into());
        }
        assert_eq!(route("BIRD ready.\nNetwork not found\n"), None);
    }
}
