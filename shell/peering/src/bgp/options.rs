//! What a TCP connection to a peer needs that means nothing to BGP, and how the system is told.
//!
//! socket2 has no words for TCP-MD5 and for the least Time to Live. They are defined here with the macro
//! that nix defines its own options with: ADR 0019.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16};
use std::{fmt, io};

use ferrolb_vocab::{InterfaceName, IpPrefix};
use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::socket::setsockopt;
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use socket2::{SockAddr, SockAddrStorage, Socket};

use super::PeerError;
use super::socket::errno;

/// What a TCP connection to a peer needs that means nothing to BGP. A change counts at once, for a
/// session too, which goes on, but for that of a dead link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportOptions {
    /// Time to Live or Hop Limit of what is sent: 1 for an external peer on the link, 255 for others
    /// and where the peer checks it (RFC 5082).
    pub ttl: NonZeroU8,
    /// The least Time to Live or Hop Limit of what is taken from a peer that sends 255: 255 where it is on
    /// the link, one less for each router between (RFC 5082 §3, §5.5). `None` for any.
    pub min_ttl: Option<NonZeroU8>,
    /// The key of TCP-MD5, RFC 2385, which knows no time in which two of them hold: when it changes, the
    /// router has until the hold time is over to change its own.
    pub password: Option<Password>,
    /// The port on which the peer may connect to this side, 179 as a rule, at the address that this side
    /// would connect from. `None`: nothing listens for it.
    pub listen_port: Option<NonZeroU16>,
    /// The interface that the peer is on, if it is down or has no carrier. A session ends with it and not
    /// with the hold time, as if TCP had failed (RFC 4271 §8.1.4, TcpConnectionFails), and the next begins
    /// when the interface carries again.
    pub dead_link: Option<InterfaceName>,
}

/// The key of TCP-MD5, of 1 to 80 octets: with another number of them there is no connection. It shows
/// itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

/// The longest key, in octets (`TCP_MD5SIG_MAXKEYLEN`).
const KEY_MAX: usize = 80;

sockopt_impl!(
    /// With which key segments to and from an address are signed.
    TcpMd5Sig,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_MD5SIG,
    Signature
);

sockopt_impl!(
    /// With which key segments to and from all addresses of a prefix are signed.
    TcpMd5SigExt,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_MD5SIG_EXT,
    Signature
);

/// `TCP_MD5SIG_FLAG_PREFIX` of `linux/tcp.h`: the length of the prefix counts.
const FLAG_PREFIX: u8 = 1;

sockopt_impl!(
    /// The least Time to Live of what is taken.
    IpMinTtl,
    Both,
    libc::IPPROTO_IP,
    libc::IP_MINTTL,
    c_int
);

sockopt_impl!(
    /// The least Hop Limit of what is taken.
    Ipv6MinHopCount,
    Both,
    libc::IPPROTO_IPV6,
    libc::IPV6_MINHOPCOUNT,
    c_int
);

/// `struct tcp_md5sig` of Linux: `linux/tcp.h`.
#[repr(C)]
#[expect(unreachable_pub, reason = "an option of nix is public, and so is what it takes")]
pub struct Signature {
    tcpm_addr: SockAddrStorage,
    tcpm_flags: u8,
    tcpm_prefixlen: u8,
    tcpm_keylen: u16,
    tcpm_ifindex: c_int,
    tcpm_key: [u8; KEY_MAX],
}

const _: () = assert!(size_of::<Signature>() == 216);

impl TransportOptions {
    /// Has a socket, connected or not, send to and take from a peer at `remote` only what these say.
    ///
    /// # Errors
    /// The system refuses it, or there is no link to the peer.
    pub(super) fn apply(&self, socket: &Socket, remote: IpAddr) -> Result<(), PeerError> {
        if let Some(interface) = &self.dead_link {
            return Err(PeerError::LinkDown(interface.clone()));
        }
        set_ttl(socket, remote, self.ttl).map_err(|error| PeerError::Socket(errno(error)))?;
        set_min_ttl(socket, remote, self.min_ttl).map_err(PeerError::Socket)?;
        sign(socket, remote, self.password.as_ref()).map_err(PeerError::Password)
    }
}

