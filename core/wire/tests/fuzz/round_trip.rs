//! What is read can be said again, and is then read as it was.

use std::iter::{Copied, Peekable};
use std::slice::Iter;

use ferrolb_vocab::{Asn, IpPrefix};
use ferrolb_wire::bgp::{
    Attributes, Decoding, Disposition, EncodedAttributes, Error, Family, Frame, HEADER_LENGTH, MESSAGE_MAX,
    MessageType, NextHop, Notification, Open, RouteRefresh, SegmentType, Update, emit_reachable,
    emit_withdrawn,
};

use crate::inputs::messages;
use crate::oracles::Told;

/// The only message in `octets`.
fn frame(octets: &[u8]) -> Frame<'_> {
    let (frame, length) = Frame::next(octets).unwrap().unwrap();
    assert_eq!(length, octets.len());
    frame
}

/// The peer is told by one of these codes, with what it has sent at most.
pub(crate) fn refused(error: &Error, codes: &[u8], octets: &[u8]) -> String {
    let notification = error.notification();
    assert!(codes.contains(&notification.code), "{error}: {notification:?}");
    assert!(notification.data.len() <= HEADER_LENGTH + octets.len(), "{error}: {notification:?}");
    assert_eq!(frame(&notification.emit()).message_type, MessageType::Notification);
    if let Error::Attribute { malformed, .. } = error {
        return malformed.to_string();
    }
    assert!(!error.to_string().is_empty());
    error.reason().to_owned()
}

/// Reads the body of an OPEN.
pub(crate) fn open(body: &[u8]) -> String {
    let open = match Open::parse(body) {
        Ok(open) => open,
        Err(error) => return refused(&error, &[2], body),
    };
    assert!(open.asn != Asn(0) && !matches!(open.hold_time, 1 | 2));
    let can = &open.capabilities;
    assert!(can.unknown.len() <= 64, "{}", can.unknown.len());
    let words = format!(
        "open {:?} {:?} {:?} {} {}",
        can.families,
        [can.route_refresh, can.enhanced_route_refresh, can.extended_next_hop, can.extended_message],
        can.graceful_restart.as_ref().map(|restart| (restart.restarted, &restart.families)),
        can.fqdn.is_some(),
        can.unknown.len().min(2),
    );
    let said = open.emit();
    let frame = frame(&said);
    assert_eq!(frame.message_type, MessageType::Open);
    assert_eq!(Open::parse(frame.body), Ok(as_sent(open)));
    words
}

/// An OPEN without what this speaker never says, in the order in which it says the rest.
fn as_sent(mut open: Open) -> Open {
    let can = &mut open.capabilities;
    can.families = can.families.filter(|families| !families.is_empty());
    can.extended_message = false;
    can.unknown.clear();
    can.fqdn = can.fqdn.take().map(|name| name[..name.floor_char_boundary(64)].into());
    if let Some(restart) = &mut can.graceful_restart {
        restart.families.sort_unstable();
    }
    open
}

/// Reads the body of a NOTIFICATION.
pub(crate) fn notification(body: &[u8]) -> String {
    let notification = match Notification::parse(body) {
        Ok(notification) => notification,
        Err(error) => return refused(&error, &[1], body),
    };
    let shown = notification.to_string();
    assert!(!shown.is_empty() && !shown.chars().any(char::is_control), "{shown:?}");
    let said = notification.emit();
    assert_eq!(frame(&said).body, &body[..body.len().min(MESSAGE_MAX - HEADER_LENGTH)]);
    let inner = notification.encapsulated();
    format!(
        "notification {} {} {:?} {}",
        notification.code_name(),
        notification.subcode_name(),
        inner.as_ref().map(Notification::subcode_name),
        inner.unwrap_or(notification).text().is_some()
    )
}

/// Reads the body of a ROUTE-REFRESH.
pub(crate) fn route_refresh(body: &[u8], is_enhanced: bool) -> String {
    let refresh = match RouteRefresh::parse(body, is_enhanced) {
        Ok(refresh) => refresh,
        Err(error) => return refused(&error, &[1, 7], body),
    };
    assert_eq!(RouteRefresh::parse(frame(&refresh.emit()).body, is_enhanced), Ok(refresh));
    format!("route refresh {:?}", refresh.family)
}

