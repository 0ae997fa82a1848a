//! The driver against a real kernel: a peer in another network namespace resolves, updates and
//! loses the addresses announced here. Needs root, and says so where it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ferrolb_l2::{Intervals, Protocol, Start};
use ferrolb_link::{L2Driver, L2Metrics, follow};
use ferrolb_vocab::{InterfaceName, Link, LinkFlag};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use net::{Net, PEER_MAC, SPEAKER_MAC, eventually, has, must};

mod net;
mod probing;
mod routers;

const V4: &str = "192.0.2.50";
const V6: &str = "2001:db8::50";
const V6_GROUP: &str = "ff02::1:ff00:50";

/// A test cannot wait for half a minute until an occupied address is probed for again.
const INTERVALS: Intervals = Intervals { refresh: Duration::from_secs(60), reprobe: Duration::from_secs(1) };

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address in a test parses")
}

fn on(interfaces: &[&str]) -> BTreeSet<InterfaceName> {
    interfaces.iter().map(|interface| InterfaceName::from(*interface)).collect()
}

/// A driver on the interfaces of the namespace, with its metrics.
async fn driver() -> (L2Driver, Registry) {
    driver_on(follow().await.expect("netlink works"))
}

fn driver_on(links: watch::Receiver<Vec<Link>>) -> (L2Driver, Registry) {
    let mut registry = Registry::default();
    let driver = L2Driver::spawn(links, INTERVALS, L2Metrics::register(&mut registry));
    (driver, registry)
}

async fn announce_both(driver: &L2Driver, interfaces: &[&str]) {
    for address in [V4, V6] {
        announce(driver, address, interfaces, Start::TakeOver).await;
    }
}

async fn announce(driver: &L2Driver, address: &str, interfaces: &[&str], how: Start) {
    driver.handle.announce(ip(address), on(interfaces), how).await.expect("the driver runs");
}

/// Waits until the peer, asking anew, has `address` at the speaker's MAC.
async fn resolves(net: &Net, address: &str) {
    eventually(&format!("the peer resolves {address}"), async || {
        // An announcement heard while asking makes an entry that the kernel verifies only 5 s later.
        net.on_peer(&format!("ip neigh flush to {address}")).await;
        net.poke(address).await;
        let neighbour = net.neighbour(address).await;
        neighbour.contains(SPEAKER_MAC) && neighbour.contains("REACHABLE")
    })
    .await;
}

/// Waits until the peer, asking anew, has given up on every one of `addresses`.
async fn finds_nobody(net: &Net, addresses: &[&str]) {
    net.on_peer("ip neigh flush dev eth0").await;
    for address in addresses {
        net.poke(address).await;
    }
    for address in addresses {
        eventually(&format!("the peer finds nobody at {address}"), async || {
            net.neighbour(address).await.contains("FAILED")
        })
        .await;
    }
}

/// The IPv6 groups that the speaker's kernel is a member of on `interface`.
async fn groups(interface: &str) -> String {
    let mut command = tokio::process::Command::new("ip");
    command.args(["-6", "maddress", "show", "dev", interface]);
    let output = command.output().await.expect("ip is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn metric(registry: &Registry, series: &str) -> u64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).expect("metrics encode");
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0, |value| value.trim().parse().expect("a counter is a number"))
}

