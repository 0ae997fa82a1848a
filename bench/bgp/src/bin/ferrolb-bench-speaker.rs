//! FerroLB's BGP and BFD drivers with as many sessions as the lines of standard input say, a [`Wanted`]
//! each. When the input ends, the process does.
//!
//! Before the first line there are no drivers: what they take is the difference.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ferrolb_bench_bgp::{BfdLink, CONTENDER_ASN, DETECT_MULT, RECEIVER_ASN, Wanted};
use ferrolb_bfd::Timing;
use ferrolb_bgp::{BfdPolicy, BfdState, Config, HoldTime, RemoteAsn, Role, Route, Transport};
use ferrolb_peering::bfd::{self, BfdConfig, SessionPath};
use ferrolb_peering::bgp::{self, TransportOptions, WantedPeer};
use ferrolb_peering::{Bfd, BfdMetrics, Bgp, BgpMetrics};
use ferrolb_vocab::{Asn, BgpId, IpPrefix, ObjectName};
use ferrolb_wire::bfd::Interval;
use ferrolb_wire::bgp::{Families, PORT};

/// The drivers, and what they were told.
struct Speaker {
    bgp: Bgp,
    bfd: Bfd,
    routes: Arc<BTreeMap<IpPrefix, Arc<Route>>>,
    route: Arc<Route>,
}

fn main() -> Result<()> {
    let mut speaker = None;
    for line in io::stdin().lock().lines() {
        let wanted: Wanted = serde_json::from_str(&line?).context("a line is no Wanted")?;
        let speaker = match &mut speaker {
            Some(speaker) => speaker,
            none => none.insert(Speaker::start()?),
        };
        speaker.follow(&wanted)?;
    }
    Ok(())
}

impl Speaker {
    fn start() -> Result<Self> {
        Ok(Self {
            bgp: bgp::spawn(BgpMetrics::default())?,
            bfd: bfd::spawn(BfdConfig::default(), BfdMetrics::default())?,
            routes: Arc::default(),
            route: Arc::default(),
        })
    }

    fn follow(&mut self, wanted: &Wanted) -> Result<()> {
        self.tell(wanted.routes)?;
        let peers = wanted.peers.iter().map(|peer| self.peer(wanted.local, *peer));
        self.bgp.handle.set_peers(peers.collect::<Result<BTreeMap<_, _>>>()?);
        let sessions = wanted.bfd.iter().map(|link| session(*link, wanted.interval_ms));
        self.bfd.handle.set_sessions(sessions.collect::<Result<BTreeMap<_, _>>>()?);
        Ok(())
    }

    /// Has the first so many routes, and no others. A changed table is a copy, as each new plan of a
    /// speaker is.
    fn tell(&mut self, routes: u16) -> Result<()> {
        let table = Arc::make_mut(&mut self.routes);
        let known = u16::try_from(table.len()).context("there are more routes than numbers")?;
        for address in Wanted::prefixes(known..routes) {
            table.insert(prefix(address)?, Arc::clone(&self.route));
        }
        for address in Wanted::prefixes(routes..known) {
            table.remove(&prefix(address)?);
        }
        Ok(())
    }

    fn peer(&self, local: Ipv4Addr, remote: Ipv4Addr) -> Result<(ObjectName, WantedPeer)> {
        let config = Config {
            local_asn: Asn(CONTENDER_ASN),
            local_as: None,
            remote_asn: RemoteAsn::Exactly(Asn(RECEIVER_ASN)),
            bgp_id: BgpId::from_ipv4(local).context("0.0.0.0 is no BGP Identifier")?,
            transport: Transport {
                remote: SocketAddr::new(IpAddr::V4(remote), PORT),
                source: Some(IpAddr::V4(local)),
                interface: None,
            },
            role: Role::Active,
            families: Families::IPV4,
            extended_next_hop: false,
            next_hop_ipv4: None,
            next_hop_ipv6: None,
            hold_time: HoldTime::SUGGESTED,
            keepalive_time: None,
            connect_retry_time: Duration::from_secs(1),
            graceful_restart: None,
            hostname: None,
            bfd: BfdPolicy::Ignore,
        };
        let peer = WantedPeer {
            config,
            options: TransportOptions {
                ttl: NonZeroU8::MIN,
                password: None,
                min_ttl: None,
                listen_port: None,
                dead_link: None,
            },
            routes: Arc::clone(&self.routes),
            is_complete: true,
            is_shutting_down: false,
            bfd: BfdState::Down,
            has_restarted: false,
        };
        Ok((ObjectName::new("bench", remote.to_string()), peer))
    }
}

fn session(link: BfdLink, interval_ms: u32) -> Result<(SessionPath, ferrolb_bfd::Config)> {
    let interval = Interval::from_millis(interval_ms);
    let detect_mult = NonZeroU8::new(DETECT_MULT).context("Detect Mult is zero")?;
    let timing = Timing::new(interval, interval, detect_mult)?;
    let BfdLink { local, peer } = link;
    let path = SessionPath {
        peer: IpAddr::V4(peer),
        local: Some(IpAddr::V4(local)),
        interface: None,
        is_multihop: false,
    };
    Ok((path, ferrolb_bfd::Config { timing, ..ferrolb_bfd::Config::default() }))
}

fn prefix(address: Ipv4Addr) -> Result<IpPrefix> {
    IpPrefix::containing(IpAddr::V4(address), 32).context("no prefix of IPv4 has 32 bits")
}
