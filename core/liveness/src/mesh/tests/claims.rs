//! What speakers own: versions, pages, questions, and epochs.

use super::*;
use crate::ASK_SPACING;
use ferrolb_wire::mesh::{ClaimsPage, PAGE_ENTRIES_MAX};

fn owned(count: u32) -> BTreeMap<IpAddr, Epoch> {
    (0..count).map(|index| (IpAddr::V4((0x0a00_0000 + index).into()), Epoch(u64::from(index)))).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn page(version: u64, (page, pages): (u16, u16), entries: &[(&str, u64)]) -> Body {
    let entries = entries.iter().map(|(address, epoch)| (ip(address), Epoch(*epoch))).collect();
    Body::Claims(ClaimsPage { version, page, pages, entries })
}

/// node2 says `body` in incarnation 7.
fn says(mesh: &mut Mesh, body: Body, sequence: u64, now: Instant) -> Result<Kind, Rejected> {
    deliver(mesh, &datagram(body, 7, sequence), now)
}

fn claims_of_node2(mesh: &Mesh) -> Option<Vec<(IpAddr, u64)>> {
    let claims = mesh.claims();
    let claims = claims.get(&"node2".into())?;
    Some(claims.iter().map(|(address, epoch)| (*address, epoch.0)).collect())
}

#[test]
fn a_change_is_sent_at_once_in_pages_and_stands_in_every_heartbeat() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    transmits(&mut mesh);
    mesh.set_claims(owned(100), at(10)).unwrap();
    let pages: Vec<_> = sent(&mut mesh).into_iter().map(|(_, datagram)| datagram.body).collect();
    let mut told = BTreeMap::new();
    for (index, body) in pages.into_iter().enumerate() {
        let Body::Claims(page) = body else { panic!("{body:?}") };
        assert_eq!((page.version, usize::from(page.page), page.pages), (1, index, 3));
        told.extend(page.entries);
    }
    assert_eq!(told, owned(100));
    mesh.set_claims(owned(100), at(20)).unwrap();
    assert_eq!(transmits(&mut mesh), [], "the same again is no change");
    mesh.handle_timeout(at(50));
    assert_eq!(sent(&mut mesh)[0].1.body, beat(1));
    mesh.set_claims(owned(0), at(60)).unwrap();
    assert_eq!(sent(&mut mesh)[0].1.body, page(2, (0, 1), &[]));
}

#[test]
fn claims_of_a_quiet_speaker_go_out_when_it_starts() {
    let mut mesh = watching_node2();
    mesh.set_claims(owned(1), at(0)).unwrap();
    mesh.handle_timeout(at(0));
    assert_eq!(transmits(&mut mesh), [(address("node2"), Kind::Ask, 0)]);
    mesh.start(at(10));
    let kinds: Vec<Kind> = transmits(&mut mesh).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Heartbeat, Kind::Claims]);
}

#[test]
fn more_addresses_than_the_bound_change_nothing() {
    let mut mesh = watching_node2();
    let count = u32::try_from(CLAIMS_MAX).unwrap();
    assert_eq!(mesh.set_claims(owned(count + 1), at(0)), Err(TooManyClaims(CLAIMS_MAX + 1)));
    assert_eq!(mesh.claims.version(), 0);
    mesh.set_claims(owned(count), at(0)).unwrap();
}

#[test]
fn pages_go_in_rows_so_that_heartbeats_keep_their_time() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    transmits(&mut mesh);
    mesh.set_claims(owned(u32::try_from(PAGE_ENTRIES_MAX * 300).unwrap()), at(1)).unwrap();
    assert_eq!(transmits(&mut mesh).len(), 128);
    assert_eq!(mesh.poll_timeout(), Some((at(1) + PAGE_SPACING, Timer::Claims)));
    mesh.handle_timeout(at(3));
    assert_eq!(transmits(&mut mesh).len(), 128);
    mesh.handle_timeout(at(5));
    assert_eq!(transmits(&mut mesh).len(), 44);
    assert_eq!(mesh.poll_timeout(), Some((at(50), Timer::Heartbeat)));
}

