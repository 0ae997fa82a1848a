use super::*;
use crate::speaker::inspect::tests::session::Session;
use ferrolb_bgp::{ConnectionId, Direction, LinkBandwidth, Peer, State};
use ferrolb_peering::inspection::ANSWER_MAX;
use ferrolb_peering::recording::Recorder;
use ferrolb_telemetry::clock;
use ferrolb_vocab::{Community, LargeCommunity};
use ferrolb_wire::bgp::{Cease, Family, Notification};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A peer that is given what a dump says that another was given.
#[derive(Default)]
struct Replay {
    peer: Option<Peer>,
    connections: BTreeMap<String, ConnectionId>,
    /// What it did and became that the dump has not said yet.
    did: VecDeque<Happened>,
    became: VecDeque<Happened>,
}

impl Replay {
    /// Plays all lines until that time, and finds that the peer does what the dump says that the other did.
    fn of(dump: &str, until: Instant) -> Peer {
        let mut lines = dump.lines();
        let head: Head = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!((head.format, head.lost), (FORMAT, 0));
        let mut replay = Self::default();
        for line in lines {
            let Line { monotonic_nanos, peer, what, .. } = serde_json::from_str(line).unwrap();
            assert_eq!(peer.as_deref(), Some("metallb-system/tor"));
            let now = Instant::from_origin(Duration::from_nanos(monotonic_nanos));
            if now <= until {
                replay.play(what, now);
            }
        }
        assert!(replay.did.is_empty() && replay.became.is_empty(), "{:?} {:?}", replay.did, replay.became);
        replay.peer.expect("the dump begins with the peer")
    }

    fn play(&mut self, what: Happened, now: Instant) {
        match what {
            Happened::Created { seed, config } => {
                let seed = u64::from_str_radix(&seed, 16).unwrap();
                self.peer = Some(Peer::new(config.config(), seed));
            }
            Happened::Connects { .. }
            | Happened::Sends { .. }
            | Happened::Closes { .. }
            | Happened::Aborts { .. } => assert_eq!(self.did.pop_front(), Some(what)),
            Happened::Became { .. } => assert_eq!(self.became.pop_front(), Some(what)),
            Happened::Bfd { .. } | Happened::Speaker { .. } => panic!("{what:?} is none of the driver's"),
            Happened::Routes(_)
            | Happened::Complete
            | Happened::GracefulShutdown { .. }
            | Happened::Configured { .. }
            | Happened::Path { .. }
            | Happened::Started { .. }
            | Happened::Stopped { .. }
            | Happened::Connected { .. }
            | Happened::ConnectFailed { .. }
            | Happened::Closed { .. }
            | Happened::GivenUp { .. }
            | Happened::Resumed { .. }
            | Happened::Received { .. }
            | Happened::Written { .. }
            | Happened::TimedOut => self.give(what, now),
        }
    }

    fn give(&mut self, given: Happened, now: Instant) {
        let peer = self.peer.as_mut().expect("it was created first");
        let connection = |id: &String| self.connections[id];
        match given {
            Happened::Routes(routes) => peer.rib_out_mut().set_wanted(&routes.read()),
            Happened::Complete => peer.rib_out_mut().complete(),
            Happened::GracefulShutdown { is_shutting_down } => {
                peer.rib_out_mut().set_graceful_shutdown(is_shutting_down);
            }
            Happened::Configured { config } => {
                peer.set_config(config.config(), now);
            }
            Happened::Path { state } => {
                assert_eq!(state, "adminDown");
                peer.set_bfd(BfdState::AdminDown, now);
            }
            Happened::Started { has_restarted } => {
                assert!(has_restarted);
                peer.start_restarted(now);
                peer.flush(now);
            }
            Happened::Connected { connection: id, direction, local, remote } => {
                assert_eq!(direction, "outgoing");
                let [local, remote] = [local, remote].map(|end| end.parse().unwrap());
                peer.handle_connected(connection(&id), Direction::Outgoing, local, remote, now);
            }
            Happened::Closed { connection: id } => peer.handle_closed(connection(&id), now),
            Happened::Received { connection: id, octets } => {
                peer.handle_octets(connection(&id), &octets_of(&octets), now);
            }
            Happened::Written { connection: id } => peer.handle_writable(connection(&id), now),
            Happened::TimedOut => peer.handle_timeout(now),
            Happened::Created { .. }
            | Happened::GivenUp { .. }
            | Happened::Resumed { .. }
            | Happened::Stopped { .. }
            | Happened::ConnectFailed { .. }
            | Happened::Connects { .. }
            | Happened::Sends { .. }
            | Happened::Closes { .. }
            | Happened::Aborts { .. }
            | Happened::Became { .. }
            | Happened::Bfd { .. }
            | Happened::Speaker { .. } => panic!("{given:?} is not given to this session"),
        }
        while let Some(transmit) = peer.poll_transmit() {
            if let Transmit::Connect { id } = transmit {
                self.connections.insert(id.to_string(), id);
            }
            self.did.push_back(Happened::of_transmit(&transmit));
        }
        while let Some(event) = peer.poll_event() {
            self.became.push_back(Happened::of_bgp(&BgpStep::Became(Box::new(event))));
        }
    }
}