/// Changes the Time to Live or Hop Limit of what is sent to `remote`.
///
/// # Errors
/// The system refuses it.
pub(super) fn set_ttl(socket: &Socket, remote: IpAddr, ttl: NonZeroU8) -> io::Result<()> {
    let ttl = u32::from(ttl.get());
    if remote.is_ipv6() { socket.set_unicast_hops_v6(ttl) } else { socket.set_ttl_v4(ttl) }
}

/// Takes nothing more from `remote` whose Time to Live or Hop Limit is less.
fn set_min_ttl(socket: &Socket, remote: IpAddr, min_ttl: Option<NonZeroU8>) -> Result<(), Errno> {
    let least = c_int::from(min_ttl.map_or(0, NonZeroU8::get));
    if remote.is_ipv6() {
        setsockopt(socket, Ipv6MinHopCount, &least)
    } else {
        setsockopt(socket, IpMinTtl, &least)
    }
}

/// Signs what goes to `remote` with a key, and takes nothing from there that is not signed with it. `None`
/// ends that.
///
/// # Errors
/// The system refuses the key.
pub(super) fn sign(socket: &Socket, remote: IpAddr, password: Option<&Password>) -> Result<(), Errno> {
    unless_unsigned(setsockopt(socket, TcpMd5Sig, &Signature::new(remote, password)?), password)
}

/// The same for all who connect from the addresses of a prefix. A key for one address, or for a longer prefix,
/// counts before it.
///
/// # Errors
/// The system refuses the key.
pub(super) fn sign_range(
    socket: &Socket,
    remotes: IpPrefix,
    password: Option<&Password>,
) -> Result<(), Errno> {
    if remotes.length() == remotes.family().bits() {
        return sign(socket, remotes.network(), password);
    }
    let mut signature = Signature::new(remotes.network(), password)?;
    (signature.tcpm_flags, signature.tcpm_prefixlen) = (FLAG_PREFIX, remotes.length());
    unless_unsigned(setsockopt(socket, TcpMd5SigExt, &signature), password)
}

/// To lay a key off where nothing was signed, or the kernel cannot, is no error.
const fn unless_unsigned(set: Result<(), Errno>, password: Option<&Password>) -> Result<(), Errno> {
    match set {
        Err(Errno::ENOENT | Errno::ENOPROTOOPT) if password.is_none() => Ok(()),
        Ok(()) | Err(_) => set,
    }
}

impl Signature {
    /// # Errors
    /// The key is too long. One that is empty would take the key away.
    fn new(remote: IpAddr, password: Option<&Password>) -> Result<Self, Errno> {
        let mut signature = Self {
            tcpm_addr: SockAddr::from(SocketAddr::new(remote, 0)).as_storage(),
            tcpm_flags: 0,
            tcpm_prefixlen: 0,
            tcpm_keylen: 0,
            tcpm_ifindex: 0,
            tcpm_key: [0; KEY_MAX],
        };
        if let Some(Password(key)) = password {
            let room = signature.tcpm_key.get_mut(..key.len()).ok_or(Errno::EINVAL)?;
            room.copy_from_slice(key);
            let length = u16::try_from(key.len()).ok().filter(|length| *length > 0);
            signature.tcpm_keylen = length.ok_or(Errno::EINVAL)?;
        }
        Ok(signature)
    }
}

impl Password {
    /// The key of these octets.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The least Time to Live or Hop Limit of what a socket takes.
#[cfg(test)]
pub(super) fn min_ttl(socket: &Socket, remote: IpAddr) -> c_int {
    use nix::sys::socket::getsockopt;
    let least =
        if remote.is_ipv6() { getsockopt(socket, Ipv6MinHopCount) } else { getsockopt(socket, IpMinTtl) };
    least.unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::tests::router::{Router, wanted};
    use crate::bgp::{Bgp, BgpMetrics, BgpView, WantedPeer, spawn};
    use ferrolb_vocab::ObjectName;
    use prometheus_client::registry::Registry;
    use socket2::{Domain, Type};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;
    use tokio::time::timeout;

    /// Beyond any time that a session may take to end on a busy machine.
    const DEADLINE: Duration = Duration::from_secs(30);

    /// A socket that listens on loopback, and its address; `None` on a host without the family.
    fn listener(address: &str) -> Option<(Socket, SocketAddr)> {
        let address: SocketAddr = address.parse().unwrap();
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&address.into()).ok()?;
        socket.listen(1).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Some((socket, address))
    }