#[test]
fn a_version_counts_when_its_last_page_is_there() {
    let mut mesh = watching_node2();
    says(&mut mesh, beat(1), 1, at(0)).unwrap();
    assert!(!mesh.is_settled(), "it is not known what node2 owns");
    says(&mut mesh, page(1, (1, 2), &[("2001:db8::1", 4)]), 1, at(1)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![]));
    events(&mut mesh);
    let revision = mesh.revision();
    says(&mut mesh, page(1, (0, 2), &[("192.0.2.240", 9)]), 1, at(2)).unwrap();
    assert_eq!(events(&mut mesh), [Event::ClaimsChanged("node2".into())]);
    assert!(mesh.is_settled() && mesh.revision() > revision);
    let both = vec![(ip("192.0.2.240"), 9), (ip("2001:db8::1"), 4)];
    assert_eq!(claims_of_node2(&mesh), Some(both.clone()));
    let again = says(&mut mesh, page(1, (0, 2), &[("192.0.2.240", 9)]), 1, at(3));
    assert_eq!(again, Err(Rejected::Duplicate), "as by a second address");

    says(&mut mesh, page(2, (0, 1), &[]), 1, at(4)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![]));
    assert_eq!(says(&mut mesh, page(1, (0, 1), &[]), 1, at(5)), Err(Rejected::Duplicate), "an older version");
    says(&mut mesh, beat(1), 2, at(6)).unwrap();
    assert!(mesh.is_settled(), "a straggling heartbeat does not bring an older version back");
}

#[test]
fn a_heartbeat_from_before_the_first_claims_that_comes_late_does_not_complete_them() {
    let mut mesh = watching_node2();
    says(&mut mesh, page(1, (0, 2), &[("192.0.2.240", 9)]), 1, at(0)).unwrap();
    says(&mut mesh, beat(0), 1, at(1)).unwrap();
    assert!(!mesh.is_settled());
    says(&mut mesh, page(1, (1, 2), &[]), 1, at(2)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.240"), 9)]));
}

#[test]
fn a_page_that_is_missing_is_asked_for_until_it_is_there() {
    let mut mesh = watching_node2();
    says(&mut mesh, beat(5), 1, at(0)).unwrap();
    transmits(&mut mesh);
    let mut asked = Vec::new();
    for (sequence, ms) in (2..).zip((10..310).step_by(10)) {
        says(&mut mesh, beat(5), sequence, at(ms)).unwrap();
        asked.extend(sent(&mut mesh).into_iter().map(|(_, datagram)| (ms, datagram.body)));
    }
    let spacing = u64::try_from(ASK_SPACING.as_millis()).unwrap();
    let expected: Vec<_> = (1..=6).map(|nth| (nth * spacing, Body::Ask { version: 0 })).collect();
    assert_eq!(asked, expected);
    says(&mut mesh, page(5, (0, 1), &[]), 40, at(310)).unwrap();
    says(&mut mesh, beat(5), 50, at(400)).unwrap();
    assert_eq!(sent(&mut mesh), []);
}

#[test]
fn a_peer_that_does_not_hear_that_it_is_asked_is_not_waited_for_for_ever() {
    let mut mesh = watching_node2();
    says(&mut mesh, page(1, (0, 1), &[("192.0.2.240", 9)]), 1, at(0)).unwrap();
    // The pages of its next versions are lost.
    let mut settled_after = Vec::new();
    for (beats, ms) in (1..).zip((10..2_000).step_by(35)) {
        let revision = mesh.revision();
        let was_settled = mesh.is_settled();
        says(&mut mesh, beat(2 + beats / 8), beats + 1, at(ms)).unwrap();
        assert!(was_settled == mesh.is_settled() || mesh.revision() > revision);
        settled_after.extend(mesh.is_settled().then_some(ms));
    }
    let first = *settled_after.first().expect("it is deaf");
    assert!((3 * 255..3 * 400).contains(&first), "{first}");
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.240"), 9)]), "by what it said last");
    says(&mut mesh, page(9, (0, 2), &[]), 1, at(2_000)).unwrap();
    assert!(!mesh.is_settled(), "now it hears");
    says(&mut mesh, page(9, (1, 2), &[]), 1, at(2_001)).unwrap();
    assert_eq!((mesh.is_settled(), claims_of_node2(&mesh)), (true, Some(vec![])));
}

#[test]
fn who_asks_is_answered_but_not_as_often_as_a_recording_can_ask() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    mesh.set_claims(owned(1), at(0)).unwrap();
    heartbeat(&mut mesh, 7, 1, at(10)).unwrap();
    transmits(&mut mesh);
    let mut answers = 0;
    for ms in 50..150 {
        says(&mut mesh, Body::Ask { version: 0 }, 1, at(ms)).unwrap();
        mesh.handle_timeout(at(ms));
        answers += transmits(&mut mesh).iter().filter(|(_, kind, _)| *kind == Kind::Claims).count();
    }
    assert_eq!(answers, 4, "one in 25 ms");
    says(&mut mesh, Body::Ask { version: 1 }, 1, at(200)).unwrap();
    assert_eq!(transmits(&mut mesh), [], "it has them");
}