#[test]
fn a_peer_resolves_both_families_probes_them_and_loses_them_on_withdrawal() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, registry) = driver().await;
        announce_both(&driver, &["eth0"]).await;
        for address in [V4, V6] {
            // Linux enters no neighbour from an announcement alone: this is resolution.
            resolves(&net, address).await;
            // Neighbour Unreachability Detection: unicast requests that must be answered.
            net.on_peer(&format!("ip neigh change {address} dev eth0 nud probe")).await;
            eventually(&format!("the peer's probe of {address} is answered"), async || {
                net.neighbour(address).await.contains("REACHABLE")
            })
            .await;
        }
        if has("ndisc6") {
            assert!(net.succeeds_on_peer(&format!("ndisc6 -q -1 {V6} eth0")).await);
        }
        assert!(driver.handle.status().borrow().is_up());
        for protocol in ["arp", "ndp"] {
            let count = |name: &str| {
                metric(&registry, &format!("{name}{{interface=\"eth0\",protocol=\"{protocol}\"}}"))
            };
            assert!(count("ferrolb_l2_requests_total") >= 2, "{protocol}");
            assert_eq!(count("ferrolb_l2_requests_total"), count("ferrolb_l2_responses_total"));
        }

        for address in [V4, V6] {
            driver.handle.withdraw(ip(address)).await.expect("the driver runs");
        }
        eventually("the sockets are closed", async || driver.handle.status().borrow().listeners.is_empty())
            .await;
        finds_nobody(&net, &[V4, V6]).await;
    });
}

#[test]
fn a_stale_neighbour_is_updated_at_once_when_an_address_is_gained() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, registry) = driver().await;
        // The first address opens the sockets and waits for the link-local address.
        announce_both(&driver, &["eth0"]).await;
        resolves(&net, V4).await;
        resolves(&net, V6).await;
        for address in ["192.0.2.51", "2001:db8::51"] {
            net.mislead(address, "eth0").await;
            let start = Instant::now();
            announce(&driver, address, &["eth0"], Start::TakeOver).await;
            eventually(&format!("{address} moves to the speaker"), async || {
                net.neighbour(address).await.contains(SPEAKER_MAC)
            })
            .await;
            let took = start.elapsed();
            assert!(took < Duration::from_secs(1), "{address} moved only after {took:?}");
        }
        for kind in ["arp-announcement", "arp-announcement-reply", "unsolicited-advertisement"] {
            let series = format!("ferrolb_l2_announcements_total{{interface=\"eth0\",kind=\"{kind}\"}}");
            assert!(metric(&registry, &series) >= 2, "{kind}");
        }
        for reason in ["Congested", "ListenerDown", "SendFailed"] {
            let series = format!("ferrolb_l2_drops_total{{reason=\"{reason}\"}}");
            assert_eq!(metric(&registry, &series), 0, "{reason}: not even the first announcement is lost");
        }
    });
}

#[test]
fn duplicate_address_detection_of_the_peer_fails_for_an_announced_address() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, _registry) = driver().await;
        announce_both(&driver, &["eth0"]).await;
        resolves(&net, V6).await;
        net.on_peer("ip neigh flush dev eth0").await;
        net.on_peer(&format!("ip address add {V6}/64 dev eth0")).await;
        eventually("the kernel marks the address dadfailed", async || {
            net.on_peer("ip -6 address show dev eth0 dadfailed").await.contains(V6)
        })
        .await;
        if has("arping") {
            // RFC 5227 §2.1.1: a probe, whose sender IP address is zero.
            assert!(net.succeeds_on_peer(&format!("arping -0 -c 1 -w 2 -i eth0 {V4}")).await);
            assert!(!net.succeeds_on_peer("arping -0 -c 1 -w 1 -i eth0 192.0.2.77").await);
        }
    });
}

#[test]
fn an_interface_that_comes_late_and_comes_again_is_announced_on() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, _registry) = driver().await;
        announce_both(&driver, &["eth0", "eth1"]).await;
        resolves(&net, V4).await;
        for speaker_mac in ["02:00:00:00:05:11", "02:00:00:00:05:12"] {
            net.cable("eth1", speaker_mac, "02:00:00:00:05:21", "");
            for address in [V4, V6] {
                net.mislead(address, "eth1").await;
            }
            net.plug("eth1");
            for address in [V4, V6] {
                eventually(&format!("{address} moves to {speaker_mac} on eth1"), async || {
                    net.on_peer(&format!("ip neigh show to {address} dev eth1")).await.contains(speaker_mac)
                })
                .await;
            }
            assert!(groups("eth1").await.contains(V6_GROUP));
            must(&format!("ip -n {} link del eth1", net.speaker));
            eventually("what is left is up", async || {
                let status = driver.handle.status().borrow().clone();
                status.is_up() && status.listeners.keys().all(|(interface, _)| interface.as_str() == "eth0")
            })
            .await;
        }
        // A lost interface has not disturbed the other.
        net.on_peer("ip neigh flush dev eth0").await;
        resolves(&net, V4).await;
        resolves(&net, V6).await;
    });
}

