use super::*;
use ferrolb_telemetry::clock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

const SINGLE_V4: Port = Port { is_multihop: false, family: IpFamily::V4 };
const MULTI_V4: Port = Port { is_multihop: true, family: IpFamily::V4 };
const SINGLE_V6: Port = Port { is_multihop: false, family: IpFamily::V6 };

/// Ports that the system gave out a moment ago, at an address that no other test takes them from.
fn config() -> BfdConfig {
    let bind_v4 = Ipv4Addr::new(127, 0, 0, 3);
    let taken = [(); 2].map(|()| UdpSocket::bind((bind_v4, 0)).unwrap());
    let [single_hop_port, multihop_port] = taken.map(|socket| socket.local_addr().unwrap().port());
    BfdConfig { bind_v4, bind_v6: Ipv6Addr::LOCALHOST, single_hop_port, multihop_port }
}

fn listeners(ports: &[Port]) -> Listeners {
    let mut listeners = Listeners::new(config());
    listeners.set_needed(&ports.iter().copied().collect(), clock::now());
    listeners
}

/// Waits for packets, and says what has come: the port, where from, where to, TTL and payload.
fn received(listeners: &mut Listeners) -> Vec<(Port, IpAddr, IpAddr, u8, Vec<u8>)> {
    let mut fds: Vec<_> = listeners.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    assert!(poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap() > 0, "a packet comes");
    drop(fds);
    let mut packets = Vec::new();
    let lost = listeners.receive(clock::now(), |port, packet| {
        assert_ne!(packet.interface, 0);
        packets.push((port, packet.peer, packet.local, packet.ttl, packet.payload.to_vec()));
    });
    assert_eq!(lost, 0);
    packets
}

#[test]
fn a_packet_comes_with_its_addresses_and_its_ttl() {
    let mut listeners = listeners(&[SINGLE_V4, MULTI_V4]);
    let peer = UdpSocket::bind("127.0.0.4:0").unwrap();
    for (port, ttl) in [(SINGLE_V4, 255), (MULTI_V4, 17)] {
        peer.set_ttl(ttl.into()).unwrap();
        peer.send_to(b"a", listeners.address(port)).unwrap();
        let addresses = [[127, 0, 0, 4], [127, 0, 0, 3]].map(IpAddr::from);
        assert_eq!(received(&mut listeners), [(port, addresses[0], addresses[1], ttl, b"a".to_vec())]);
    }
}

#[test]
fn over_ipv6_it_does_too() {
    let mut listeners = listeners(&[SINGLE_V6]);
    if !listeners.is_open(SINGLE_V6) {
        println!("this host lacks IPv6: {:?}", listeners.error(SINGLE_V6));
        return;
    }
    let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
    let peer = UdpSocket::bind((loopback, 0)).unwrap();
    socket2::SockRef::from(&peer).set_unicast_hops_v6(254).unwrap();
    peer.send_to(b"a", listeners.address(SINGLE_V6)).unwrap();
    assert_eq!(received(&mut listeners), [(SINGLE_V6, loopback, loopback, 254, b"a".to_vec())]);
}

#[test]
fn a_port_that_another_has_is_told_and_opened_once_it_is_free() {
    let needed = BTreeSet::from([SINGLE_V4]);
    let mut listeners = Listeners::new(config());
    let address = listeners.address(SINGLE_V4);
    let occupant = UdpSocket::bind(address).unwrap();
    let start = clock::now();
    listeners.set_needed(&needed, start);
    let expected = SessionError::Listen { address, source: Errno::EADDRINUSE };
    assert_eq!(listeners.error(SINGLE_V4), Some(expected));
    let due = listeners.next_retry().unwrap();
    assert_eq!(due, start + Duration::from_millis(100));
    drop(occupant);
    listeners.set_needed(&needed, due - Duration::from_millis(1));
    assert!(!listeners.is_open(SINGLE_V4), "not before it is due");
    listeners.set_needed(&needed, due);
    assert!(listeners.is_open(SINGLE_V4));
    assert_eq!((listeners.error(SINGLE_V4), listeners.next_retry()), (None, None));
}

#[test]
fn nobody_listens_where_no_session_needs_it() {
    let mut listeners = listeners(&[SINGLE_V4, MULTI_V4]);
    UdpSocket::bind(listeners.address(SINGLE_V4)).unwrap_err();
    listeners.set_needed(&BTreeSet::from([MULTI_V4]), clock::now());
    UdpSocket::bind(listeners.address(SINGLE_V4)).expect("the port is free");
    listeners.set_needed(&BTreeSet::new(), clock::now());
    UdpSocket::bind(listeners.address(MULTI_V4)).expect("the port is free");
    assert_eq!(listeners.fds().count(), 0);
}

#[test]
fn a_lost_socket_is_counted_once_and_opened_again() {
    let needed = BTreeSet::from([SINGLE_V4]);
    let mut listeners = listeners(&[SINGLE_V4]);
    // A descriptor that is no socket, as the loss of one.
    let Some(Listener::Open(socket)) = listeners.ports.get_mut(&SINGLE_V4) else { panic!("it is open") };
    let mut fd = OwnedFd::from(socket.try_clone().unwrap());
    nix::unistd::dup2(File::open("/dev/null").unwrap(), &mut fd).unwrap();
    *socket = fd.into();
    let now = clock::now();
    assert_eq!(listeners.receive(now, |_, _| panic!("nothing comes")), 1);
    assert_eq!(listeners.receive(now, |_, _| panic!("nothing comes")), 0);
    assert!(matches!(listeners.error(SINGLE_V4), Some(SessionError::Listen { source: Errno::ENOTSOCK, .. })));
    listeners.set_needed(&needed, listeners.next_retry().unwrap());
    assert!(listeners.is_open(SINGLE_V4));
}
