//! The network of a lab: one switch, and every host plugged into it.
//!
//! The switch is a bridge in a namespace of its own, so nothing of the lab touches the machine's
//! interfaces and its addresses may be the same as the machine's.

use std::fmt::Write;
use std::net::IpAddr;

use anyhow::Context;

use crate::hosts::{Host, LAN, Role, netns};
use crate::netns::{self as namespaces, set_sysctls};
use crate::program::run;

const BRIDGE: &str = "switch";

/// Creates the switch.
pub(crate) fn create_lan(lab: &str) -> anyhow::Result<()> {
    let lan = netns(lab, LAN);
    namespaces::create(&lan)?;
    // A switch does not look into packets: no netfilter hooks, no snooping, no waiting ports.
    let hooks = ["iptables", "ip6tables", "arptables"];
    let batch = format!(
        "link add name {BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n\
         link set dev {BRIDGE} up\n"
    );
    run("ip", &["-n", &lan, "-batch", "-"], &batch).context("create the lab's switch")?;
    let values: Vec<_> = hooks.iter().map(|hook| (format!("bridge/bridge-nf-call-{hook}"), "0")).collect();
    let supported = namespaces::within(&lan, || std::path::Path::new("/proc/sys/net/bridge").exists())?;
    if supported { set_sysctls(&lan, &values) } else { Ok(()) }
}

/// Creates a host's namespace, plugs it into the switch and configures its addresses and routes.
pub(crate) fn create_host(lab: &str, host: &Host, all: &[Host]) -> anyhow::Result<()> {
    let create = || {
        namespaces::create(&host.netns)?;
        set_sysctls(&host.netns, &sysctls(host.role))?;
        let lan = netns(lab, LAN);
        run("ip", &["-n", &lan, "-batch", "-"], &port(host))?;
        run("ip", &["-n", &host.netns, "-batch", "-"], &addresses_and_routes(host, all))
    };
    create().map(drop).with_context(|| format!("create host {}", host.name))
}

/// Pulls the cable: the host's own interface loses its carrier before anything else happens to it.
pub(crate) fn unplug(lab: &str, host: &Host) -> anyhow::Result<()> {
    let lan = netns(lab, LAN);
    run("ip", &["-n", &lan, "link", "set", "dev", &host.name, "down"], "").map(drop)
}

/// Removes a host's port from the switch, and with it the host's interface.
pub(crate) fn remove_port(lab: &str, host: &Host) -> anyhow::Result<()> {
    let lan = netns(lab, LAN);
    run("ip", &["-n", &lan, "link", "del", "dev", &host.name], "").map(drop)
}

fn port(host: &Host) -> String {
    let Host { name, netns, mac, .. } = host;
    format!(
        "link add name {name} type veth peer name eth0 address {mac} netns {netns}\n\
         link set dev {name} master {BRIDGE} up\n"
    )
}

/// Settings of a host, before its interface exists: `default` is what the interface starts with.
fn sysctls(role: Role) -> Vec<(String, &'static str)> {
    let mut values = Vec::new();
    let forwards = match role {
        Role::Node { .. } | Role::Router => "1",
        Role::Client => "0",
    };
    values.push(("ipv4/ip_forward".to_owned(), forwards));
    if role == Role::Router {
        // One of several equal paths for each connection, not for each pair of hosts.
        for family in ["ipv4", "ipv6"] {
            values.push((format!("{family}/fib_multipath_hash_policy"), "1"));
        }
    }
    if matches!(role, Role::Node { .. }) {
        // A first segment that arrives before kube-proxy has the Service passes untranslated, and connection
        // tracking would remember that for two minutes: whoever draws the same port again gets no answer.
        values.push(("netfilter/nf_conntrack_tcp_timeout_syn_sent".to_owned(), "3"));
    }
    for scope in ["all", "default"] {
        // Return paths of Service traffic are asymmetric by design.
        values.push((format!("ipv4/conf/{scope}/rp_filter"), "0"));
        values.push((format!("ipv6/conf/{scope}/disable_ipv6"), "0"));
        values.push((format!("ipv6/conf/{scope}/forwarding"), forwards));
        values.push((format!("ipv6/conf/{scope}/accept_ra"), "0"));
        // The router is on the hosts' LAN: whom it sent past itself would follow its routes no more.
        for family in ["ipv4", "ipv6"] {
            values.push((format!("{family}/conf/{scope}/accept_redirects"), "0"));
        }
        // The lab's addresses are unique: no second of waiting before each is usable.
        values.push((format!("ipv6/conf/{scope}/accept_dad"), "0"));
    }
    values
}

fn addresses_and_routes(host: &Host, all: &[Host]) -> String {
    let mut batch = String::from("link set dev lo up\nlink set dev eth0 up\n");
    for (address, length) in &host.addresses {
        let flags = if address.is_ipv6() { " nodad" } else { "" };
        line(&mut batch, format_args!("address add {address}/{length} dev eth0{flags}"));
    }
    for gateway in &host.gateways {
        line(&mut batch, format_args!("route add default via {gateway}"));
    }
    if host.is_node() {
        for other in all.iter().filter(|other| other.name != host.name) {
            for prefix in &other.pod_prefixes {
                let same_family = |ip: &IpAddr| ip.is_ipv4() == prefix.address().is_ipv4();
                if let Some(via) = other.ips().into_iter().find(same_family) {
                    line(&mut batch, format_args!("route add {prefix} via {via}"));
                }
            }
        }
    }
    batch
}

fn line(batch: &mut String, command: std::fmt::Arguments<'_>) {
    writeln!(batch, "{command}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests;
