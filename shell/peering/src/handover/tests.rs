use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tokio::io::AsyncReadExt;

/// How a session is that is nothing special.
const WORDS: &str = "outgoing 127.0.0.1:179 - - 04fc00005a0a00000100 04fc0100b40a00000200 - - 1000 90000 \
                     30000 1,1 1,2,0,3,0 1,0,0,4,0 0,0,0,0,0 ipv4_unicast - 192.0.2.50/32";

fn name(test: &str) -> String {
    format!("ferrolb/test/{}/{test}", std::process::id())
}

fn estate() -> Estate {
    [("192.168.100.240".parse().unwrap(), Epoch(3)), ("fd00::1".parse().unwrap(), Epoch(u64::MAX))].into()
}

/// A speaker's word without a session.
fn owning(estate: Estate) -> Legacy {
    Legacy { estate, ..Legacy::default() }
}

/// A session, and the router's end of its connection.
fn session(peer: &str) -> (HandedOver, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let peer = ObjectName::new("metallb-system", peer);
    let handed_over = HandedOver { peer, resumption: WORDS.parse().unwrap(), stream };
    (handed_over, listener.accept().unwrap().0)
}

fn parse(answer: &str) -> Result<Legacy, HandoverError> {
    Answer { octets: answer.into(), connections: Vec::new() }.parse()
}

#[tokio::test]
async fn nobody_is_followed_where_nobody_is() {
    assert!(Predecessor::meet(&name("nobody")).unwrap().is_none());
}

#[tokio::test]
async fn a_successor_gets_what_the_predecessor_owns() {
    let name = name("follow");
    let mut handover = Handover::listen(&name).unwrap();
    let predecessor = Predecessor::meet(&name).unwrap().expect("it is there");
    let taken = tokio::spawn(predecessor.take());
    let successor = handover.asked().await;
    drop(handover);
    successor.give(owning(estate())).await.unwrap();
    assert_eq!(taken.await.unwrap().unwrap().estate, estate());
    assert!(Handover::listen(&name).is_ok(), "the name is free");
}

#[tokio::test]
async fn sessions_and_their_connections_go_over_in_their_order() {
    let name = name("sessions");
    let mut handover = Handover::listen(&name).unwrap();
    let taken = tokio::spawn(Predecessor::meet(&name).unwrap().expect("it is there").take());
    let successor = handover.asked().await;
    let peers = ["one", "two", "three"];
    let (bgp, routers): (Vec<_>, Vec<_>) = peers.map(session).into_iter().unzip();
    let bfd = vec!["this is for the driver".to_owned()];
    successor.give(Legacy { estate: estate(), bgp, bfd: bfd.clone() }).await.unwrap();

    let legacy = taken.await.unwrap().unwrap();
    assert_eq!((legacy.estate, legacy.bfd), (estate(), bfd));
    assert_eq!(legacy.bgp.iter().map(|session| session.peer.name.as_str()).collect::<Vec<_>>(), peers);
    for (mut session, mut router) in legacy.bgp.into_iter().zip(routers) {
        assert_eq!(session.resumption.to_string(), WORDS);
        session.stream.write_all(session.peer.name.as_bytes()).unwrap();
        drop(session.stream);
        let mut heard = String::new();
        router.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, session.peer.name, "nobody else has the connection");
    }
}

#[tokio::test]
async fn an_answer_may_be_longer_than_a_socket_holds() {
    let name = name("long");
    let mut handover = Handover::listen(&name).unwrap();
    let taken = tokio::spawn(Predecessor::meet(&name).unwrap().expect("it is there").take());
    let successor = handover.asked().await;
    let (mut large, _router) = session("large");
    large.resumption.unwritten = vec![0x42; 1 << 20];
    let address = |index: u32| (std::net::Ipv4Addr::from_bits(index).into(), Epoch(1));
    let estate: Estate = (0..65_536).map(address).collect();
    let legacy = Legacy { estate: estate.clone(), bgp: vec![large], bfd: Vec::new() };
    successor.give(legacy).await.unwrap();
    let legacy = taken.await.unwrap().unwrap();
    assert_eq!(legacy.estate, estate);
    assert_eq!(legacy.bgp[0].resumption.unwritten.len(), 1 << 20);
}

