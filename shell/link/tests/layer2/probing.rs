//! Addresses that another host has, or takes: probes, and the defence.

use super::*;
use ferrolb_l2::{Conflict, Event};

async fn next_event(driver: &mut L2Driver) -> Event {
    let event = timeout(Duration::from_secs(10), driver.events.recv()).await.expect("an event in time");
    event.expect("the driver runs")
}

/// What is told of the peer that has `address`.
fn conflict(address: &str, mac: &str, interface: &str) -> Conflict {
    let mac = mac.parse().expect("a MAC in a test parses");
    Conflict { address: ip(address), mac, node: None, interface: interface.into() }
}

fn is_link_local_ready(links: &watch::Receiver<Vec<Link>>) -> bool {
    let is_eth0 = |link: &&Link| link.name.as_str() == "eth0";
    let own = links.borrow().iter().find(is_eth0).map(|link| link.addresses.clone()).unwrap_or_default();
    own.iter().any(|own| own.address == ip("fe80::ff:fe00:501"))
}

/// Whether the speaker asks who has `address` without having one itself, in a line of `tcpdump`.
fn is_probe(line: &str, address: &str) -> bool {
    let is_arp = line.contains(&format!("who-has {address} tell 0.0.0.0"));
    let is_ndp = line.contains(&format!(":: > {V6_GROUP}: ICMP6, neighbor solicitation"))
        && line.contains(&format!("who has {address}"));
    is_from_speaker(line) && (is_arp || is_ndp)
}

/// Whether the speaker tells everyone that it has `address`.
fn is_announcement(line: &str, address: &str) -> bool {
    let is_arp = line.contains(&format!("who-has {address} tell {address}"));
    let is_ndp = line.contains(&format!("{address} > ff02::1: ICMP6, neighbor advertisement"));
    is_from_speaker(line) && (is_arp || is_ndp)
}

fn is_from_speaker(line: &str) -> bool {
    line.contains(&format!("{SPEAKER_MAC} > "))
}

/// A driver that can speak IPv6 at once.
async fn ready_driver() -> (L2Driver, Registry) {
    let links = follow().await.expect("netlink works");
    eventually("there is a link-local address", async || is_link_local_ready(&links)).await;
    driver_on(links)
}

#[test]
fn a_free_address_is_probed_for_three_times_and_then_announced() {
    let Some(net) = Net::new() else { return };
    if !has("tcpdump") {
        return;
    }
    net.run(async || {
        let (driver, registry) = ready_driver().await;
        let mut capture = net.capture("eth0").await;
        for address in [V4, V6] {
            let start = Instant::now();
            announce(&driver, address, &["eth0"], Start::Probe).await;
            let mut probes = 0;
            let is_either = |line: &str| is_probe(line, address) || is_announcement(line, address);
            while is_probe(&capture.next("a probe or an announcement", is_either).await, address) {
                probes += 1;
            }
            assert_eq!(probes, 3, "{address}");
            let took = start.elapsed();
            assert!(took < Duration::from_millis(1500), "{address} was announced after {took:?}");
            resolves(&net, address).await;
        }
        for protocol in ["arp", "ndp"] {
            let probes = format!("ferrolb_l2_probes_total{{interface=\"eth0\",protocol=\"{protocol}\"}}");
            assert_eq!(metric(&registry, &probes), 3);
        }
        assert_eq!(metric(&registry, "ferrolb_l2_occupied_addresses"), 0);
    });
}

#[test]
fn an_address_that_a_host_has_is_told_and_announced_when_it_is_free() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (mut driver, registry) = ready_driver().await;
        for (address, length) in [(V4, 24), (V6, 64)] {
            net.on_peer(&format!("ip address add {address}/{length} dev eth0 nodad")).await;
            announce(&driver, address, &["eth0"], Start::Probe).await;
            let occupied = conflict(address, PEER_MAC, "eth0");
            assert_eq!(next_event(&mut driver).await, Event::Occupied(occupied.clone()));
            let status = driver.handle.status();
            assert_eq!(status.borrow().occupied, [occupied]);
            assert_eq!(status.borrow().unproven, [(ip(address), "eth0".into())].into());
            assert!(status.borrow().is_up(), "that is no failure of ours");
            assert_eq!(metric(&registry, "ferrolb_l2_occupied_addresses"), 1);
            let kind = if address == V4 { "arp-announcement" } else { "unsolicited-advertisement" };
            let announcements =
                format!("ferrolb_l2_announcements_total{{interface=\"eth0\",kind=\"{kind}\"}}");
            assert_eq!(metric(&registry, &announcements), 0);

            net.on_peer(&format!("ip address del {address}/{length} dev eth0")).await;
            let free = Event::Free { address: ip(address), interface: "eth0".into() };
            assert_eq!(next_event(&mut driver).await, free);
            assert_eq!(status.borrow().occupied, []);
            assert!(status.borrow().unproven.is_empty());
            eventually("it is announced", async || metric(&registry, &announcements) > 0).await;
            resolves(&net, address).await;
        }
    });
}

#[test]
fn an_interface_that_comes_late_is_probed_on() {
    let Some(net) = Net::new() else { return };
    net.run(async || {
        let (mut driver, _registry) = driver().await;
        for address in [V4, V6] {
            announce(&driver, address, &["eth1"], Start::Probe).await;
        }
        net.cable("eth1", "02:00:00:00:05:11", "02:00:00:00:05:21", "");
        net.on_peer(&format!("ip address add {V4}/24 dev eth1")).await;
        net.plug("eth1");
        let occupied = conflict(V4, "02:00:00:00:05:21", "eth1");
        assert_eq!(next_event(&mut driver).await, Event::Occupied(occupied));
        eventually("its group is joined", async || groups("eth1").await.contains(V6_GROUP)).await;
        net.on_peer(&format!("ip address del {V4}/24 dev eth1")).await;
        assert!(matches!(next_event(&mut driver).await, Event::Free { .. }));
    });
}

#[test]
fn another_stations_claim_is_told_and_defended() {
    let Some(net) = Net::new() else { return };
    if !has("arping") || !has("ndisc6") || !has("tcpdump") {
        return;
    }
    net.run(async || {
        let (mut driver, registry) = ready_driver().await;
        driver.handle.set_fellows(BTreeMap::new()).await.expect("the driver runs");
        announce_both(&driver, &["eth0"]).await;
        resolves(&net, V4).await;
        resolves(&net, V6).await;
        let last = "ferrolb_l2_announcements_total{interface=\"eth0\",kind=\"unsolicited-advertisement\"}";
        eventually("the burst is over", async || metric(&registry, last) == 6).await;

        net.on_peer(&format!("ip address add {V6}/64 dev eth0 nodad")).await;
        let claims = [
            (V4, "arp", format!("arping -U -c 1 -i eth0 -S {V4} {V4}")),
            (V6, "ndp", format!("ndisc6 -q -1 -r 1 -s {V6} 2001:db8::1 eth0")),
        ];
        for (address, protocol, claim) in claims {
            let mut capture = net.capture("eth0").await;
            net.on_peer(&claim).await;
            let event = next_event(&mut driver).await;
            assert_eq!(event, Event::Conflict(conflict(address, PEER_MAC, "eth0")));
            capture.next("the defence", |line| is_announcement(line, address)).await;
            let count = |name: &str| {
                metric(&registry, &format!("{name}{{interface=\"eth0\",protocol=\"{protocol}\"}}"))
            };
            assert!(count("ferrolb_l2_conflicts_total") >= 1);
            assert_eq!(count("ferrolb_l2_defences_total"), 1);
        }
    });
}