#[test]
fn a_bridge_is_announced_on_like_any_interface() {
    const BRIDGE_MAC: &str = "02:00:00:00:05:31";
    const ON_BRIDGE: &str = "203.0.113.50";
    let Some(net) = Net::new() else { return };
    net.cable("port1", "02:00:00:00:05:11", "02:00:00:00:05:21", "");
    must(&format!("ip -n {} link add br0 address {BRIDGE_MAC} type bridge", net.speaker));
    must(&format!("ip -n {} link set port1 master br0 up", net.speaker));
    must(&format!("ip -n {} link set br0 up", net.speaker));
    must(&format!("ip -n {} address add 203.0.113.2/24 dev port1", net.peer));
    net.run(async || {
        let links = follow().await.expect("netlink works");
        let (driver, _registry) = driver_on(links.clone());
        announce(&driver, ON_BRIDGE, &["br0"], Start::Probe).await;
        eventually("the peer resolves the address", async || {
            net.poke(ON_BRIDGE).await;
            net.neighbour(ON_BRIDGE).await.contains(BRIDGE_MAC)
        })
        .await;
        // What keeps the plan from announcing on the port as well.
        let enslaved: Vec<_> =
            links.borrow().iter().filter(|link| link.is(LinkFlag::Enslaved)).cloned().collect();
        assert_eq!(enslaved.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["port1"]);
    });
}

#[test]
fn thousands_of_addresses_are_announced_and_withdrawn_together() {
    /// More than the driver's queue holds.
    const COUNT: u64 = 3000;
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, registry) = driver().await;
        announce_both(&driver, &["eth0"]).await;
        resolves(&net, V6).await;
        let before = groups("eth0").await;
        let addresses: Vec<_> = (0..COUNT).map(|host| ip(&format!("2001:db8::1:{host:x}"))).collect();
        let start = Instant::now();
        for address in &addresses {
            driver.handle.announce(*address, on(&["eth0"]), Start::TakeOver).await.expect("the driver runs");
        }
        let unsolicited =
            "ferrolb_l2_announcements_total{interface=\"eth0\",kind=\"unsolicited-advertisement\"}";
        eventually("all are announced", async || metric(&registry, unsolicited) > COUNT).await;
        assert!(start.elapsed() < Duration::from_secs(2), "that took {:?}", start.elapsed());
        assert!(driver.handle.status().borrow().is_up(), "{:?}", driver.handle.status().borrow());
        let joined = groups("eth0").await;
        assert!((0..COUNT).all(|host| joined.contains(&format!("ff02::1:ff01:{host:x}"))));
        resolves(&net, "2001:db8::1:bb7").await;
        for address in &addresses {
            driver.handle.withdraw(*address).await.expect("the driver runs");
        }
        eventually("their groups are left", async || groups("eth0").await == before).await;
        resolves(&net, V6).await;
    });
}

#[test]
fn a_socket_that_cannot_be_opened_is_reported_and_retried_and_disturbs_no_other() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        // The driver is told of an interface before there is one.
        let mut links = follow().await.expect("netlink works").borrow().clone();
        let mut ghost = links.iter().find(|link| link.name.as_str() == "eth0").expect("eth0 is up").clone();
        ghost.index = 999;
        ghost.name = "ghost0".into();
        ghost.mac = "02:00:00:00:05:31".parse().ok();
        ghost.flags.extend([LinkFlag::Up, LinkFlag::Carrier]);
        links.push(ghost);
        let (_links, links) = watch::channel(links);
        let (driver, _registry) = driver_on(links);
        announce_both(&driver, &["eth0", "ghost0"]).await;
        resolves(&net, V4).await;
        let listeners: BTreeMap<_, _> = driver.handle.status().borrow().listeners.clone();
        assert_eq!(listeners[&("eth0".into(), Protocol::Arp)], Ok(()));
        let error = listeners[&("ghost0".into(), Protocol::Arp)].clone().unwrap_err().to_string();
        assert!(error.starts_with("interface ghost0 with index 999 is gone"), "{error}");

        net.cable("ghost0", "02:00:00:00:05:31", "02:00:00:00:05:41", "index 999");
        net.mislead(V4, "ghost0").await;
        net.plug("ghost0");
        eventually("the retried socket announces again", async || {
            net.on_peer(&format!("ip neigh show to {V4} dev ghost0")).await.contains("02:00:00:00:05:31")
        })
        .await;
    });
}

