//! UPDATEs go when the connection can take them, KEEPALIVEs whenever they are due.

use super::*;
use crate::peer::sending::UPDATE_INTERVAL;
use std::format;

#[test]
fn a_session_begins_with_all_that_is_wanted_and_end_of_rib_when_that_is_all() {
    let (mut peer, id) = open_confirm(config(), &open());
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.rib_out_mut().announce(prefix("2001:db8::50/128"), &route());
    assert_eq!(tell(&mut peer, id, &keepalive(), at(30)), [(id, Did::Update), (id, Did::Update)]);
    let status = peer.status(at(30));
    assert_eq!((status.ipv4.advertised, status.ipv6.advertised, status.sent.update), (1, 1, 2));
    peer.rib_out_mut().complete();
    peer.flush(at(40));
    assert_eq!(did(&mut peer), [Did::Update, Did::Update], "End-of-RIB, for each family");
}

#[test]
fn without_routes_there_is_still_an_end_of_rib_for_each_family() {
    let (mut peer, id) = open_confirm(config(), &open());
    peer.rib_out_mut().complete();
    peer.handle_octets(id, &keepalive(), at(30));
    let Some(Transmit::Send { octets, .. }) = peer.poll_transmit() else { panic!() };
    assert_eq!(octets.len(), 23 + 29);
}

#[test]
fn updates_wait_until_the_connection_can_take_them_and_then_say_what_is_wanted_then() {
    let (mut peer, id) = established(config(), &open());
    let wanted = [prefix("192.0.2.50/32"), prefix("192.0.2.51/32"), prefix("192.0.2.52/32")];
    peer.rib_out_mut().announce(wanted[0], &route());
    peer.flush(at(40));
    assert_eq!(did(&mut peer), [Did::Update]);
    for (when, prefix) in [(50, wanted[1]), (60, wanted[2])] {
        peer.rib_out_mut().announce(prefix, &route());
        peer.flush(at(when));
    }
    peer.rib_out_mut().withdraw(wanted[1]);
    peer.flush(at(70));
    assert_eq!(did(&mut peer), [], "nothing before the first is written");
    peer.handle_writable(id, at(80));
    assert_eq!(did(&mut peer), [Did::Update], "one for all, and nothing of what has come and gone");
    assert_eq!(peer.status(at(80)).ipv4.advertised, 2);
}

/// An IPv4 prefix by its number.
fn numbered(number: u32) -> IpPrefix {
    let address = core::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
    IpPrefix::containing(address.into(), 32).unwrap()
}

/// As a driver whose sockets take everything: how many UPDATEs go.
fn write(peer: &mut Peer, id: ConnectionId, now: Instant) -> usize {
    let mut updates = 0;
    loop {
        let did = did(peer);
        if did.is_empty() {
            return updates;
        }
        updates += did.iter().filter(|did| **did == Did::Update).count();
        peer.handle_writable(id, now);
    }
}

#[test]
fn a_burst_of_a_thousand_changes_is_one_update_at_once_and_two_packed_ones() {
    let (mut peer, id) = established(config(), &open());
    let begun = at(1_000);
    let mut updates = Vec::new();
    for number in 0..1_000 {
        let now = begun + Duration::from_micros(5) * number;
        peer.rib_out_mut().announce(numbered(number), &route());
        peer.flush(now);
        updates.push(write(&mut peer, id, now));
    }
    let sent: usize = updates.iter().sum();
    assert_eq!((updates[0], sent), (1, 1), "the first waits for nobody");
    let due = begun + UPDATE_INTERVAL;
    assert_eq!(peer.poll_timeout(), Some((due, Timer::Update)));
    peer.handle_timeout(due);
    // 999 prefixes of five octets each.
    assert_eq!(write(&mut peer, id, due), 2);
    assert_eq!(peer.status(due).ipv4.advertised, 1_000);
}

