//! What is shown with every router that can do its part.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::description::BfdTiming;
use crate::pair::{Pair, ROUTER_ASN, Terms, Transport};
use crate::routers::{Kind, Need};

mod bfd;
mod endings;
mod routes;
mod sessions;

/// Something that both sides shall do together.
#[derive(Debug)]
pub struct Feature {
    /// What an operator would call it.
    pub name: &'static str,
    /// What the router needs to be able to.
    pub needs: Option<Need>,
    /// How both are configured.
    pub terms: Terms,
    /// Does it, and looks.
    play: fn(&mut Pair) -> Result<()>,
}

/// What came of a feature with a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// All was as it should be.
    Passed,
    /// The router cannot do its part.
    Lacking {
        /// What it lacks.
        why: String,
    },
    /// Something was not as it should be.
    Failed {
        /// What, and the ends of the logs.
        why: String,
    },
}

/// An AS number that has no room in two octets.
const WIDE_ASN: u32 = 4_200_000_001;

/// The default of `BFDProfile`, and the fastest that a thread keeps that runs as any other.
const BFD_DEFAULT: BfdTiming = BfdTiming { interval_ms: 300, detect_mult: 3 };
const BFD_FAST: BfdTiming = BfdTiming { interval_ms: 50, detect_mult: 3 };

const INTERNAL: Terms = Terms { speaker_asn: ROUTER_ASN, ..Terms::EXTERNAL };
const OVER_IPV6: Terms = Terms { over: Transport::Ipv6, ..Terms::EXTERNAL };
const WIDE: Terms = Terms { speaker_asn: WIDE_ASN, ..Terms::EXTERNAL };
/// The shortest hold time that there is: RFC 4271 §4.2.
const IMPATIENT: Terms = Terms { hold_time: 3, ..Terms::EXTERNAL };
/// With a key; who has another one is not heard for as long as there can be.
const SIGNED: Terms = Terms { password: Some("ferrolb-interop"), ..IMPATIENT };
const WITH_BFD: Terms = with_bfd(BFD_DEFAULT, BFD_DEFAULT);
const WITH_FAST_BFD: Terms = with_bfd(BFD_FAST, BFD_FAST);
/// The router waits for 6 s before it takes the speaker for dead.
const UNEVEN_BFD: Terms = with_bfd(BFD_DEFAULT, BfdTiming { detect_mult: 20, ..BFD_DEFAULT });

const fn with_bfd(router: BfdTiming, speaker: BfdTiming) -> Terms {
    Terms { router_bfd: Some(router), speaker_bfd: Some(speaker), ..Terms::EXTERNAL }
}

/// All of them, in the order of the table.
pub const FEATURES: [Feature; 18] = [
    Feature::new("eBGP over IPv4, both families", None, Terms::EXTERNAL, sessions::external),
    Feature::new("eBGP over IPv6, both families", None, OVER_IPV6, sessions::external),
    Feature::new("iBGP, LOCAL_PREF", None, INTERNAL, sessions::internal),
    Feature::new("four-octet AS number", None, WIDE, sessions::external),
    Feature::new("TCP-MD5", Some(Need::SignedListener), SIGNED, sessions::signed),
    Feature::new("communities, large communities", None, Terms::EXTERNAL, routes::communities),
    Feature::new("1,000 prefixes and their withdrawal", None, Terms::EXTERNAL, routes::thousand),
    Feature::new("the router's UPDATEs", None, Terms::EXTERNAL, routes::heard),
    Feature::new("End-of-RIB from the router", None, Terms::EXTERNAL, routes::end_of_rib),
    Feature::new("route refresh", Some(Need::AskForRoutes), Terms::EXTERNAL, routes::refresh),
    Feature::new("graceful restart", Some(Need::KeepRoutes), Terms::EXTERNAL, endings::restart),
    Feature::new("hold timer", None, IMPATIENT, endings::silence),
    Feature::new("shutdown with a text", Some(Need::ReadShutdown), Terms::EXTERNAL, endings::shutdown),
    Feature::new("BFD 3 x 300 ms", Some(Need::Bfd), WITH_BFD, bfd::stays_up),
    Feature::new("BFD 3 x 50 ms", Some(Need::Bfd), WITH_FAST_BFD, bfd::stays_up),
    Feature::new("BFD down ends the session", Some(Need::Bfd), UNEVEN_BFD, bfd::down),
    Feature::new("leaving, and AdminDown after it", Some(Need::Bfd), UNEVEN_BFD, bfd::leave),
    Feature::new("the router's AdminDown does not", Some(Need::BfdAdminDown), WITH_BFD, bfd::admin_down),
];

impl Feature {
    const fn new(
        name: &'static str,
        needs: Option<Need>,
        terms: Terms,
        play: fn(&mut Pair) -> Result<()>,
    ) -> Self {
        Self { name, needs, terms, play }
    }

    /// Plays it with a router whose programs are installed below `root`, on a stage of its own.
    #[must_use]
    pub fn outcome(&self, kind: Kind, root: &Path) -> Outcome {
        if let Some(why) = self.needs.and_then(|need| kind.lacks(need)) {
            return Outcome::Lacking { why: why.to_owned() };
        }
        match Pair::with(kind, root, &self.terms, self.play) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed { why: format!("{error:#}") },
        }
    }
}
