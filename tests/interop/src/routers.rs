//! The daemons of others: how each is started, what it says, and what it cannot do.

use std::collections::BTreeSet;
use std::fmt::Debug;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use ferrolb_vocab::{IpFamily, IpPrefix};
use serde_json::Value;

use crate::pair::Terms;
use crate::stage::Stage;

mod bird;
mod exabgp;
mod frr;
mod gobgp;
mod openbgpd;

/// The hold time that routers offer, in seconds. They send KEEPALIVEs every third of what is agreed on.
pub const HOLD_TIME: u16 = 9;

/// What routers tell, a prefix of each family.
pub const ROUTER_PREFIXES: [&str; 2] = ["203.0.113.0/24", "2001:db8:ffff::/48"];

/// A kind of router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// FRRouting: zebra, bgpd and bfdd.
    Frr,
    /// BIRD 2 or 3.
    Bird,
    /// GoBGP.
    Gobgp,
    /// ExaBGP, which speaks and keeps nothing.
    Exabgp,
    /// OpenBGPD's portable version.
    Openbgpd,
}

/// What a feature needs a router to be able to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To be connected to with a key: RFC 2385.
    SignedListener,
    /// To ask for routes again: RFC 2918.
    AskForRoutes,
    /// To keep routes while this side restarts: RFC 4724 §4.2.
    KeepRoutes,
    /// To read why a session is shut down: RFC 9003.
    ReadShutdown,
    /// BFD beside BGP.
    Bfd,
    /// To take BFD away as an operator does: RFC 5880 §6.8.16.
    BfdAdminDown,
}

/// What a router says of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSeen {
    /// The AS numbers of the path, the nearest first.
    pub as_path: Vec<u32>,
    /// As `A:B`.
    pub communities: BTreeSet<String>,
    /// As `A:B:C`.
    pub large_communities: BTreeSet<String>,
    /// LOCAL_PREF, if it says one.
    pub local_pref: Option<u32>,
}

/// A running daemon with one neighbor, the speaker. What it is asked is an error while it has not come up.
pub trait Router: Debug {
    /// Whether it has a session.
    ///
    /// # Errors
    /// It cannot be asked.
    fn is_established(&self, stage: &Stage) -> Result<bool>;

    /// The prefixes of a family in its table, its own among them.
    ///
    /// # Errors
    /// It cannot be asked.
    fn prefixes(&self, stage: &Stage, family: IpFamily) -> Result<BTreeSet<String>>;

    /// What it knows of a prefix.
    ///
    /// # Errors
    /// It cannot be asked.
    fn route(&self, stage: &Stage, prefix: &str) -> Result<Option<RouteSeen>>;

    /// All that it shows an operator of the session; its log is beside that.
    ///
    /// # Errors
    /// It cannot be asked.
    fn describe(&self, stage: &Stage) -> Result<String>;

    /// Has it ask the speaker for all routes of a family again.
    ///
    /// # Errors
    /// It cannot be asked, or cannot ask.
    fn ask_for_routes(&self, stage: &Stage, family: IpFamily) -> Result<()> {
        bail!("no way is known to have {self:?} ask {} for {family} routes", stage.inside("").display())
    }

    /// Whether its BFD session is Up.
    ///
    /// # Errors
    /// It cannot be asked, or has no BFD.
    fn is_bfd_up(&self, stage: &Stage) -> Result<bool> {
        bail!("{self:?} in {} has no BFD", stage.inside("").display())
    }

    /// Has an operator take BFD away.
    ///
    /// # Errors
    /// It cannot be asked, or has no BFD.
    fn disable_bfd(&self, stage: &Stage) -> Result<()> {
        bail!("{self:?} in {} has no BFD", stage.inside("").display())
    }
}

impl Kind {
    /// Starts a daemon with the speaker as its neighbor.
    ///
    /// # Errors
    /// It is not installed, or its files cannot be written.
    pub fn start(self, stage: &Stage, terms: &Terms) -> Result<Box<dyn Router>> {
        Ok(match self {
            Self::Frr => Box::new(frr::Frr::start(stage, terms)?),
            Self::Bird => Box::new(bird::Bird::start(stage, terms)?),
            Self::Gobgp => Box::new(gobgp::Gobgp::start(stage, terms)?),
            Self::Exabgp => Box::new(exabgp::Exabgp::start(stage, terms)?),
            Self::Openbgpd => Box::new(openbgpd::Openbgpd::start(stage, terms)?),
        })
    }

    /// Why it cannot do its part of a feature.
    #[must_use]
    pub const fn lacks(self, need: Need) -> Option<&'static str> {
        match (self, need) {
            (Self::Openbgpd, Need::SignedListener) => Some("gives its listener no key on Linux"),
            (Self::Gobgp, Need::AskForRoutes) => Some("keeps what it was told, and asks for nothing again"),
            (Self::Exabgp, Need::KeepRoutes) => Some("keeps no table"),
            (Self::Exabgp, Need::ReadShutdown) => {
                Some("cannot decode a Cease with a text: Python's TypeError")
            }
            (Self::Gobgp | Self::Exabgp | Self::Openbgpd, Need::Bfd | Need::BfdAdminDown) => {
                Some("has no BFD in this version")
            }
            (Self::Bird, Need::BfdAdminDown) => Some("falls silent instead of saying AdminDown"),
            (Self::Frr, _)
            | (Self::Bird | Self::Gobgp | Self::Exabgp, Need::SignedListener)
            | (Self::Bird, Need::AskForRoutes | Need::KeepRoutes | Need::ReadShutdown | Need::Bfd)
            | (Self::Gobgp, Need::KeepRoutes | Need::ReadShutdown)
            | (Self::Exabgp, Need::AskForRoutes)
            | (Self::Openbgpd, Need::AskForRoutes | Need::KeepRoutes | Need::ReadShutdown) => None,
        }
    }
}

/// The family of a prefix.
#[must_use]
pub fn family(prefix: &str) -> IpFamily {
    if prefix.contains(':') { IpFamily::V6 } else { IpFamily::V4 }
}

/// What a daemon calls a family: `ipv4` or `ipv6`.
const fn family_word(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
    }
}

/// The prefix as all daemons would write it, if it is one.
fn canonical(text: &str) -> Option<String> {
    text.parse::<IpPrefix>().ok().map(|prefix| prefix.to_string())
}

/// JSON that a daemon prints; nothing at all is nothing.
fn json(text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).with_context(|| format!("this is no JSON: {text}"))
}

/// All numbers in a text such as `64512 4200000001` or `(64512,100)`.
fn numbers(text: &str) -> Vec<u32> {
    text.split(|character: char| !character.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// Numbers with colons between them.
fn colons(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_daemons_print_is_read_whichever_way_they_write_it() {
        assert_eq!(numbers("64512 4200000001"), [64_512, 4_200_000_001]);
        assert_eq!(numbers("(64512, 100)"), [64_512, 100]);
        assert_eq!(colons(&numbers("(4200000001, 1, 2)")), "4200000001:1:2");
        assert_eq!(canonical("2001:DB8:1:0::1/128").as_deref(), Some("2001:db8:1::1/128"));
        assert_eq!(canonical("Table"), None);
        assert_eq!(json(" \n").unwrap(), Value::Null);
        assert!(json("% no such command").is_err());
    }
}