#[test]
fn a_stream_of_changes_is_an_update_in_5_ms_and_no_change_waits_longer() {
    let (mut peer, id) = established(config(), &open());
    let begun = at(1_000);
    let mut waits_since = None;
    let mut updates = 0;
    for number in 0..1_000 {
        let now = begun + Duration::from_millis(1) * number;
        while let Some((due, Timer::Update)) = peer.poll_timeout().filter(|(due, _)| *due <= now) {
            peer.handle_timeout(due);
            updates += write(&mut peer, id, due);
            assert!(due.saturating_since(waits_since.take().unwrap()) <= UPDATE_INTERVAL);
        }
        peer.rib_out_mut().announce(numbered(number), &route());
        peer.flush(now);
        updates += write(&mut peer, id, now);
        if peer.status(now).ipv4.pending > 0 {
            waits_since.get_or_insert(now);
        }
    }
    let (due, timer) = peer.poll_timeout().unwrap();
    assert_eq!(timer, Timer::Update, "the last ones wait");
    assert!(due.saturating_since(waits_since.unwrap()) <= UPDATE_INTERVAL);
    assert!((190..=201).contains(&updates), "{updates} UPDATEs in a second");
}

#[test]
fn a_withdrawal_waits_for_no_announcement_and_takes_none_with_it() {
    let (mut peer, id) = established(config(), &open());
    for number in 0..2 {
        peer.rib_out_mut().announce(numbered(number), &route());
    }
    peer.flush(at(1_000));
    assert_eq!(write(&mut peer, id, at(1_000)), 1);
    peer.rib_out_mut().announce(numbered(2), &route());
    peer.rib_out_mut().withdraw(numbered(0));
    peer.flush(at(1_001));
    assert_eq!(write(&mut peer, id, at(1_001)), 1);
    let told = peer.status(at(1_001)).ipv4;
    assert_eq!((told.advertised, told.pending), (1, 1), "one is withdrawn, the other waits");
    peer.rib_out_mut().withdraw(numbered(1));
    peer.flush(at(1_002));
    assert_eq!(write(&mut peer, id, at(1_002)), 1, "nor for another withdrawal");
    assert_eq!(peer.poll_timeout(), Some((at(1_005), Timer::Update)));
    peer.handle_timeout(at(1_005));
    assert_eq!(write(&mut peer, id, at(1_005)), 1);
    assert_eq!(peer.status(at(1_005)).ipv4.advertised, 1);
}

#[test]
fn the_batches_of_a_large_table_wait_for_the_connection_alone() {
    let (mut peer, id) = established(config(), &open());
    for number in 0..40_000 {
        peer.rib_out_mut().announce(numbered(number), &route());
    }
    peer.flush(at(1_000));
    assert!(write(&mut peer, id, at(1_000)) > 40);
    assert_eq!(peer.status(at(1_000)).ipv4.advertised, 40_000);
}

#[test]
fn a_connection_that_is_busy_has_what_waits_when_it_can_take_it() {
    let (mut peer, id) = established(config(), &open());
    peer.rib_out_mut().announce(numbered(0), &route());
    peer.flush(at(1_000));
    assert_eq!(did(&mut peer), [Did::Update]);
    peer.rib_out_mut().announce(numbered(1), &route());
    peer.flush(at(1_001));
    peer.handle_timeout(at(1_005));
    assert_eq!(did(&mut peer), [], "the first is not written yet");
    assert_ne!(peer.poll_timeout().unwrap().1, Timer::Update, "there is nothing to wait for but that");
    peer.handle_writable(id, at(1_007));
    assert_eq!(did(&mut peer), [Did::Update]);
}

