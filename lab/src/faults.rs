//! Faults in force: nodes without power, and frames the switch drops, all between two hosts or at random
//! to and from one.
//!
//! The switch's own nftables table does it, on bridged frames: ARP and NDP are dropped like the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::hosts::{LAN, netns};
use crate::program::run;

/// File of the lab's directory that holds the faults in force.
pub(crate) const FILE: &str = "faults.json";
const TABLE: &str = "bridge faults";

/// Faults in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Pairs of hosts that cannot hear each other, each pair in alphabetical order.
    pub partitions: BTreeSet<(String, String)>,
    /// Percentage of frames lost to and from a host.
    pub losses: BTreeMap<String, u8>,
    /// Nodes without power.
    pub dead_nodes: BTreeSet<String>,
}

/// One line for each fault, each after a line break.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (a, b) in &self.partitions {
            write!(f, "\nfault: {a} and {b} do not hear each other")?;
        }
        for (host, percent) in &self.losses {
            write!(f, "\nfault: {percent} % of the frames to and from {host} are lost")?;
        }
        for node in &self.dead_nodes {
            write!(f, "\nfault: {node} is without power")?;
        }
        Ok(())
    }
}

impl Faults {
    /// Whether the switch carries every frame.
    #[must_use]
    pub fn lan_is_whole(&self) -> bool {
        self.partitions.is_empty() && self.losses.is_empty()
    }

    pub(crate) fn heal(&mut self) {
        self.partitions.clear();
        self.losses.clear();
    }

    pub(crate) fn partition(&mut self, a: &str, b: &str) {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        self.partitions.insert((first.to_owned(), second.to_owned()));
    }

    pub(crate) fn lose(&mut self, host: &str, percent: u8) {
        if percent == 0 {
            self.losses.remove(host);
        } else {
            self.losses.insert(host.to_owned(), percent);
        }
    }

    /// Makes the switch drop exactly these frames, in one transaction.
    pub(crate) fn apply(&self, lab: &str) -> anyhow::Result<()> {
        let lan = netns(lab, LAN);
        run("ip", &["netns", "exec", &lan, "nft", "-f", "-"], &self.ruleset())
            .map(drop)
            .context("set faults of the LAN")
    }

    fn ruleset(&self) -> String {
        // Declared first, so that deleting it works the first time too.
        let mut rules = format!("table {TABLE}\ndelete table {TABLE}\n");
        if self.lan_is_whole() {
            return rules;
        }
        let mut rule =
            |text: fmt::Arguments<'_>| writeln!(rules, "{text}").expect("writing to a string cannot fail");
        rule(format_args!("table {TABLE} {{\nchain forward {{\ntype filter hook forward priority 0;"));
        for (a, b) in &self.partitions {
            rule(format_args!("iifname \"{a}\" oifname \"{b}\" drop"));
            rule(format_args!("iifname \"{b}\" oifname \"{a}\" drop"));
        }
        for (host, percent) in &self.losses {
            // `numgen` has no number below which all hundred are.
            let chance =
                if *percent < 100 { format!("numgen random mod 100 < {percent} ") } else { String::new() };
            for direction in ["iifname", "oifname"] {
                rule(format_args!("{direction} \"{host}\" {chance}drop"));
            }
        }
        rule(format_args!("}}\n}}"));
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::Faults;

    #[test]
    fn a_partition_drops_both_ways_and_is_one_whatever_the_order() {
        let mut faults = Faults::default();
        faults.partition("worker1", "client");
        faults.partition("client", "worker1");
        assert_eq!(faults.partitions.len(), 1);
        let rules = faults.ruleset();
        assert!(rules.contains("iifname \"client\" oifname \"worker1\" drop"), "{rules}");
        assert!(rules.contains("iifname \"worker1\" oifname \"client\" drop"), "{rules}");
    }

    #[test]
    fn no_loss_ends_a_loss_and_no_fault_leaves_no_table() {
        let mut faults = Faults::default();
        faults.lose("worker1", 30);
        assert!(faults.ruleset().contains("oifname \"worker1\" numgen random mod 100 < 30 drop"));
        faults.lose("worker1", 100);
        assert!(faults.ruleset().contains("oifname \"worker1\" drop"));
        faults.lose("worker1", 0);
        assert!(faults.lan_is_whole());
        assert!(!faults.ruleset().contains("chain"));
    }
}