#[test]
fn a_peer_that_has_just_started_is_told_what_we_own() {
    let mut mesh = watching_node2();
    mesh.start(at(0));
    mesh.set_claims(owned(1), at(0)).unwrap();
    transmits(&mut mesh);
    let hello = Datagram { echo: 0, ..datagram(Body::Ask { version: 0 }, 7, 0) };
    assert_eq!(deliver(&mut mesh, &hello, at(10)), Err(Rejected::Unconfirmed));
    let kinds: Vec<Kind> = transmits(&mut mesh).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Heartbeat, Kind::Claims]);
}

/// node2 owns 192.0.2.240 under epoch 9, in version 1.
fn with_claims() -> Mesh {
    let mut mesh = watching_node2();
    says(&mut mesh, page(1, (0, 1), &[("192.0.2.240", 9)]), 0, at(0)).unwrap();
    says(&mut mesh, beat(1), 1, at(0)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.240"), 9)]));
    mesh
}

#[test]
fn a_death_drops_the_claims_and_leaves_the_epoch() {
    let mut mesh = with_claims();
    leave(&mut mesh, 7, 2, at(10)).unwrap();
    assert_eq!(mesh.claims(), BTreeMap::new());
    assert!(mesh.is_settled());
    assert_eq!(mesh.highest_epoch(ip("192.0.2.240")), Some(Epoch(9)));
    assert_eq!(mesh.highest_epochs(), [(ip("192.0.2.240"), Epoch(9))].into());
    mesh.set_claims([(ip("192.0.2.240"), Epoch(10))].into(), at(20)).unwrap();
    assert_eq!(mesh.highest_epoch(ip("192.0.2.240")), Some(Epoch(10)));
    let late = says(&mut mesh, page(2, (0, 1), &[("192.0.2.241", 1)]), 2, at(30));
    assert_eq!(late, Err(Rejected::Departed));
}

#[test]
fn a_stopped_process_returns_with_the_claims_it_had() {
    let mut mesh = with_claims();
    advance(&mut mesh, at(400));
    assert_eq!(mesh.claims(), BTreeMap::new());
    for (sequence, ms) in [(2, 5_000), (3, 5_050), (4, 5_100)] {
        advance(&mut mesh, at(ms));
        says(&mut mesh, beat(1), sequence, at(ms)).unwrap();
    }
    assert!(!mesh.is_settled(), "it is alive, and must be asked");
    assert!(transmits(&mut mesh).iter().any(|(_, kind, _)| *kind == Kind::Ask));
    says(&mut mesh, page(1, (0, 1), &[("192.0.2.240", 9)]), 4, at(5_101)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.240"), 9)]));
    assert!(mesh.is_settled());
}

#[test]
fn a_process_that_restarts_is_presumed_to_own_what_its_predecessor_did_until_it_says() {
    let mut mesh = with_claims();
    deliver(&mut mesh, &datagram(beat(0), 8, 1), at(100)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.240"), 9)]));
    assert!(mesh.is_settled());
    deliver(&mut mesh, &datagram(beat(1), 8, 2), at(150)).unwrap();
    assert!(!mesh.is_settled());
    assert_eq!(says(&mut mesh, page(7, (0, 1), &[]), 1, at(151)), Err(Rejected::Stale), "of the predecessor");
    deliver(&mut mesh, &datagram(page(1, (0, 1), &[("192.0.2.241", 1)]), 8, 2), at(152)).unwrap();
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.241"), 1)]));
    assert!(mesh.is_settled());
}

#[test]
fn a_leaving_speaker_is_no_candidate_and_owns_what_it_owns() {
    let mut mesh = with_claims();
    let leaving = |is_leaving| Body::Heartbeat(beat_of(1, is_leaving));
    events(&mut mesh);
    says(&mut mesh, leaving(true), 2, at(10)).unwrap();
    assert_eq!(events(&mut mesh), [Event::Leaving("node2".into())]);
    assert_eq!((names(&mesh.alive()), names(&mesh.leaving())), (vec![], vec!["node2"]));
    assert_eq!(claims_of_node2(&mesh), Some(vec![(ip("192.0.2.240"), 9)]));
    says(&mut mesh, leaving(false), 3, at(20)).unwrap();
    assert_eq!(events(&mut mesh), [Event::Staying("node2".into())]);
    assert_eq!((names(&mesh.alive()), names(&mesh.leaving())), (vec!["node2"], vec![]));

    mesh.start(at(30));
    transmits(&mut mesh);
    mesh.set_leaving(true, at(40));
    let Body::Heartbeat(heartbeat) = sent(&mut mesh)[0].1.body else { panic!("it is said at once") };
    assert!(heartbeat.is_leaving);
    assert_eq!((names(&mesh.alive()), names(&mesh.leaving())), (vec!["node2"], vec!["node1"]));
}
