//! A session over the loopback interface, and the router at its other end.

use std::net::Ipv4Addr;
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use ferrolb_bgp::{
    BfdPolicy, BfdState, Config, HoldTime, LinkBandwidth, RemoteAsn, Role, Route, State, Status,
    Transitivity, Transport,
};
use ferrolb_peering::bgp::{self, Bgp, PeerStatus, TransportOptions, WantedPeer};
use ferrolb_peering::{BgpMetrics, BgpView};
use ferrolb_vocab::{Asn, BgpId, ObjectName};
use ferrolb_wire::bgp::{
    Attributes, Capabilities, EncodedAttributes, Families, Family, NextHop, Open, Origin, emit_end_of_rib,
    emit_reachable, keepalive,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::timeout;

/// Beyond any time that a session may take on a busy machine, so that a hanging test ends.
pub(in crate::speaker::inspect) const DEADLINE: Duration = Duration::from_secs(30);

pub(in crate::speaker::inspect) fn tor() -> ObjectName {
    ObjectName::new("metallb-system", "tor")
}

/// A router that listens there, and is to know a route with all that one can have.
fn wanted(listener: &TcpListener) -> WantedPeer {
    let route = Route {
        local_pref: Some(200),
        communities: ["64512:7".parse().unwrap()].into(),
        large_communities: ["64512:1:2".parse().unwrap()].into(),
        link_bandwidth: Some(LinkBandwidth {
            weight: NonZeroU32::new(3).unwrap(),
            transitivity: Transitivity::Transitive,
        }),
    };
    let remote = listener.local_addr().unwrap();
    WantedPeer {
        config: Config {
            local_asn: Asn(64_512),
            local_as: None,
            remote_asn: RemoteAsn::External,
            bgp_id: BgpId::from_ipv4(Ipv4Addr::new(192, 0, 2, 1)).unwrap(),
            transport: Transport { remote, source: None, interface: None },
            role: Role::Active,
            families: Families::IPV4,
            extended_next_hop: false,
            // The session's own end is of no use to anybody else.
            next_hop_ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            next_hop_ipv6: None,
            hold_time: HoldTime::SUGGESTED,
            keepalive_time: None,
            connect_retry_time: Duration::from_secs(120),
            graceful_restart: None,
            hostname: Some("node-1".into()),
            bfd: BfdPolicy::Ignore,
        },
        options: TransportOptions {
            ttl: NonZeroU8::MIN,
            min_ttl: None,
            password: None,
            listen_port: None,
            dead_link: None,
        },
        routes: Arc::new([("198.51.100.1/32".parse().unwrap(), Arc::new(route))].into()),
        is_complete: true,
        is_shutting_down: false,
        bfd: BfdState::AdminDown,
        has_restarted: true,
    }
}

/// All that a router says that agrees to a session, in AS 64513, and tells one route.
fn agreement() -> Vec<u8> {
    let capabilities = Capabilities {
        four_octet_asn: Some(Asn(64_513)),
        families: Some(Families::IPV4),
        ..Capabilities::default()
    };
    let bgp_id = BgpId::from_ipv4(Ipv4Addr::new(192, 0, 2, 2)).unwrap();
    let open = Open { asn: Asn(64_513), hold_time: 90, bgp_id, capabilities };
    let attributes = Attributes {
        origin: Origin::Igp,
        as_path: vec![Asn(64_513)],
        next_hop: NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 2)),
        multi_exit_disc: None,
        local_pref: None,
        communities: vec![],
        large_communities: vec![],
        extended_communities: vec![],
    };
    let attributes = EncodedAttributes::new(&attributes, true).unwrap();
    let mut octets = [open.emit(), keepalive().into()].concat();
    let mut prefixes = ["203.0.113.0/24".parse().unwrap()].into_iter().peekable();
    assert_eq!(emit_reachable(&attributes, Family::Ipv4Unicast, &mut prefixes, &mut octets), 1);
    emit_end_of_rib(Family::Ipv4Unicast, &mut octets);
    octets
}

/// A running driver with a session, in which both sides tell a route.
pub(in crate::speaker::inspect) struct Session {
    pub(in crate::speaker::inspect) bgp: Bgp,
    pub(in crate::speaker::inspect) router: TcpStream,
    pub(in crate::speaker::inspect) wanted: WantedPeer,
}

impl Session {
    pub(in crate::speaker::inspect) async fn establish() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bgp = bgp::spawn(BgpMetrics::default()).unwrap();
        let wanted = wanted(&listener);
        bgp.handle.set_peers([(tor(), wanted.clone())].into());
        let (mut router, _) = timeout(DEADLINE, listener.accept()).await.expect("it connects").unwrap();
        router.write_all(&agreement()).await.unwrap();
        let session = Self { bgp, router, wanted };
        let is_settled = |status: &Status| {
            let is_told = status.ipv4.advertised == 1 && status.ipv4.pending == 0;
            status.state == State::Established && is_told && status.routes.end_of_rib == Families::IPV4
        };
        session.comes_to(is_settled).await;
        session
    }

    /// Waits until the peer is as expected. Counts wake nobody.
    pub(in crate::speaker::inspect) async fn comes_to(
        &self,
        is_expected: impl Fn(&Status) -> bool,
    ) -> PeerStatus {
        let shown = |view: &BgpView| view.peers.get(&tor()).cloned();
        let comes = async {
            loop {
                let status = shown(&self.bgp.view.borrow()).filter(|status| is_expected(&status.session));
                match status {
                    Some(status) => break status,
                    None => yield_now().await,
                }
            }
        };
        timeout(DEADLINE, comes).await.expect("it comes to that")
    }
}
