use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::{addresses_and_routes, create_host, create_lan, remove_port};
use crate::config::LabConfig;
use crate::faults::Faults;
use crate::hosts::{Host, LAN, hosts, netns};
use crate::netns::{self as namespaces, within};

/// A network without a cluster, removed when the test ends, however it ends.
struct Network {
    lab: String,
    hosts: Vec<Host>,
}

impl Network {
    /// None, with a line that says so, without root.
    fn create(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let config =
            LabConfig { name: format!("t{}{test}", std::process::id()), nodes: 2, ..LabConfig::default() };
        let network = Self { lab: config.name.clone(), hosts: hosts(&config).unwrap() };
        create_lan(&network.lab).unwrap();
        for host in &network.hosts {
            create_host(&network.lab, host, &network.hosts).unwrap();
        }
        Some(network)
    }

    fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap()
    }

    fn hears_again(&self, from: &str, to: &str) {
        // Neighbour discovery that failed meanwhile is tried once a second.
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.hears(from, to) != [true, true] {
            assert!(Instant::now() < deadline, "{to} does not hear {from} again");
        }
    }

    /// Whether a datagram from one host reaches the other, in each family.
    fn hears(&self, from: &str, to: &str) -> Vec<bool> {
        let (from, to) = (self.host(from), self.host(to));
        to.ips().into_iter().map(|ip| datagram_arrives(from, to, ip)).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            namespaces::delete(&host.netns).unwrap();
        }
        namespaces::delete(&netns(&self.lab, LAN)).unwrap();
    }
}

fn datagram_arrives(from: &Host, to: &Host, ip: IpAddr) -> bool {
    let receiver = within(&to.netns, || UdpSocket::bind(SocketAddr::new(ip, 0))).unwrap().unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let address = receiver.local_addr().unwrap();
    let any = if ip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sender = within(&from.netns, || UdpSocket::bind(any)).unwrap().unwrap();
    sender.send_to(b"x", address).unwrap();
    match receiver.recv(&mut [0]) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("receive on {address}: {error}"),
    }
}

#[test]
fn a_node_routes_to_the_pods_of_the_others_only() {
    let hosts = hosts(&LabConfig::default()).unwrap();
    let batch = addresses_and_routes(&hosts[1], &hosts);
    assert!(batch.contains("route add 10.233.64.0/24 via 192.168.100.200\n"), "{batch}");
    assert!(batch.contains("route add fd00:233:64:2::/64 via fd00:100::202\n"), "{batch}");
    assert!(batch.contains("route add default via fd00:100::1\n"), "{batch}");
    assert!(!batch.contains("10.233.65.0"), "{batch}");
    let client = addresses_and_routes(&hosts[3], &hosts);
    assert!(!client.contains("10.233"), "{client}");
}

#[test]
fn hosts_hear_each_other_until_they_are_cut_off() {
    let Some(network) = Network::create("cut") else { return };
    assert_eq!(network.hears("client", "worker1"), [true, true]);

    let mut faults = Faults::default();
    faults.partition("worker1", "client");
    faults.apply(&network.lab).unwrap();
    assert_eq!(network.hears("client", "worker1"), [false, false]);
    assert_eq!(network.hears("worker1", "client"), [false, false]);
    assert_eq!(network.hears("master", "worker1"), [true, true]);

    faults.heal();
    faults.lose("master", 100);
    faults.apply(&network.lab).unwrap();
    network.hears_again("client", "worker1");
    assert_eq!(network.hears("client", "master"), [false, false]);

    faults.heal();
    faults.apply(&network.lab).unwrap();
    network.hears_again("client", "master");
}

#[test]
fn a_host_comes_back_under_its_old_address() {
    let Some(network) = Network::create("back") else { return };
    let worker = network.host("worker1");
    remove_port(&network.lab, worker).unwrap();
    namespaces::delete(&worker.netns).unwrap();
    create_host(&network.lab, worker, &network.hosts).unwrap();
    // The client still has the MAC address of before in its neighbour table.
    assert_eq!(network.hears("client", "worker1"), [true, true]);
}
