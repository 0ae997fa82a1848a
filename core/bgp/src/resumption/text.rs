//! A [`Resumption`] as text: fields with a space between them, lists with commas, octets as two digits each.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::{self, FromStr, Split};
use core::time::Duration;

use ferrolb_vocab::InterfaceName;
use ferrolb_wire::bgp::{Families, Family, HEADER_LENGTH, MESSAGE_MAX, Open};

use super::Resumption;
use crate::config::Transport;
use crate::connection::Direction;
use crate::peer::{MessageCounts, Received, Tally};

/// The text is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("of a session the {0} is not written as this version does; the session begins anew")]
pub struct ParseResumptionError(&'static str);

/// Where there is nothing.
const NONE: &str = "-";

impl fmt::Display for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transport { remote, source, interface } = &self.transport;
        write!(f, "{} {remote} {} {}", self.direction, joined(source), joined(interface))?;
        let offer = self.offer.emit();
        write!(f, " {} {}", Hex(offer.get(HEADER_LENGTH..).unwrap_or_default()), Hex(&self.body))?;
        write!(f, " {} {}", Hex(&self.undecoded), Hex(&self.unwritten))?;
        let left = |timer: Option<Duration>| joined(timer.map(|left| left.as_millis()));
        write!(f, " {} {} {}", self.lasted.as_millis(), left(self.hold), left(self.keepalive))?;
        let Tally { attempts, established, sent, received, routes } = self.tally;
        let [sent, received] = [sent, received].map(|counts| joined(messages(counts)));
        write!(f, " {} {sent} {received} {}", joined([attempts, established]), joined(updates(routes)))?;
        let names = |families: Families| joined(families.iter().map(Family::name));
        write!(f, " {} {} {}", names(routes.end_of_rib), names(self.refreshing), joined(&self.advertised))
    }
}

impl FromStr for Resumption {
    type Err = ParseResumptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = Fields(text.split(' '));
        let direction = fields.next("direction", direction)?;
        let transport = Transport {
            remote: fields.next("remote address", |text| text.parse().ok())?,
            source: fields.next("source address", optional)?,
            interface: fields.next("interface", name)?,
        };
        let (offer, _) = fields.next("OPEN of this side", open)?;
        let (received, body) = fields.next("OPEN of the peer", open)?;
        let undecoded = fields.next("input", octets)?;
        if undecoded.len() >= MESSAGE_MAX {
            return Err(ParseResumptionError("input"));
        }
        Ok(Self {
            direction,
            transport,
            offer,
            received,
            body,
            undecoded,
            unwritten: fields.next("output", octets)?,
            lasted: fields.next("age", |text| text.parse().ok().map(Duration::from_millis))?,
            hold: fields.next("HoldTimer", left)?,
            keepalive: fields.next("KeepaliveTimer", left)?,
            tally: tally(&mut fields)?,
            refreshing: fields.next("route refresh", families)?,
            advertised: fields.next("prefixes", |text| list(text, |prefix| prefix.parse().ok()))?,
        })
    }
}

/// The fields that are left.
struct Fields<'a>(Split<'a, char>);

impl<'a> Fields<'a> {
    /// The next one, as `read` understands it.
    fn next<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, ParseResumptionError> {
        self.0.next().and_then(read).ok_or(ParseResumptionError(name))
    }
}

fn direction(text: &str) -> Option<Direction> {
    [Direction::Outgoing, Direction::Incoming].into_iter().find(|direction| direction.to_string() == text)
}

fn name(text: &str) -> Option<Option<InterfaceName>> {
    (!text.is_empty()).then(|| (text != NONE).then(|| text.into()))
}

fn optional<T: FromStr>(text: &str) -> Option<Option<T>> {
    if text == NONE { Some(None) } else { text.parse().ok().map(Some) }
}

/// The body of an OPEN, and what it says.
fn open(text: &str) -> Option<(Open, Box<[u8]>)> {
    let body = octets(text)?;
    Some((Open::parse(&body).ok()?, body.into()))
}

fn left(text: &str) -> Option<Option<Duration>> {
    optional(text).map(|left| left.map(Duration::from_millis))
}

fn tally(fields: &mut Fields<'_>) -> Result<Tally, ParseResumptionError> {
    let [attempts, established]: [u64; 2] = fields.next("count of sessions", numbers)?;
    let sent = message_counts(fields.next("count of messages sent", numbers)?);
    let received = message_counts(fields.next("count of messages received", numbers)?);
    let [reachable, withdrawn, treated_as_withdraw, attributes_discarded, looped]: [u64; 5] =
        fields.next("count of routes", numbers)?;
    let end_of_rib = fields.next("End-of-RIB", families)?;
    let routes =
        Received { reachable, withdrawn, treated_as_withdraw, attributes_discarded, looped, end_of_rib };
    Ok(Tally { attempts, established, sent, received, routes })
}

const fn updates(counts: Received) -> [u64; 5] {
    let Received { reachable, withdrawn, treated_as_withdraw, attributes_discarded, looped, .. } = counts;
    [reachable, withdrawn, treated_as_withdraw, attributes_discarded, looped]
}

const fn messages(counts: MessageCounts) -> [u64; 5] {
    let MessageCounts { open, update, notification, keepalive, route_refresh } = counts;
    [open, update, notification, keepalive, route_refresh]
}

const fn message_counts(counts: [u64; 5]) -> MessageCounts {
    let [open, update, notification, keepalive, route_refresh] = counts;
    MessageCounts { open, update, notification, keepalive, route_refresh }
}

fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Vec<u64> = list(text, |number| number.parse().ok())?;
    numbers.try_into().ok()
}

fn families(text: &str) -> Option<Families> {
    list(text, |name| Family::ALL.into_iter().find(|family| family.name() == name))
}

fn list<T, C: FromIterator<T>>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<C> {
    text.split(',').filter(|text| *text != NONE).map(item).collect()
}

/// Items with commas between them.
fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&item.to_string());
    }
    if text.is_empty() { NONE.into() } else { text }
}

fn octets(text: &str) -> Option<Vec<u8>> {
    if text == NONE {
        return Some(Vec::new());
    }
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octet = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(octet).collect() } else { None }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests;