impl RoutesLine {
    /// The table that it was made of.
    fn read(self) -> BTreeMap<IpPrefix, Arc<Route>> {
        let mut table = BTreeMap::new();
        for line in self.table.expect("the table is wanted still") {
            let route = Arc::new(Route {
                local_pref: line.local_pref,
                communities: line.communities.iter().map(|text| text.parse::<Community>().unwrap()).collect(),
                large_communities: line
                    .large_communities
                    .iter()
                    .map(|text| text.parse::<LargeCommunity>().unwrap())
                    .collect(),
                link_bandwidth: line.link_bandwidth.map(|(weight, is_transitive)| LinkBandwidth {
                    weight: NonZeroU32::new(weight).unwrap(),
                    transitivity: if is_transitive {
                        Transitivity::Transitive
                    } else {
                        Transitivity::NonTransitive
                    },
                }),
            });
            let prefixes = line.prefixes.iter().map(|prefix| prefix.parse().unwrap());
            table.extend(prefixes.map(|prefix: IpPrefix| (prefix, Arc::clone(&route))));
        }
        assert_eq!(table.len(), self.count);
        table
    }
}

fn octets_of(digits: &str) -> Vec<u8> {
    let octet = |index| u8::from_str_radix(&digits[index..index + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(octet).collect()
}

fn dump(session: &Session) -> String {
    let recording = session.bgp.handle.inspector().recorder().recording();
    lines(&recording, (clock::now(), Timestamp::now()), ANSWER_MAX)
}

#[tokio::test]
async fn a_dump_of_a_session_that_is_played_again_ends_in_the_same_state() {
    let session = Session::establish().await;
    let live = session.comes_to(|_any| true).await;
    assert_eq!((live.session.routes.reachable, live.session.received.update), (1, 2));
    let replayed = Replay::of(&dump(&session), live.at);
    assert_eq!(replayed.status(live.at), live.session);
    let advertised: Vec<_> = replayed.rib_out().advertised(Family::Ipv4Unicast).collect();
    let wanted: Vec<_> = session.wanted.routes.iter().map(|(prefix, route)| (*prefix, &**route)).collect();
    assert_eq!(advertised, wanted);
}

#[tokio::test]
async fn the_end_of_a_session_and_when_the_next_is_tried_are_played_again_too() {
    let mut session = Session::establish().await;
    let cease = Notification::cease(Cease::AdministrativeShutdown, Some("the router is replaced"));
    session.router.write_all(&cease.emit()).await.unwrap();
    let live = session.comes_to(|status| status.last_received.is_some()).await;
    let replayed = Replay::of(&dump(&session), live.at);
    assert_eq!(replayed.status(live.at), live.session);
    assert!(live.session.state != State::Established && live.session.next_attempt.is_some());
}

#[test]
fn what_has_no_room_is_left_out_from_the_oldest_on_and_counted() {
    let recorder = Recorder::default();
    let at = |seconds| Instant::from_origin(Duration::from_secs(seconds));
    for second in 0..3 {
        let text = format!("number {second}").into();
        recorder.note(at(second), What::Speaker { kind: "test", text });
    }
    let now = (at(5), "2026-11-20T20:00:05Z".parse().unwrap());
    let recording = recorder.recording();
    let all = lines(&recording, now, ANSWER_MAX);
    let expected = [
        format!("{{\"format\":1,\"version\":\"{VERSION}\",\"lost\":0}}"),
        line(0, "2026-11-20T20:00:00Z"),
        line(1, "2026-11-20T20:00:01Z"),
        line(2, "2026-11-20T20:00:02Z"),
    ];
    assert_eq!(all.lines().collect::<Vec<_>>(), expected);
    let room = HEAD_MAX + 2 * (expected[3].len() + 1);
    let some = lines(&recording, now, room);
    assert!(some.len() <= room && some.contains("\"lost\":1}"), "{some}");
    assert_eq!(some.lines().skip(1).collect::<Vec<_>>(), expected[2..]);
    assert_eq!(lines(&recording, now, 0).lines().count(), 1, "there is a head in any case");
}

fn line(second: u64, wall: &str) -> String {
    let nanos = second * 1_000_000_000;
    format!(
        "{{\"monotonicNanos\":{nanos},\"wall\":\"{wall}\",\"what\":\"speaker\",\"kind\":\"test\",\
         \"text\":\"number {second}\"}}"
    )
}

#[test]
fn octets_are_hexadecimal_digits() {
    assert_eq!(hexadecimal(&[0x00, 0x0f, 0xf0, 0xff]), "000ff0ff");
    assert_eq!(octets_of("000ff0ff"), [0x00, 0x0f, 0xf0, 0xff]);
}
