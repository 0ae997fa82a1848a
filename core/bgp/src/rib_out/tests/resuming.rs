//! A session whose routes another process goes on with.

use super::*;

const V4: Family = Family::Ipv4Unicast;

/// The routes of a process that knows all that it wants.
fn wanting<'a>(routes: impl IntoIterator<Item = (&'a str, u32)>) -> RibOut {
    let mut rib = RibOut::new();
    rib.set_wanted(&wanted(routes));
    rib.complete();
    rib
}

#[test]
fn the_peer_is_told_anew_what_is_wanted_and_to_forget_the_rest() {
    let mut line = busy_line();
    line.hand_over(wanting([("10.0.0.2/32", 1), ("10.0.0.3/32", 2), ("10.0.0.4/32", 1)]));
    assert_eq!(
        line.drain(),
        [
            "withdraw 10.0.0.1/32",
            "announce 10.0.0.2/32 10.0.0.4/32",
            "announce 10.0.0.3/32",
            "end of ipv4_unicast",
            "end of ipv6_unicast",
        ]
    );
    assert_eq!(line.table[&prefix("10.0.0.3/32")].communities, [Community(2)]);
}

#[test]
fn what_is_told_without_attributes_of_its_own_is_told_anew_too() {
    let plain = BTreeMap::from([(prefix("10.0.0.1/32"), Arc::default())]);
    let mut line = idle_line();
    line.rib.set_wanted(&plain);
    line.drain();
    let mut next = RibOut::new();
    next.set_wanted(&plain);
    line.hand_over(next);
    assert_eq!(line.drain(), ["announce 10.0.0.1/32"]);
}

#[test]
fn what_is_wanted_no_longer_before_it_is_told_anew_is_withdrawn() {
    let mut line = busy_line();
    line.hand_over(wanting([("10.0.0.1/32", 1), ("10.0.0.2/32", 1), ("10.0.0.3/32", 1)]));
    line.rib.withdraw(prefix("10.0.0.2/32"));
    assert_eq!(line.drain()[..2], ["withdraw 10.0.0.2/32", "announce 10.0.0.1/32 10.0.0.3/32"]);
}

/// RFC 7313 §4.
#[test]
fn a_refresh_that_has_begun_ends_after_all_is_told() {
    let mut line = busy_line();
    line.rib.refresh(V4, true);
    assert_eq!(line.take().as_deref(), Some("begin refresh of ipv4_unicast"));
    line.hand_over(wanting([("10.0.0.1/32", 1), ("10.0.0.2/32", 1)]));
    assert_eq!(
        line.drain(),
        [
            "withdraw 10.0.0.3/32",
            "announce 10.0.0.1/32 10.0.0.2/32",
            "end of ipv4_unicast",
            "end refresh of ipv4_unicast",
            "end of ipv6_unicast",
        ]
    );
}
