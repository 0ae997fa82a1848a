//! FerroLB's BGP and BFD drivers with one session, for whoever writes a line of JSON.
//!
//! Reads [`Command`]s from standard input and prints a [`View`] whenever it has changed. What a speaker
//! does beside that is here one function: what BFD says goes to BGP.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ferrolb_bfd::Timing;
use ferrolb_bgp::{
    BfdPolicy, BfdState, Config, GracefulRestartConfig, HoldTime, RemoteAsn, Role, Route, Transport,
};
use ferrolb_interop::{BfdTiming, BfdView, Command, Description, RouteDescription, View};
use ferrolb_peering::bfd::{self, BfdConfig, SessionPath, SessionStatus};
use ferrolb_peering::bgp::{self, Password, PeerStatus, TransportOptions, WantedPeer};
use ferrolb_peering::{BfdHandle, BfdMetrics, BgpHandle, BgpMetrics};
use ferrolb_vocab::{Asn, BgpId, Community, IpPrefix, LargeCommunity, ObjectName};
use ferrolb_wire::bfd::{Interval, State};
use tokio::sync::mpsc::{self, Receiver};

/// The port that routers listen on, RFC 4271 §8.
const BGP_PORT: u16 = 179;

/// How long the router keeps routes while this side restarts, in seconds: beyond any scenario.
const RESTART_TIME: u16 = 120;

/// Lines that wait to be followed.
const COMMANDS_MAX: usize = 8;

/// What is wanted now.
struct Wanted {
    peer: WantedPeer,
    bfd: Option<(SessionPath, ferrolb_bfd::Config)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log of the scenario; who has closed it does not want to know.
            let _written = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what is told until the input ends or says to leave.
async fn run() -> Result<()> {
    let mut commands = commands();
    let mut bgp = bgp::spawn(BgpMetrics::default())?;
    let mut bfd = bfd::spawn(BfdConfig::default(), BfdMetrics::default())?;
    let name = ObjectName::new("interop", "router");
    let mut wanted = None;
    let mut told = None;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return Ok(()),
                Some(Command::Leave(text)) => {
                    bgp.handle.leave(Some(text.into())).await;
                    bfd.handle.leave().await;
                    return Ok(());
                }
                Some(Command::Speak(description)) => wanted = Some(Wanted::of(&description)?),
            },
            changed = bgp.view.changed() => changed.context("the BGP thread has ended")?,
            changed = bfd.view.changed() => changed.context("the BFD thread has ended")?,
            // Counts change without a word.
            () = tokio::time::sleep(bgp::VIEW_INTERVAL) => {}
        }
        let Some(wanted) = &mut wanted else { continue };
        let bfd_status = wanted.bfd.as_ref().and_then(|(path, _)| {
            let view = bfd.view.borrow_and_update();
            view.sessions.get(path).cloned()
        });
        wanted.follow(bfd_status.as_ref(), &name, &bgp.handle, &bfd.handle);
        let status = bgp.view.borrow_and_update().peers.get(&name).cloned();
        let view = status.map(|status| view(&status, bfd_status.as_ref()));
        if let Some(view) = view
            && told.as_ref() != Some(&view)
        {
            let line = serde_json::to_string(&view)? + "\n";
            let mut stdout = io::stdout().lock();
            stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).context("print a view")?;
            told = Some(view);
        }
    }
}

/// The lines of standard input, read by a thread that ends with it.
fn commands() -> Receiver<Command> {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(command) => drop(sender.blocking_send(command)),
                Err(error) => {
                    let _written = writeln!(io::stderr(), "error: {error}: {line}");
                    return;
                }
            }
        }
    });
    receiver
}

impl Wanted {
    fn of(description: &Description) -> Result<Self> {
        let Description { local, remote, .. } = *description;
        let routes: Result<BTreeMap<_, _>> = description.routes.iter().map(route).collect();
        let peer = WantedPeer {
            config: config(description)?,
            options: TransportOptions {
                // What a router on the link sends itself: to an external peer no further than the link.
                ttl: if description.local_asn == description.remote_asn {
                    NonZeroU8::MAX
                } else {
                    NonZeroU8::MIN
                },
                password: description.password.as_ref().map(|key| Password::new(key.as_bytes())),
                min_ttl: None,
                listen_port: None,
                dead_link: None,
            },
            routes: Arc::new(routes?),
            is_complete: true,
            is_shutting_down: false,
            bfd: BfdState::Down,
            has_restarted: description.has_restarted,
        };
        let bfd = description.bfd.map(|BfdTiming { interval_ms, detect_mult }| {
            let interval = Interval::from_millis(interval_ms);
            let detect_mult = NonZeroU8::new(detect_mult).context("detect_mult is zero")?;
            let timing = Timing::new(interval, interval, detect_mult)?;
            let path = SessionPath { peer: remote, local: Some(local), interface: None, is_multihop: false };
            Ok::<_, anyhow::Error>((path, ferrolb_bfd::Config { timing, ..ferrolb_bfd::Config::default() }))
        });
        Ok(Self { peer, bfd: bfd.transpose()? })
    }