#[tokio::test]
async fn what_has_no_room_ends_and_the_others_go_over() {
    let name = name("room");
    let mut handover = Handover::listen(&name).unwrap();
    let taken = tokio::spawn(Predecessor::meet(&name).unwrap().expect("it is there").take());
    let successor = handover.asked().await;
    let ((mut large, mut large_router), (small, _small_router)) = (session("large"), session("small"));
    large.resumption.unwritten = vec![0; ANSWER_MAX / 2];
    successor.give(Legacy { bgp: vec![large, small], ..Legacy::default() }).await.unwrap();
    let legacy = taken.await.unwrap().unwrap();
    let [small] = &legacy.bgp[..] else { panic!("one has room") };
    assert_eq!(small.peer.name, "small");
    assert_eq!(large_router.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_successor_that_goes_away_is_forgotten_and_the_next_is_served() {
    let name = name("forgotten");
    let mut handover = Handover::listen(&name).unwrap();
    drop(Predecessor::meet(&name).unwrap());
    let next = Predecessor::meet(&name).unwrap().expect("it is there");
    let taken = tokio::spawn(next.take());
    handover.asked().await.give(Legacy::default()).await.unwrap();
    assert_eq!(taken.await.unwrap().unwrap().estate, Estate::new());
}

#[tokio::test]
async fn a_predecessor_knows_that_a_successor_gets_ready() {
    let name = name("expected");
    let mut handover = Handover::listen(&name).unwrap();
    assert!(!handover.is_expected());
    let _successor = Predecessor::meet(&name).unwrap();
    assert!(timeout(Duration::from_millis(50), handover.asked()).await.is_err());
    assert!(handover.is_expected());
}

#[tokio::test]
async fn a_predecessor_that_ends_while_asked_leaves_nothing_to_take() {
    let name = name("ends");
    let mut handover = Handover::listen(&name).unwrap();
    let predecessor = Predecessor::meet(&name).unwrap().expect("it is there");
    let taken = tokio::spawn(predecessor.take());
    let successor = handover.asked().await;
    drop(handover);
    drop(successor);
    assert!(matches!(taken.await.unwrap(), Err(HandoverError::NoAnswer | HandoverError::Socket(_))));
}

#[tokio::test]
async fn a_predecessor_of_the_first_version_is_asked_as_it_understands() {
    let name = name("first predecessor");
    let mut listener = Handover::listen(&name).unwrap().listener;
    let taken = tokio::spawn(Predecessor::meet(&name).unwrap().expect("it is there").take());
    let mut line = [0; 7];
    let mut stream = listener.accept().await;
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"take 2\n");
    // To it that is nothing.
    drop(stream);
    let mut stream = listener.accept().await;
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"take 1\n");
    stream.write_all(b"192.168.100.240 3\nfd00::1 18446744073709551615\n.\n").await.unwrap();
    drop(stream);
    assert_eq!(taken.await.unwrap().unwrap().estate, estate());
}

#[tokio::test]
async fn a_successor_of_the_first_version_is_told_addresses_after_the_sessions_have_ended() {
    let name = name("first successor");
    let mut handover = Handover::listen(&name).unwrap();
    let mut stream = Predecessor::meet(&name).unwrap().expect("it is there").stream;
    stream.write_all(b"take 1\n").await.unwrap();
    let (bgp, mut router) = session("tor");
    let legacy = Legacy { estate: estate(), bgp: vec![bgp], bfd: vec!["words".to_owned()] };
    handover.asked().await.give(legacy).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "192.168.100.240 3\nfd00::1 18446744073709551615\n.\n");
    assert_eq!(router.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_answer_that_was_cut_off_or_means_nothing_is_refused() {
    assert!(matches!(parse("10.0.0.1 3\n"), Err(HandoverError::NoAnswer)));
    assert!(matches!(parse(""), Err(HandoverError::NoAnswer)));
    for line in ["10.0.0.1 x", "10.0.0.1", "bgp", ""] {
        let refused = parse(&format!("{line}\n.\n"));
        assert!(matches!(refused, Err(HandoverError::Line(told)) if told == line), "{line}");
    }
    assert_eq!(parse(".\n").unwrap().estate, Estate::new());
}

#[test]
fn a_session_that_means_nothing_or_has_no_connection_is_no_reason_to_lose_the_rest() {
    for words in ["tor", "metallb-system/tor", "tor outgoing", &format!("metallb-system/tor {WORDS}")] {
        let legacy = parse(&format!("10.0.0.1 3\nbgp {words}\nbfd a b\n.\n")).unwrap();
        assert_eq!((legacy.estate.len(), legacy.bgp.len(), legacy.bfd.len()), (1, 0, 1), "{words}");
    }
}

#[test]
fn a_connection_that_could_not_be_taken_leaves_the_others_to_their_sessions() {
    let (other, _router) = session("two");
    let local = other.stream.local_addr().unwrap();
    let octets = format!("bgp metallb-system/one {WORDS}\nbgp metallb-system/two {WORDS}\n.\n").into();
    let legacy = Answer { octets, connections: vec![None, Some(other.stream.into())] }.parse().unwrap();
    let [two] = &legacy.bgp[..] else { panic!("one has its connection") };
    assert_eq!((two.peer.name.as_str(), two.stream.local_addr().unwrap()), ("two", local));
}

#[tokio::test]
async fn it_is_told_that_a_descriptor_came_which_this_process_has_no_room_for() {
    let (stream, other) = UnixStream::pair().unwrap();
    // More of them than there is room for where they come in, as if this process had none left: the kernel
    // says that it has left some out.
    let standard = io::stderr();
    let descriptors = [standard.as_fd(); 16];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
    control.push(rustix::net::SendAncillaryMessage::ScmRights(&descriptors));
    let octets = [io::IoSlice::new(b"line")];
    rustix::net::sendmsg(&stream, &octets, &mut control, rustix::net::SendFlags::empty()).unwrap();
    let (length, beside) = descriptors::receive(&other, &mut [0; 8]).await.unwrap();
    assert!(length == 4 && matches!(beside, Beside::Descriptor(None)), "{beside:?}");
}