#[test]
fn a_keepalive_overtakes_updates_that_wait() {
    let (mut peer, id) = established(config(), &open());
    let mut wanted = BTreeMap::new();
    for index in 0..40_000_u32 {
        let address = core::net::Ipv4Addr::from_bits(0x0a00_0000 + index);
        wanted.insert(IpPrefix::containing(address.into(), 32).unwrap(), route());
    }
    peer.rib_out_mut().set_wanted(&wanted);
    peer.flush(at(40));
    let sent: usize = core::iter::from_fn(|| peer.poll_transmit())
        .map(|transmit| if let Transmit::Send { octets, .. } = transmit { octets.len() } else { 0 })
        .sum();
    assert!((65_536 - 4_096..65_536 + 4_096).contains(&sent), "{sent} octets of 200,000");
    // The peer reads slowly, and sends a full table of its own meanwhile.
    let flood: Vec<u8> =
        (0..100).flat_map(|last| update(&format!("198.51.100.{last}/32"), &[64_513])).collect();
    for second in 1..40 {
        assert_eq!(tell_unwritten(&mut peer, id, &flood, at(second * 1_000)), []);
    }
    peer.handle_timeout(at(40_000));
    assert_eq!(did(&mut peer), [Did::Keepalive]);
    assert_eq!(peer.status(at(40_000)).routes.reachable, 3_900);
    peer.handle_writable(id, at(41_000));
    assert!(did(&mut peer).iter().all(|did| *did == Did::Update));
}

/// The other side sends, and nothing is written.
fn tell_unwritten(peer: &mut Peer, id: ConnectionId, octets: &[u8], now: Instant) -> Vec<Did> {
    peer.handle_octets(id, octets, now);
    did(peer)
}

#[test]
fn an_update_puts_off_the_next_keepalive() {
    let (mut peer, id) = established(config(), &open());
    let (before, _) = peer.poll_timeout().unwrap();
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.flush(at(20_000));
    did(&mut peer);
    peer.handle_writable(id, at(20_000));
    let (after, timer) = peer.poll_timeout().unwrap();
    assert!(timer == Timer::Keepalive && after > before && after >= at(20_000 + 22_500));
}

#[test]
fn each_session_is_told_everything_anew() {
    let (mut peer, id) = established(config(), &open());
    peer.rib_out_mut().announce(prefix("192.0.2.50/32"), &route());
    peer.flush(at(40));
    did(&mut peer);
    peer.handle_closed(id, at(50));
    let lost = peer.status(at(50));
    assert_eq!((lost.ipv4.advertised, lost.ipv4.wanted, lost.negotiated), (0, 1, None));
    peer.flush(at(60));
    assert_eq!(did(&mut peer), [], "nobody is there");
    let when = first(&mut peer, Did::Connect, at(5_000)).unwrap();
    let id = peer.attempt.unwrap().id;
    connect(&mut peer, id, when);
    tell(&mut peer, id, &open().emit(), when);
    assert_eq!(tell(&mut peer, id, &keepalive(), when).len(), 3, "the route, and two End-of-RIBs");
    let status = peer.status(when);
    assert_eq!((status.ipv4.advertised, status.established, status.attempts), (1, 2, 2));
}

#[test]
fn the_status_tells_what_happened() {
    let (mut peer, id) = established(config(), &open());
    peer.set_bfd(BfdState::Up, at(35));
    tell(&mut peer, id, &update("198.51.100.1/32", &[64_513]), at(40));
    let status = peer.status(at(50));
    let counts =
        |open, update, keepalive| MessageCounts { open, update, keepalive, ..MessageCounts::default() };
    // Two End-of-RIBs.
    assert_eq!((status.received, status.sent), (counts(1, 1, 1), counts(1, 2, 1)));
    assert_eq!((status.state, status.since), (State::Established, Some(at(30))));
    assert_eq!((status.addresses, status.bfd), (Some([local(), remote()]), BfdState::Up));
    assert_eq!((status.last_lost, status.last_sent, status.last_received), (None, None, None));
    assert_eq!((status.attempts, status.established, status.failures), (1, 1, 0));
    peer.stop(Stop::Reset, at(60));
    let status = peer.status(at(60));
    let notification = Notification::cease(Cease::AdministrativeReset, None);
    assert_eq!(status.last_sent, Some(Told { at: at(60), notification }));
    assert_eq!(status.last_lost.map(|lost| lost.reason), Some(Reason::Stopped(Stop::Reset)));
    assert_eq!((status.sent.notification, status.since, status.failures), (1, Some(at(60)), 1));
    assert!(status.next_attempt.is_some_and(|wait| wait <= SECOND), "{:?}", status.next_attempt);
}