    /// Says to both drivers what is wanted, with what BFD says.
    fn follow(
        &mut self,
        bfd_status: Option<&SessionStatus>,
        name: &ObjectName,
        bgp: &BgpHandle,
        bfd: &BfdHandle,
    ) {
        self.peer.bfd = bfd_status.map_or(BfdState::Down, bfd_state);
        bgp.set_peers([(name.clone(), self.peer.clone())].into());
        bfd.set_sessions(self.bfd.clone().into_iter().collect());
    }
}

fn config(description: &Description) -> Result<Config> {
    let bgp_id = BgpId::from_ipv4(description.next_hop_ipv4).context("0.0.0.0 is no BGP Identifier")?;
    Ok(Config {
        local_asn: Asn(description.local_asn),
        local_as: None,
        remote_asn: RemoteAsn::Exactly(Asn(description.remote_asn)),
        bgp_id,
        transport: Transport {
            remote: SocketAddr::new(description.remote, BGP_PORT),
            source: Some(description.local),
            interface: None,
        },
        role: Role::Active,
        families: ferrolb_wire::bgp::Families::ALL,
        extended_next_hop: false,
        next_hop_ipv4: Some(description.next_hop_ipv4),
        next_hop_ipv6: Some(description.next_hop_ipv6),
        hold_time: HoldTime::new(description.hold_time)?,
        keepalive_time: None,
        connect_retry_time: Duration::from_secs(1),
        graceful_restart: Some(GracefulRestartConfig {
            restart_time: RESTART_TIME,
            forwarding: ferrolb_wire::bgp::Families::ALL,
            notification: false,
        }),
        hostname: None,
        bfd: if description.bfd.is_some() { BfdPolicy::Follow } else { BfdPolicy::Ignore },
    })
}

fn route(description: &RouteDescription) -> Result<(IpPrefix, Arc<Route>)> {
    let communities = description.communities.iter().map(|text| text.parse::<Community>());
    let large_communities = description.large_communities.iter().map(|text| text.parse::<LargeCommunity>());
    let route = Route {
        local_pref: description.local_pref,
        communities: communities.collect::<Result<_, _>>()?,
        large_communities: large_communities.collect::<Result<_, _>>()?,
        link_bandwidth: None,
    };
    Ok((description.prefix.parse()?, Arc::new(route)))
}

/// What a BFD session says to BGP: RFC 5882 §4.2.
fn bfd_state(status: &SessionStatus) -> BfdState {
    let has_failed = status.down.is_none_or(|why| why.is_failure());
    match (status.state, status.remote_state) {
        (State::Up, _) => BfdState::Up,
        (State::Down | State::Init, State::Down | State::Init | State::Up) if has_failed => BfdState::Down,
        (State::Down | State::Init | State::AdminDown, _) => BfdState::AdminDown,
    }
}

fn view(status: &PeerStatus, bfd: Option<&SessionStatus>) -> View {
    let session = &status.session;
    let negotiated = session.negotiated.as_deref();
    View {
        state: session.state.to_string(),
        established: session.established,
        last_lost: session.last_lost.as_ref().map(|lost| lost.reason.reason().to_owned()),
        error: status.error.as_ref().map(|error| error.reason().to_owned()),
        four_octet_as: negotiated.is_some_and(|negotiated| negotiated.four_octet_as),
        graceful_restart: negotiated.is_some_and(|negotiated| negotiated.graceful_restart.is_some()),
        hold_time: negotiated.and_then(|negotiated| negotiated.hold_time).map(|time| time.as_secs()),
        end_of_rib: session.routes.end_of_rib.iter().map(|family| family.name().to_owned()).collect(),
        reachable: session.routes.reachable,
        erroneous: session.routes.treated_as_withdraw + session.routes.attributes_discarded,
        route_refreshes: session.received.route_refresh,
        updates_sent: session.sent.update,
        pending: session.ipv4.pending + session.ipv6.pending,
        bfd: bfd.map(|status| BfdView {
            state: format!("{:?}", status.state),
            remote_state: format!("{:?}", status.remote_state),
            downs: status.counts.downs,
            down: status.down.map(|why| why.reason().to_owned()),
            detection_time_us: status.detection_time.map(|time| time.as_micros()),
            error: status.error.as_ref().map(ToString::to_string),
        }),
    }
}
