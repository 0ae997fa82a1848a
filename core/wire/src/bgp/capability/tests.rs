use super::*;
use std::string::ToString;

fn taken(capabilities: &[(u8, &[u8])]) -> Capabilities {
    let mut taken = Capabilities::default();
    for (code, value) in capabilities {
        taken.take(*code, value).unwrap();
    }
    taken
}

#[test]
fn no_family_named_means_ipv4_unicast_and_an_unknown_one_means_none() {
    assert_eq!(Capabilities::default().families_or_default(), Families::IPV4);
    let vpn = taken(&[(1, &[0, 1, 0, 128])]);
    assert_eq!(vpn.families, Some(Families::EMPTY));
    assert_eq!(vpn.families_or_default(), Families::EMPTY);
    // The reserved octet is ignored.
    let both = taken(&[(1, &[0, 2, 9, 1]), (1, &[0, 1, 0, 1]), (1, &[0, 2, 0, 1])]);
    assert_eq!(both.families, Some(Families::ALL));
}

#[test]
fn graceful_restart_has_the_octets_of_rfc4724_3_with_the_bit_of_rfc8538() {
    let value = [0xc0, 0x78, 0, 1, 1, 0x80, 0, 2, 1, 0x00];
    let expected = GracefulRestart {
        restarted: true,
        notification: true,
        restart_time: 120,
        families: [(Family::Ipv4Unicast, true), (Family::Ipv6Unicast, false)].into(),
    };
    let capabilities = taken(&[(64, &value)]);
    assert_eq!(capabilities.graceful_restart, Some(expected));
    assert_eq!(capabilities.emit(), [&[64, 10][..], &value].concat());
}

#[test]
fn graceful_restart_of_unknown_families_and_of_one_family_twice() {
    let value = [0x0f, 0xff, 0, 1, 128, 0x80, 0, 2, 1, 0x80, 0, 2, 1, 0x00];
    let graceful_restart = taken(&[(64, &value)]).graceful_restart.unwrap();
    assert_eq!(graceful_restart.restart_time, 4_095);
    assert!(!graceful_restart.restarted && !graceful_restart.notification);
    assert_eq!(graceful_restart.families, [(Family::Ipv6Unicast, true)]);
}

#[test]
fn a_restart_time_is_sent_as_no_more_than_4095_seconds() {
    let graceful_restart = GracefulRestart {
        restarted: false,
        notification: false,
        restart_time: u16::MAX,
        families: Vec::new(),
    };
    let capabilities = Capabilities { graceful_restart: Some(graceful_restart), ..Capabilities::default() };
    assert_eq!(capabilities.emit(), [64, 2, 0x0f, 0xff]);
}

#[test]
fn ipv4_over_ipv6_is_found_among_other_extended_next_hops() {
    let ipv4 = [0, 1, 0, 1, 0, 2];
    let vpn = [0, 1, 0, 128, 0, 2];
    assert!(taken(&[(5, &ipv4)]).extended_next_hop);
    assert!(taken(&[(5, &[vpn, ipv4].concat())]).extended_next_hop);
    assert!(!taken(&[(5, &vpn)]).extended_next_hop);
    assert!(!taken(&[(5, &[])]).extended_next_hop);
    let sent = Capabilities { extended_next_hop: true, ..Capabilities::default() }.emit();
    assert_eq!(sent, [&[5, 6][..], &ipv4].concat());
}

#[test]
fn a_name_is_that_of_the_host_and_its_domain() {
    let name = |value: &[u8]| taken(&[(73, value)]).fqdn.map(|name| name.to_string());
    assert_eq!(name(b"\x02r1\x00").unwrap(), "r1");
    assert_eq!(name(b"\x02r1\x07example").unwrap(), "r1.example");
    assert_eq!(name(b"\x02r1").unwrap(), "r1", "without a domain's length");
    assert_eq!(name(b"\x03r\n1\x00").unwrap(), "r 1");
    assert_eq!(name(b"\x00\x00"), None);
    let sent = Capabilities { fqdn: Some("node-a".into()), ..Capabilities::default() }.emit();
    assert_eq!(sent, b"\x49\x08\x06node-a\x00");
}

#[test]
fn a_capability_that_is_no_use_as_written_is_as_if_it_was_not_there() {
    let useless: [(u8, &[u8]); 7] = [
        (5, &[0, 1, 0, 1, 0]),     // an entry cut short
        (64, &[]),                 // no restart time
        (64, &[0, 120, 0, 1, 1]),  // a family cut short
        (73, &[]),                 // no length
        (73, &[5, b'a']),          // a name cut short
        (73, &[1, b'a', 5, b'b']), // a domain cut short
        (73, &[0, 0]),             // no name
    ];
    for (code, value) in useless {
        assert_eq!(taken(&[(code, value)]), Capabilities::default(), "{code} {value:?}");
    }
    let kept = taken(&[(73, b"\x01a\x00"), (73, &[9]), (64, &[0, 9]), (64, &[1])]);
    assert_eq!(kept.fqdn.as_deref(), Some("a"));
    assert_eq!(kept.graceful_restart.unwrap().restart_time, 9);
}

#[test]
fn capabilities_without_a_value_count_whatever_they_hold() {
    let capabilities = taken(&[(2, &[]), (2, &[]), (70, &[1]), (6, &[])]);
    assert!(capabilities.route_refresh && capabilities.enhanced_route_refresh);
    assert!(capabilities.extended_message, "tolerated");
    let sent = capabilities.emit();
    assert_eq!(sent, [2, 0, 70, 0], "and never sent");
}

#[test]
fn unknown_capabilities_are_listed_once_each_and_no_more_than_64() {
    assert_eq!(taken(&[(128, &[]), (77, &[1, 2]), (128, &[3])]).unknown, [128, 77]);
    let many: Vec<(u8, &[u8])> = (100..=255).map(|code| (code, &[][..])).collect();
    assert_eq!(taken(&many).unknown.len(), 64);
}
