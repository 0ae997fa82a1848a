use super::*;
use netlink_packet_route::address::AddressHeaderFlags;
use std::net::IpAddr;

fn link(index: u32, name: &str, flags: LinkFlags, attributes: &[LinkAttribute]) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = flags;
    message.header.link_layer_type = LinkLayerType::Ether;
    message.attributes = [&[LinkAttribute::IfName(name.into())], attributes].concat();
    message
}

fn address(index: u32, prefix_len: u8, attributes: &[AddressAttribute]) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix_len;
    message.attributes = attributes.to_vec();
    message
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn own(text: &str) -> AddressAttribute {
    AddressAttribute::Address(ip(text))
}

fn shown(addresses: &[LinkAddress]) -> Vec<String> {
    addresses.iter().map(|own| format!("{} on {}", own.address, own.prefix)).collect()
}

#[test]
fn a_link_has_its_name_mac_and_flags() {
    let up = LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Broadcast | LinkFlags::Multicast;
    let messages = [
        link(3, "eth1", up, &[LinkAttribute::Address(vec![2, 0, 0, 0, 0, 3]), LinkAttribute::Controller(7)]),
        link(2, "tun0", LinkFlags::Up | LinkFlags::Noarp, &[LinkAttribute::Address(vec![1, 2, 3, 4])]),
        link(4, "eth2", LinkFlags::Broadcast, &[LinkAttribute::Controller(0)]),
    ];
    let links = parse(&messages, &[]);
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["tun0", "eth1", "eth2"], "ordered by index");
    assert_eq!((links[0].mac, links[1].mac), (None, Some(MacAddr([2, 0, 0, 0, 0, 3]))));
    assert_eq!(links[0].flags, [LinkFlag::Up, LinkFlag::NoArp].into());
    let eth1 = [LinkFlag::Up, LinkFlag::Carrier, LinkFlag::Broadcast, LinkFlag::Enslaved];
    assert_eq!(links[1].flags, eth1.into());
    assert_eq!(links[2].flags, [LinkFlag::Broadcast].into());
}

#[test]
fn a_mac_is_an_ethernet_address() {
    let mut loopback =
        link(1, "lo", LinkFlags::Up | LinkFlags::Loopback, &[LinkAttribute::Address(vec![0; 6])]);
    loopback.header.link_layer_type = LinkLayerType::Loopback;
    let links = parse(&[loopback], &[]);
    assert_eq!(links[0].mac, None);
    assert!(links[0].is(LinkFlag::Loopback));
}

#[test]
fn addresses_are_the_interfaces_own_and_in_order() {
    let messages = [
        address(2, 64, &[own("fe80::2")]),
        address(2, 24, &[own("192.0.2.7"), AddressAttribute::Local(ip("192.0.2.7"))]),
        // Point to point: IFA_ADDRESS is the peer's.
        address(2, 32, &[own("198.51.100.1"), AddressAttribute::Local(ip("198.51.100.2"))]),
        address(9, 24, &[own("203.0.113.1")]),
        address(2, 64, &[]),
        address(2, 200, &[own("192.0.2.8")]),
    ];
    let links = parse(&[link(2, "eth0", LinkFlags::Up, &[])], &messages);
    assert_eq!(
        shown(&links[0].addresses),
        ["192.0.2.7 on 192.0.2.0/24", "198.51.100.2 on 198.51.100.1/32", "fe80::2 on fe80::/64"]
    );
}

#[test]
fn an_address_not_proven_unique_is_not_yet_assigned() {
    let with = |text, flags| address(2, 64, &[own(text), AddressAttribute::Flags(flags)]);
    let mut header_only = address(2, 64, &[own("fe80::5")]);
    header_only.header.flags = AddressHeaderFlags::Tentative;
    let messages = [
        with("fe80::1", AddressFlags::Permanent),
        with("fe80::2", AddressFlags::Tentative),
        with("fe80::3", AddressFlags::Tentative | AddressFlags::Dadfailed),
        with("fe80::4", AddressFlags::Tentative | AddressFlags::Optimistic),
        header_only,
    ];
    let links = parse(&[link(2, "eth0", LinkFlags::Up, &[])], &messages);
    assert_eq!(shown(&links[0].addresses), ["fe80::1 on fe80::/64", "fe80::4 on fe80::/64"]);
}
