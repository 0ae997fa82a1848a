use std::net::Shutdown;

use ferrolb_wire::bgp::{Family, emit_end_of_rib, emit_withdrawn};

use super::*;

/// A connection over loopback, and the address of the receiver's end.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let contender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (contender, listener.accept().unwrap().0)
}

fn open() -> Vec<u8> {
    let capabilities =
        Capabilities { four_octet_asn: Some(Asn(crate::CONTENDER_ASN)), ..Capabilities::default() };
    let bgp_id = BgpId::from_ipv4(Ipv4Addr::LOCALHOST).unwrap();
    Open { asn: Asn(crate::CONTENDER_ASN), hold_time: 90, bgp_id, capabilities }.emit()
}

const COMMUNITY: Community = Community(0xfc00_0001);

/// An UPDATE with one route: ORIGIN, AS_PATH, NEXT_HOP, COMMUNITIES if it has one, and the prefix.
fn update(host: u8, community: Option<Community>) -> Vec<u8> {
    let mut attributes =
        [&[0x40, 1, 1, 0][..], &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00], &[0x40, 3, 4, 192, 0, 2, 1]].concat();
    if let Some(community) = community {
        attributes.extend([0xc0, 8, 4]);
        attributes.extend(community.0.to_be_bytes());
    }
    let mut body = vec![0, 0, 0, u8::try_from(attributes.len()).unwrap()];
    body.extend(attributes);
    body.extend([32, 10, 77, 0, host]);
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(19 + body.len()).unwrap().to_be_bytes());
    message.push(2);
    message.extend(body);
    message
}

#[test]
fn routes_are_counted_and_timed_from_keepalive_to_withdrawal() {
    let (mut contender, stream) = connection();
    let receiver = Receiver { shared: Arc::default(), acceptor: None };
    let session = thread::spawn({
        let shared = Arc::clone(&receiver.shared);
        move || serve(&shared, stream)
    });
    contender.write_all(&open()).unwrap();
    contender.write_all(&keepalive()).unwrap();
    let established = receiver.wait(1, 0).unwrap()[0];
    assert!(established.established.is_some() && established.last.is_none());
    contender.write_all(&update(1, None)).unwrap();
    contender.write_all(&update(2, None)).unwrap();
    let mut end_of_rib = Vec::new();
    emit_end_of_rib(Family::Ipv4Unicast, &mut end_of_rib);
    contender.write_all(&end_of_rib).unwrap();
    let told = receiver.wait(1, 2).unwrap()[0];
    assert!(told.established <= told.first && told.first <= told.last, "{told:?}");
    assert_eq!(told.updates, 2);
    receiver.forget_times();
    contender.write_all(&update(1, Some(COMMUNITY))).unwrap();
    contender.write_all(&update(2, Some(COMMUNITY))).unwrap();
    let marked = receiver.wait_marked(1, 2, COMMUNITY).unwrap()[0];
    assert!(marked.first >= told.last && marked.updates == 2, "{marked:?}");
    receiver.forget_times();
    let prefix: IpPrefix = "10.77.0.2/32".parse().unwrap();
    let mut withdrawal = Vec::new();
    emit_withdrawn(Family::Ipv4Unicast, &mut [prefix].into_iter().peekable(), &mut withdrawal);
    contender.write_all(&withdrawal).unwrap();
    let withdrawn = receiver.wait(1, 1).unwrap()[0];
    assert!(withdrawn.first >= marked.last && withdrawn.updates == 1, "{withdrawn:?}");
    contender.shutdown(Shutdown::Write).unwrap();
    session.join().unwrap();
    let error = receiver.wait(1, 1).unwrap_err().to_string();
    assert!(error.contains("was lost") && error.contains("closed the connection"), "{error}");
}