#[test]
fn the_driver_ends_with_its_last_handle() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, _registry) = driver().await;
        announce_both(&driver, &["eth0"]).await;
        resolves(&net, V4).await;
        let second = driver.handle.clone();
        drop(driver.handle);
        assert!(second.announce(ip(V4), on(&["eth0"]), Start::TakeOver).await.is_ok());
        drop(second);
        timeout(Duration::from_secs(5), driver.task).await.expect("the task ends").expect("without a panic");
        finds_nobody(&net, &[V4]).await;
    });
}

#[test]
fn links_and_addresses_are_followed() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let links = follow().await.expect("netlink works");
        let eth0 = || links.borrow().iter().find(|link| link.name.as_str() == "eth0").cloned();
        let has_address =
            |text: &str| eth0().is_some_and(|link| link.addresses.iter().any(|own| own.address == ip(text)));
        let first = eth0().expect("eth0 was there before");
        assert_eq!(first.mac, SPEAKER_MAC.parse().ok());
        assert!(first.is(LinkFlag::Up) && first.is(LinkFlag::Broadcast) && !first.is(LinkFlag::Enslaved));
        assert!(has_address("192.0.2.1") && has_address("2001:db8::1"));
        eventually("the link-local address passes its detection", async || has_address("fe80::ff:fe00:501"))
            .await;

        let speaker = &net.speaker;
        must(&format!("ip -n {speaker} address add 192.0.2.9/24 dev eth0"));
        eventually("an address is added", async || has_address("192.0.2.9")).await;
        must(&format!("ip -n {speaker} address del 192.0.2.9/24 dev eth0"));
        eventually("an address is removed", async || !has_address("192.0.2.9")).await;

        must(&format!("ip -n {} link set eth0 down", net.peer));
        let has_carrier = || eth0().is_some_and(|link| link.is(LinkFlag::Carrier));
        eventually("the carrier is lost", async || !has_carrier()).await;
        must(&format!("ip -n {} link set eth0 up", net.peer));
        eventually("the carrier is back", async || has_carrier()).await;

        must(&format!("ip -n {speaker} link add br0 type bridge"));
        must(&format!("ip -n {speaker} link set eth0 master br0"));
        eventually("the bridge's port is enslaved", async || {
            eth0().is_some_and(|link| link.is(LinkFlag::Enslaved))
        })
        .await;
        must(&format!("ip -n {speaker} link del eth0"));
        eventually("the link is gone", async || eth0().is_none()).await;
    });
}

#[test]
fn what_was_asked_while_the_process_was_stopped_is_not_answered() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (driver, registry) = driver().await;
        announce(&driver, V4, &["eth0"], Start::TakeOver).await;
        resolves(&net, V4).await;
        net.on_peer("ip neigh flush dev eth0").await;
        let responses =
            || metric(&registry, "ferrolb_l2_responses_total{interface=\"eth0\",protocol=\"arp\"}");
        let before = responses();
        net.poke_while_stopped(V4);
        std::thread::sleep(Duration::from_millis(400));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(responses(), before, "another node may have taken the address over");
        assert!(metric(&registry, "ferrolb_l2_drops_total{reason=\"Stalled\"}") >= 1);
        resolves(&net, V4).await;
    });
}
