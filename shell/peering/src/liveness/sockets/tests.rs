use super::*;
use crate::wake::{self, Waker};
use std::fs::File;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

fn loopback_sockets() -> (Sockets, Waker, SocketAddr) {
    let (waker, wakened) = wake::pair().unwrap();
    // Not the address that other sockets of these tests take their ports from.
    let loopback = IpAddr::from([127, 0, 0, 2]);
    // Some free port: the one the system gave out a moment ago.
    let port = UdpSocket::bind((loopback, 0)).unwrap().local_addr().unwrap().port();
    let sockets = Sockets::open(&[loopback], port, wakened).unwrap();
    (sockets, waker, (loopback, port).into())
}

fn received(sockets: &mut Sockets, now: Instant) -> (u64, Vec<Vec<u8>>) {
    let mut packets = Vec::new();
    let received = sockets.receive(now, |_, octets| packets.push(octets.to_vec()));
    (received.lost, packets)
}

/// Makes the socket's descriptor something that is no socket, as the loss of a socket.
fn break_socket(port: &mut Port) {
    let PortState::Open(socket) = &port.state else { panic!("the socket is open") };
    let mut fd = OwnedFd::from(socket.try_clone().unwrap());
    nix::unistd::dup2(File::open("/dev/null").unwrap(), &mut fd).unwrap();
    port.state = PortState::Open(fd.into());
}

#[test]
fn a_lost_socket_is_counted_and_opened_again() {
    let (mut sockets, _waker, address) = loopback_sockets();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let start = clock::now();

    break_socket(&mut sockets.ports[0]);
    assert_eq!(received(&mut sockets, start).0, 1);
    assert!(matches!(sockets.send(peer.local_addr().unwrap(), b"a"), Err(SendError::Lost)));
    assert_eq!(received(&mut sockets, start).0, 0, "lost once, and not due yet");

    assert_eq!(received(&mut sockets, start + REOPEN_INTERVAL).0, 0);
    peer.send_to(b"hello", address).unwrap();
    sockets.wait(Some(clock::now() + Duration::from_secs(10)));
    assert_eq!(received(&mut sockets, start + REOPEN_INTERVAL).1, [b"hello"]);
    sockets.send(peer.local_addr().unwrap(), b"b").unwrap();
}

#[test]
fn a_socket_that_cannot_be_opened_yet_is_tried_again() {
    let (mut sockets, _waker, address) = loopback_sockets();
    let start = clock::now();
    break_socket(&mut sockets.ports[0]);
    received(&mut sockets, start);
    let occupant = UdpSocket::bind(address).unwrap();
    received(&mut sockets, start + REOPEN_INTERVAL);
    assert!(matches!(sockets.ports[0].state, PortState::Lost { .. }));
    drop(occupant);
    received(&mut sockets, start + 2 * REOPEN_INTERVAL);
    assert!(matches!(sockets.ports[0].state, PortState::Open(_)));
}

#[test]
fn a_longer_packet_than_any_datagram_shows_as_longer() {
    let (mut sockets, _waker, address) = loopback_sockets();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(&[1; DATAGRAM_MAX * 3], address).unwrap();
    sockets.wait(Some(clock::now() + Duration::from_secs(10)));
    assert_eq!(received(&mut sockets, clock::now()).1, [vec![1; DATAGRAM_MAX + 1]]);
}

#[test]
fn both_families_share_a_port_and_each_packet_takes_its_own() {
    let (_waker, wakened) = wake::pair().unwrap();
    let any = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut sockets = Sockets::open(&any, port, wakened).unwrap();
    let loopbacks = [IpAddr::from([127, 0, 0, 1]), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let families = sockets.families();
    assert!(families.contains(&IpFamily::V4));
    for loopback in loopbacks.into_iter().filter(|loopback| families.contains(&IpFamily::of(*loopback))) {
        sockets.send((loopback, port).into(), b"hello").unwrap();
        sockets.wait(Some(clock::now() + Duration::from_secs(10)));
        let mut sources = Vec::new();
        sockets.receive(clock::now(), |src, _| sources.push(src));
        assert_eq!(sources, [SocketAddr::new(loopback, port)]);
    }
}

#[test]
fn what_nobody_listens_to_comes_back_in_both_families_and_hinders_no_other() {
    for loopback in [IpAddr::from([127, 0, 0, 2]), Ipv6Addr::LOCALHOST.into()] {
        let (_waker, wakened) = wake::pair().unwrap();
        let free_port = || UdpSocket::bind((loopback, 0)).unwrap().local_addr().unwrap().port();
        let Ok(mut sockets) = Sockets::open(&[loopback], free_port(), wakened) else {
            assert!(loopback.is_ipv6(), "this host lacks IPv6");
            continue;
        };
        let listener = UdpSocket::bind((loopback, 0)).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let gone = SocketAddr::new(loopback, free_port());
        for _ in 0..3 {
            sockets.send(gone, b"is anybody there").unwrap();
            sockets.send(listener.local_addr().unwrap(), b"for you").unwrap();
            let mut buffer = [0; 16];
            assert_eq!(listener.recv(&mut buffer).unwrap(), 7);
        }
        let Received { lost, refused } = sockets.receive(clock::now(), |_, _| {});
        assert_eq!((lost, refused.len()), (0, 3));
        for Refusal { dst, returned } in refused {
            assert_eq!((dst, returned), (gone, b"is anybody there".to_vec()));
        }
        let asleep = clock::now();
        sockets.wait(Some(asleep + Duration::from_millis(20)));
        assert!(clock::now() >= asleep + Duration::from_millis(20), "an empty queue wakes nobody");
    }
}

#[test]
fn sleeps_are_rounded_up_and_bounded() {
    let millis = |sleep| u32::try_from(poll_timeout(sleep)).unwrap();
    assert_eq!(millis(Duration::ZERO), 0);
    assert_eq!(millis(Duration::from_micros(1)), 1);
    assert_eq!(millis(Duration::from_micros(1_001)), 2);
    assert_eq!(millis(Duration::MAX), 60_000);
}

#[test]
fn no_address_is_an_error() {
    let (_waker, wakened) = wake::pair().unwrap();
    assert!(matches!(Sockets::open(&[], 7_000, wakened), Err(SpawnError::NoAddress)));
}