    #[test]
    fn two_ends_with_the_same_key_connect_and_may_change_it_and_lay_it_off() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Some((listener, address)) = listener(address) else {
                println!("this host lacks the family of {address}");
                continue;
            };
            let remote = address.ip();
            let client = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
            let password = Password::new(&[b'x'; KEY_MAX]);
            for end in [&listener, &client] {
                sign(end, remote, Some(&password)).unwrap();
            }
            client.connect(&address.into()).unwrap();
            let (mut accepted, _) = TcpListener::from(listener).accept().unwrap();
            let mut client = TcpStream::from(client);
            for password in [Some(&password), Some(&Password::new(b"y")), None] {
                for end in [&client, &accepted] {
                    sign(&socket2::SockRef::from(end), remote, password).unwrap();
                }
                client.write_all(b"?").unwrap();
                accepted.read_exact(&mut [0]).unwrap();
            }
        }
    }

    #[test]
    fn a_key_of_a_prefix_is_that_of_its_addresses_but_for_those_that_have_one() {
        let (listener, address) = listener("127.0.0.1:0").unwrap();
        let [range, host] = [b"range", b"other"].map(|octets| Password::new(octets));
        let prefix = |text: &str| text.parse::<IpPrefix>().unwrap();
        sign_range(&listener, prefix("127.7.0.0/16"), Some(&range)).unwrap();
        sign_range(&listener, prefix("127.7.0.9/32"), Some(&host)).unwrap();
        for (from, password) in [("127.7.0.1", Some(&range)), ("127.7.0.9", Some(&host)), ("127.8.0.1", None)]
        {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let from: SocketAddr = format!("{from}:0").parse().unwrap();
            client.bind(&from.into()).unwrap();
            sign(&client, address.ip(), password).unwrap();
            client.connect_timeout(&address.into(), DEADLINE).expect("it is heard");
            // There is room for two who are not accepted.
            listener.accept().unwrap();
        }
        assert_eq!(sign_range(&listener, prefix("127.7.0.0/16"), None), Ok(()));
        assert_eq!(sign_range(&listener, prefix("127.7.0.0/16"), None), Ok(()), "it is laid off already");
    }

    #[test]
    fn a_key_has_1_to_80_octets() {
        let (socket, address) = listener("127.0.0.1:0").unwrap();
        for octets in [0, KEY_MAX + 1, 70_000] {
            let password = Password::new(&vec![b'x'; octets]);
            assert_eq!(sign(&socket, address.ip(), Some(&password)), Err(Errno::EINVAL), "{octets}");
        }
        assert_eq!(sign(&socket, address.ip(), None), Ok(()), "who has no key need not lay it off");
    }

    #[tokio::test]
    async fn a_session_ends_with_its_link_and_another_begins_when_that_carries_again() {
        let router = Router::listen().await;
        let alive = wanted(router.address());
        let options = TransportOptions { dead_link: Some("eth7".into()), ..alive.options.clone() };
        let dead = WantedPeer { options, ..alive.clone() };
        let tor = ObjectName::new("metallb-system", "tor");
        let metrics = BgpMetrics::register(&mut Registry::default());
        let Bgp { handle, mut view, events: _events } = spawn(metrics).unwrap();
        handle.set_peers([(tor.clone(), alive.clone())].into());
        let mut session = router.establish().await;

        handle.set_peers([(tor.clone(), dead)].into());
        assert_eq!(session.last_word().await.to_string(), "Cease/Administrative Reset");
        let is_told = |view: &BgpView| view.peers[&tor].error == Some(PeerError::LinkDown("eth7".into()));
        timeout(DEADLINE, view.wait_for(is_told)).await.expect("the link is blamed").unwrap();

        handle.set_peers([(tor, alive)].into());
        router.establish().await;
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", Some(Password::new(b"hunter2"))), "Some(***)");
    }
}