/// Reads the body of an UPDATE.
pub(crate) fn update(body: &[u8], decoding: &Decoding) -> String {
    let update = match Update::parse(body, decoding) {
        Ok(update) => update,
        Err(error) => return refused(&error, &[3], body),
    };
    let told = Told::of(&update);
    // Nothing is read more often than it is there: of each there are fewer than octets.
    assert!(told.withdrawn.len() + told.reachable.len() <= body.len());
    assert!(told.as_path.len() + told.communities.len() <= body.len());
    for prefix in told.withdrawn.iter().chain(&told.reachable) {
        assert!(decoding.families.contains(Family::of(prefix.family())), "{prefix}");
    }
    if let Disposition::TreatAsWithdraw(_) = update.disposition() {
        assert_eq!(told.reachable, []);
    }
    if update.end_of_rib().is_some() {
        assert!(told.withdrawn.is_empty() && told.reachable.is_empty());
    }
    for family in decoding.families.iter() {
        withdraw_again(&told, family, decoding);
        tell_again(&update, &told, family, decoding);
    }
    format!(
        "update {:?} {:?} {:?} {} {} {:?} {}",
        update.disposition(),
        update.discarded(),
        update.end_of_rib(),
        told.withdrawn.len().min(2),
        told.reachable.len().min(2),
        update.as_path().segments().map(|segment| segment.segment_type).take(3).collect::<Vec<_>>(),
        update.has_loop()
    )
}

fn of_family(prefixes: &[IpPrefix], family: Family) -> Vec<IpPrefix> {
    prefixes.iter().copied().filter(|prefix| Family::of(prefix.family()) == family).collect()
}

/// All that `emit` has to say of `routes`.
pub(crate) fn said(
    routes: &[IpPrefix],
    mut emit: impl FnMut(&mut Peekable<Copied<Iter<'_, IpPrefix>>>, &mut Vec<u8>) -> usize,
) -> Vec<u8> {
    let (mut rest, mut out) = (routes.iter().copied().peekable(), Vec::new());
    while rest.peek().is_some() {
        assert_ne!(emit(&mut rest, &mut out), 0, "a message has room for a route");
    }
    out
}

fn withdraw_again(told: &Told, family: Family, decoding: &Decoding) {
    let routes = of_family(&told.withdrawn, family);
    let mut again = Vec::new();
    for message in messages(&said(&routes, |rest, out| emit_withdrawn(family, rest, out))) {
        let update = Update::parse(&message[HEADER_LENGTH..], decoding).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        again.extend(update.withdrawn());
    }
    assert_eq!(again, routes);
}

fn tell_again(update: &Update<'_>, told: &Told, family: Family, decoding: &Decoding) {
    let routes = of_family(&told.reachable, family);
    let Some(attributes) = attributes(update, family).filter(|_| !routes.is_empty()) else { return };
    let Ok(encoded) = EncodedAttributes::new(&attributes, decoding.four_octet_as) else { return };
    let mut again = Vec::new();
    for message in messages(&said(&routes, |rest, out| emit_reachable(&encoded, family, rest, out))) {
        let update = Update::parse(&message[HEADER_LENGTH..], decoding).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        assert!(update.discarded().is_empty());
        let mut read = Told::of(&update);
        again.append(&mut read.reachable);
        let mut expected = Told { withdrawn: Vec::new(), reachable: Vec::new(), ..told.clone() };
        expected.next_hops.retain(|other, _| *other == family);
        assert_eq!(read, expected);
    }
    assert_eq!(again, routes);
}

/// What the routes of a family are told with; `None` if this speaker does not say such things.
fn attributes(update: &Update<'_>, family: Family) -> Option<Attributes> {
    if !update.as_path().segments().all(|segment| segment.segment_type == SegmentType::Sequence) {
        return None;
    }
    let next_hop = update.next_hop(family)?;
    // In MP_REACH_NLRI any address is taken, in NEXT_HOP an IP host address alone.
    if let NextHop::Ipv4(address) = next_hop
        && (address.is_unspecified() || address.is_multicast() || address.is_broadcast())
    {
        return None;
    }
    Some(Attributes {
        origin: update.origin()?,
        as_path: update.as_path().segments().flat_map(|segment| segment.asns()).collect(),
        next_hop,
        multi_exit_disc: update.multi_exit_disc(),
        local_pref: update.local_pref(),
        communities: update.communities().collect(),
        large_communities: update.large_communities().collect(),
        extended_communities: update.extended_communities().collect(),
    })
}
