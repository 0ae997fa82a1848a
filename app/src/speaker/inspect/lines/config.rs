//! The configuration of a BGP peer as JSON. No IO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use ferrolb_bgp::{BfdPolicy, Config, GracefulRestartConfig, RemoteAsn, Role, Transport};
use ferrolb_wire::bgp::Families;
use serde::Serialize;

/// All of [`Config`], which has no secret: the key of TCP-MD5 is none of its own.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigLine {
    local_asn: u32,
    local_as: Option<u32>,
    /// A number, `internal` or `external`.
    remote_asn: String,
    bgp_id: Ipv4Addr,
    remote: SocketAddr,
    source: Option<IpAddr>,
    interface: Option<String>,
    is_passive: bool,
    families: FamiliesLine,
    extended_next_hop: bool,
    next_hop_ipv4: Option<Ipv4Addr>,
    next_hop_ipv6: Option<Ipv6Addr>,
    hold_time_seconds: u16,
    keepalive_time_seconds: Option<NonZeroU16>,
    connect_retry_time_seconds: u64,
    graceful_restart: Option<GracefulRestartLine>,
    hostname: Option<String>,
    /// `ignore`, `follow` or `strict`.
    bfd: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
struct GracefulRestartLine {
    restart_time_seconds: u16,
    forwarding: FamiliesLine,
    notification: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
struct FamiliesLine {
    ipv4: bool,
    ipv6: bool,
}

impl ConfigLine {
    pub(super) fn of(config: &Config) -> Self {
        // All fields by name: one that is new must not be missing here.
        let Config {
            local_asn,
            local_as,
            remote_asn,
            bgp_id,
            transport: Transport { remote, source, interface },
            role,
            families,
            extended_next_hop,
            next_hop_ipv4,
            next_hop_ipv6,
            hold_time,
            keepalive_time,
            connect_retry_time,
            graceful_restart,
            hostname,
            bfd,
        } = config;
        Self {
            local_asn: local_asn.0,
            local_as: local_as.map(|asn| asn.0),
            remote_asn: match remote_asn {
                RemoteAsn::Exactly(asn) => asn.to_string(),
                RemoteAsn::Internal => INTERNAL.to_owned(),
                RemoteAsn::External => EXTERNAL.to_owned(),
            },
            bgp_id: Ipv4Addr::from_bits(bgp_id.get()),
            remote: *remote,
            source: *source,
            interface: interface.as_ref().map(ToString::to_string),
            is_passive: *role == Role::Passive,
            families: FamiliesLine::of(*families),
            extended_next_hop: *extended_next_hop,
            next_hop_ipv4: *next_hop_ipv4,
            next_hop_ipv6: *next_hop_ipv6,
            hold_time_seconds: hold_time.seconds(),
            keepalive_time_seconds: *keepalive_time,
            connect_retry_time_seconds: connect_retry_time.as_secs(),
            graceful_restart: graceful_restart.as_ref().map(GracefulRestartLine::of),
            hostname: hostname.as_deref().map(ToOwned::to_owned),
            bfd: match bfd {
                BfdPolicy::Ignore => IGNORE,
                BfdPolicy::Follow => FOLLOW,
                BfdPolicy::Strict => STRICT,
            }
            .to_owned(),
        }
    }
}

impl GracefulRestartLine {
    fn of(config: &GracefulRestartConfig) -> Self {
        let GracefulRestartConfig { restart_time, forwarding, notification } = *config;
        Self { restart_time_seconds: restart_time, forwarding: FamiliesLine::of(forwarding), notification }
    }
}

impl FamiliesLine {
    const fn of(Families { ipv4, ipv6 }: Families) -> Self {
        Self { ipv4, ipv6 }
    }
}

const INTERNAL: &str = "internal";
const EXTERNAL: &str = "external";
const IGNORE: &str = "ignore";
const FOLLOW: &str = "follow";
const STRICT: &str = "strict";

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_bgp::HoldTime;
    use ferrolb_vocab::{Asn, BgpId, InterfaceName};
    use std::time::Duration;

    impl ConfigLine {
        /// What it was made of.
        pub(in super::super) fn config(self) -> Config {
            Config {
                local_asn: Asn(self.local_asn),
                local_as: self.local_as.map(Asn),
                remote_asn: match self.remote_asn.as_str() {
                    INTERNAL => RemoteAsn::Internal,
                    EXTERNAL => RemoteAsn::External,
                    asn => RemoteAsn::Exactly(asn.parse().unwrap()),
                },
                bgp_id: BgpId::from_ipv4(self.bgp_id).unwrap(),
                transport: Transport {
                    remote: self.remote,
                    source: self.source,
                    interface: self.interface.map(InterfaceName::from),
                },
                role: if self.is_passive { Role::Passive } else { Role::Active },
                families: self.families.families(),
                extended_next_hop: self.extended_next_hop,
                next_hop_ipv4: self.next_hop_ipv4,
                next_hop_ipv6: self.next_hop_ipv6,
                hold_time: HoldTime::new(self.hold_time_seconds).unwrap(),
                keepalive_time: self.keepalive_time_seconds,
                connect_retry_time: Duration::from_secs(self.connect_retry_time_seconds),
                graceful_restart: self.graceful_restart.map(|restart| GracefulRestartConfig {
                    restart_time: restart.restart_time_seconds,
                    forwarding: restart.forwarding.families(),
                    notification: restart.notification,
                }),
                hostname: self.hostname.map(Into::into),
                bfd: match self.bfd.as_str() {
                    IGNORE => BfdPolicy::Ignore,
                    FOLLOW => BfdPolicy::Follow,
                    STRICT => BfdPolicy::Strict,
                    other => panic!("{other}"),
                },
            }
        }
    }

    impl FamiliesLine {
        fn families(&self) -> Families {
            Families { ipv4: self.ipv4, ipv6: self.ipv6 }
        }
    }

    /// With a value everywhere that is not the default.
    fn config() -> Config {
        Config {
            local_asn: Asn(4_200_000_000),
            local_as: Some(Asn(64_512)),
            remote_asn: RemoteAsn::Exactly(Asn(64_513)),
            bgp_id: BgpId::from_ipv4(Ipv4Addr::new(192, 0, 2, 1)).unwrap(),
            transport: Transport {
                remote: "[fe80::1]:1790".parse().unwrap(),
                source: Some("2001:db8::1".parse().unwrap()),
                interface: Some("red".into()),
            },
            role: Role::Passive,
            families: Families::IPV6,
            extended_next_hop: true,
            next_hop_ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            next_hop_ipv6: Some("2001:db8::1".parse().unwrap()),
            hold_time: HoldTime::new(9).unwrap(),
            keepalive_time: NonZeroU16::new(3),
            connect_retry_time: Duration::from_secs(10),
            graceful_restart: Some(GracefulRestartConfig {
                restart_time: 120,
                forwarding: Families::IPV4,
                notification: true,
            }),
            hostname: Some("node-1".into()),
            bfd: BfdPolicy::Strict,
        }
    }

    #[test]
    fn a_configuration_is_read_as_it_was_written() {
        let other = Config {
            local_as: None,
            remote_asn: RemoteAsn::External,
            role: Role::Active,
            keepalive_time: None,
            graceful_restart: None,
            hostname: None,
            bfd: BfdPolicy::Follow,
            ..config()
        };
        for config in [config(), other] {
            let text = serde_json::to_string(&ConfigLine::of(&config)).unwrap();
            let read: ConfigLine = serde_json::from_str(&text).unwrap();
            assert_eq!(read.config(), config, "{text}");
        }
    }
}
