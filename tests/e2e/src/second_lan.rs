//! A second segment: a switch that nodes and client are plugged into with another interface, `eth1`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::Cluster;

const BRIDGE: &str = "switch2";

/// The second segment, 192.168.101.0/24 and fd00:101::/64, with the hosts' last numbers of the
/// first. It is gone with this value.
#[derive(Debug)]
pub struct SecondLan<'a> {
    cluster: &'a Cluster,
}

impl Cluster {
    /// Plugs every node and the client into a second switch.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn second_lan(&self) -> SecondLan<'_> {
        let lan = SecondLan { cluster: self };
        // Of a run that was killed.
        lan.remove();
        let mut switch = format!(
            "link add name {BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n\
             link set dev {BRIDGE} up\n"
        );
        for (name, netns) in self.stations() {
            writeln!(
                switch,
                "link add name {name}-2 type veth peer name eth1 netns {netns}\n\
                 link set dev {name}-2 master {BRIDGE} up"
            )
            .expect("a String takes text");
        }
        ip(&lan.netns(), &switch).expect("the second switch is there");
        for host in self.lab.hosts() {
            let Some(netns) = self.stations().find_map(|(name, netns)| (name == host.name).then_some(netns))
            else {
                continue;
            };
            let mut batch = String::from("link set dev eth1 up\n");
            for (address, length) in &host.addresses {
                let second = address.to_string().replacen("100.", "101.", 1).replacen("100:", "101:", 1);
                let flags = if address.is_ipv6() { " nodad" } else { "" };
                writeln!(batch, "address add {second}/{length} dev eth1{flags}")
                    .expect("a String takes text");
            }
            ip(netns, &batch).expect("the host takes its addresses");
        }
        lan
    }

    /// Name and namespace of each node and of the client.
    fn stations(&self) -> impl Iterator<Item = (&str, &str)> {
        let hosts = self.lab.hosts().iter().filter(|host| host.is_node() || host.name == "client");
        hosts.map(|host| (host.name.as_str(), host.netns.as_str()))
    }
}

impl SecondLan<'_> {
    fn netns(&self) -> String {
        format!("{}-lan", self.cluster.lab.name())
    }

    fn remove(&self) {
        let ports = self.cluster.stations().map(|(name, _)| format!("{name}-2"));
        for link in ports.chain([BRIDGE.to_owned()]) {
            // What is not there needs no removing.
            drop(ip(&self.netns(), &format!("link del dev {link}\n")));
        }
    }
}

impl Drop for SecondLan<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Runs commands of `ip` in a namespace.
fn ip(netns: &str, batch: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(["-n", netns, "-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(batch.as_bytes()).map_err(|error| error.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{error}{batch}")) }
}
