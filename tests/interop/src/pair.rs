//! A speaker and a router that have, or shall have, a session.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;

use crate::description::{BfdTiming, Command, Description, RouteDescription, View};
use crate::routers::{Kind, Router, family};
use crate::speaker::Speaker;
use crate::stage::{Host, SPEAKER_V4, SPEAKER_V6, Stage};
use crate::wait::until;

/// The router's AS number.
pub const ROUTER_ASN: u32 = 64_513;
/// The speaker's, where it is external.
pub const SPEAKER_ASN: u32 = 64_512;

/// The state of a session that is one.
pub const ESTABLISHED: &str = "Established";

/// What the speaker tells at first, a prefix of each family.
pub const PREFIXES: [&str; 2] = ["198.51.100.1/32", "2001:db8:1::1/128"];
/// The community of each.
pub const COMMUNITY: &str = "64512:100";
/// The large community of each, with numbers that have no room in a community.
pub const LARGE_COMMUNITY: &str = "4200000001:1:2";
/// The preference of each, other than what routers give to routes that have none.
pub const LOCAL_PREF: u32 = 200;

/// What both sides of a session are configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The speaker's AS number.
    pub speaker_asn: u32,
    /// What carries it.
    pub over: Transport,
    /// The hold time that the speaker offers, in seconds; routers offer [`crate::routers::HOLD_TIME`].
    pub hold_time: u16,
    /// The key of TCP-MD5, RFC 2385, on both sides.
    pub password: Option<&'static str>,
    /// The router's BFD.
    pub router_bfd: Option<BfdTiming>,
    /// The speaker's.
    pub speaker_bfd: Option<BfdTiming>,
}

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Both sides, running.
#[derive(Debug)]
pub struct Pair {
    // Dropped in this order: processes before what they run in.
    /// Theirs.
    pub router: Box<dyn Router>,
    /// Ours.
    pub speaker: Speaker,
    /// Where.
    pub stage: Stage,
    description: Description,
}

impl Terms {
    /// An external session over IPv4 without BFD.
    pub const EXTERNAL: Self = Self {
        speaker_asn: SPEAKER_ASN,
        over: Transport::Ipv4,
        hold_time: 9,
        password: None,
        router_bfd: None,
        speaker_bfd: None,
    };

    /// The address of a host that the session goes to or from.
    #[must_use]
    pub fn address(&self, host: Host) -> IpAddr {
        let (v4, v6) = host.addresses();
        match self.over {
            Transport::Ipv4 => v4.into(),
            Transport::Ipv6 => v6.into(),
        }
    }

    fn description(&self) -> Description {
        Description {
            local_asn: self.speaker_asn,
            remote_asn: ROUTER_ASN,
            local: self.address(Host::Speaker),
            remote: self.address(Host::Router),
            next_hop_ipv4: SPEAKER_V4,
            next_hop_ipv6: SPEAKER_V6,
            hold_time: self.hold_time,
            has_restarted: false,
            password: self.password.map(str::to_owned),
            bfd: self.speaker_bfd,
            routes: PREFIXES.into_iter().map(route).collect(),
        }
    }
}

/// A prefix with all that it can have.
#[must_use]
pub fn route(prefix: &str) -> RouteDescription {
    RouteDescription {
        prefix: prefix.to_owned(),
        communities: vec![COMMUNITY.to_owned()],
        large_communities: vec![LARGE_COMMUNITY.to_owned()],
        local_pref: Some(LOCAL_PREF),
    }
}

impl Pair {
    /// Starts both, the speaker with [`PREFIXES`] to tell, and has `play` do what it does. What it
    /// says of an error comes with the ends of the logs.
    ///
    /// # Errors
    /// Those of `play`; something cannot be started.
    pub fn with(
        kind: Kind,
        root: &Path,
        terms: &Terms,
        play: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let stage = Stage::new(root)?;
        let description = terms.description();
        let router = match kind.start(&stage, terms) {
            Ok(router) => router,
            Err(error) => return Err(explained(&error, &stage)),
        };
        let speaker = Speaker::start(&stage, &description)?;
        let mut pair = Self { router, speaker, stage, description };
        play(&mut pair).map_err(|error| explained(&error, &pair.stage))
    }

    /// Waits until both sides say that there is a session.
    ///
    /// # Errors
    /// There is none in time.
    pub fn wait_for_session(&mut self) -> Result<View> {
        let view = self.speaker.wait("a session, by ferrolb-peer", |view| view.state == ESTABLISHED)?;
        until("a session, by the router", || self.router.is_established(&self.stage), |is_so| *is_so)?;
        Ok(view)
    }

    /// Waits until the router's table has these prefixes.
    ///
    /// # Errors
    /// It has not, in time.
    pub fn wait_for_prefixes(&self, prefixes: &[&str]) -> Result<()> {
        prefixes.iter().try_for_each(|prefix| {
            let look = || self.router.prefixes(&self.stage, family(prefix));
            until(&format!("{prefix} in the router's table"), look, |table| table.contains(*prefix)).map(drop)
        })
    }

    /// Waits until the router's table has none of these prefixes.
    ///
    /// # Errors
    /// It has one, still.
    pub fn wait_for_no_prefixes(&self, prefixes: &[&str]) -> Result<()> {
        prefixes.iter().try_for_each(|prefix| {
            let look = || self.router.prefixes(&self.stage, family(prefix));
            until(&format!("no {prefix} in the router's table"), look, |table| !table.contains(*prefix))
                .map(drop)
        })
    }

    /// What the speaker was told last.
    #[must_use]
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// Has the speaker do something else from now on.
    ///
    /// # Errors
    /// It has ended.
    pub fn change(&mut self, change: impl FnOnce(&mut Description)) -> Result<()> {
        change(&mut self.description);
        self.speaker.tell(&Command::Speak(self.description.clone()))
    }

    /// Starts the speaker anew, as one that knows that it has run before.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart_speaker(&mut self, change: impl FnOnce(&mut Description)) -> Result<()> {
        self.description.has_restarted = true;
        change(&mut self.description);
        self.speaker = Speaker::start(&self.stage, &self.description)?;
        Ok(())
    }
}

fn explained(error: &anyhow::Error, stage: &Stage) -> anyhow::Error {
    anyhow::anyhow!("{error:#}\n{}", stage.logs())
}
