//! What is said on a link about who has an address: ARP (RFC 826, RFC 5227) and Neighbor Discovery
//! (RFC 4861), as tcpdump sees it. Frames are read here anew, not with FerroLB's own parser.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Cluster, eventually};

/// Longest beginning of a frame that tcpdump keeps: more than ARP and Neighbor Discovery need.
const SNAPSHOT_BYTES: &str = "256";
/// What is listened for after the first answer: one of a second owner would come within
/// milliseconds, the nodes being on the same switch.
const SECOND_ANSWER: Duration = Duration::from_millis(300);
const BROADCAST: [u8; 6] = [0xff; 6];

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who has the address? Asked by who wants to talk to it.
    Question,
    /// Does anybody have it? Asked by who wants to have it: an ARP Probe, or Duplicate Address Detection.
    Probe,
    /// An ARP reply or a Neighbor Advertisement, to the one who asked.
    Answer,
    /// The same unasked and to everybody.
    Announcement,
}

/// One frame about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was seen, since the epoch.
    pub at: Duration,
    /// What it is.
    pub kind: Kind,
    /// The address it is about.
    pub address: IpAddr,
    /// The Ethernet address that it came from.
    pub source: String,
    /// The Ethernet address that it says to be the sender's or the target's; none in a probe by Neighbor Discovery.
    pub claimed: Option<String>,
}

/// A running capture of one interface. It ends with this value.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Child,
    frames: Arc<Mutex<Vec<Frame>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// What was seen so far about `address`.
    ///
    /// # Panics
    /// When it is no address.
    #[must_use]
    pub fn about(&self, address: &str) -> Vec<Frame> {
        let address: IpAddr = address.parse().expect("an address");
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.iter().filter(|frame| frame.address == address).cloned().collect()
    }

    /// What was seen so far about `address`, of this kind.
    #[must_use]
    pub fn of(&self, kind: Kind, address: &str) -> Vec<Frame> {
        self.about(address).into_iter().filter(|frame| frame.kind == kind).collect()
    }

    /// Waits for an announcement of `address` by the station `mac`.
    pub fn wait_announcement(&self, address: &str, mac: &str) -> Frame {
        eventually(&format!("{mac} announces {address}"), || {
            let seen = self.of(Kind::Announcement, address);
            seen.iter().find(|frame| frame.source == mac).cloned().ok_or_else(|| format!("{seen:?}"))
        })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended; its reader ends with it either way.
        drop(self.tcpdump.kill());
        drop(self.tcpdump.wait());
        drop(self.reader.take().map(JoinHandle::join));
    }
}

impl Cluster {
    /// Starts to listen on a host's interface; returns when it hears.
    ///
    /// # Panics
    /// When tcpdump does not run.
    #[must_use]
    pub fn capture(&self, host: &str, interface: &str) -> Capture {
        let options = ["tcpdump", "-i", interface, "-U", "--immediate-mode", "-s", SNAPSHOT_BYTES, "-w", "-"];
        let argv = [&options[..], &["arp or icmp6"]].concat();
        let mut command = self.lab.command(host, &argv).expect("the host is up");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tcpdump = command.spawn().expect("`ip` starts");
        let stdout = tcpdump.stdout.take().expect("stdout is piped");
        let mut said = String::new();
        let mut stderr = BufReader::new(tcpdump.stderr.take().expect("stderr is piped"));
        while !said.contains("listening on") {
            let length = stderr.read_line(&mut said).expect("tcpdump writes text");
            assert!(length > 0, "tcpdump on {host} ended; `cargo xtask setup` installs it\n{said}");
        }
        let frames = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&frames);
        let reader = std::thread::spawn(move || {
            read_capture(BufReader::new(stdout), |frame| {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
            });
            // What tcpdump counts at its end must find a reader until then.
            drop(stderr);
        });
        Capture { tcpdump, frames, reader: Some(reader) }
    }

    /// The Ethernet address of a host's interface.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn mac(&self, host: &str, interface: &str) -> String {
        self.mac_if_any(host, interface).unwrap_or_else(|| panic!("{host} has no {interface}"))
    }

    fn mac_if_any(&self, host: &str, interface: &str) -> Option<String> {
        let path = format!("/sys/class/net/{interface}/address");
        let output = self.lab.exec(host, &["cat", &path]).ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Who answers when the client asks on `interface` who has `address`: `worker1/eth0`, or an
    /// Ethernet address that is no node's. Empty when the client, after a second, has to ask again.
    ///
    /// # Panics
    /// When an answer claims another Ethernet address than it comes from.
    #[must_use]
    pub fn answering(&self, interface: &str, address: &str) -> BTreeSet<String> {
        let capture = self.capture("client", interface);
        let argv = |verb| ["ip", "neigh", verb, address, "dev", interface];
        // Nothing to forget is fine as well.
        drop(self.lab.exec("client", &argv("del")));
        let ask = [&argv("replace")[..], &["use"]].concat();
        let asked = self.lab.exec("client", &ask).expect("the client is there");
        assert!(asked.status.success(), "{asked:?}");
        eventually(&format!("{address} is answered for, or asked for again"), || {
            let questions = capture.of(Kind::Question, address).len();
            // An announcement ends the client's asking too.
            let is_told = capture
                .about(address)
                .iter()
                .any(|frame| matches!(frame.kind, Kind::Answer | Kind::Announcement));
            let is_over = questions >= 2 || is_told;
            if is_over { Ok(()) } else { Err(format!("{questions} question(s)")) }
        });
        std::thread::sleep(SECOND_ANSWER);
        let answers = capture.of(Kind::Answer, address);
        for answer in &answers {
            assert_eq!(answer.claimed.as_ref(), Some(&answer.source), "{answer:?}");
        }
        answers.iter().map(|answer| self.station(&answer.source)).collect()
    }

    /// Waits until exactly these answer the client, as in [`Self::answering`].
    pub fn wait_answering(&self, interface: &str, address: &str, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|&station| station.to_owned()).collect();
        eventually(&format!("{expected:?} answer for {address} on {interface}"), || {
            let found = self.answering(interface, address);
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    /// The node and interface with this Ethernet address, as `worker1/eth0`.
    #[must_use]
    pub fn station(&self, mac: &str) -> String {
        let interfaces = ["eth0", "eth1"];
        let nodes = self.lab.node_names();
        let mut stations = nodes.iter().flat_map(|node| interfaces.map(|interface| (node, interface)));
        let found =
            stations.find(|(node, interface)| self.mac_if_any(node, interface).as_deref() == Some(mac));
        found.map_or_else(|| mac.to_owned(), |(node, interface)| format!("{node}/{interface}"))
    }
}

/// Reads a pcap stream (a header of 24 octets, then records) until it ends.
fn read_capture(mut stream: impl Read, mut see: impl FnMut(Frame)) {
    let mut header = [0; 24];
    let mut record = [0; 16];
    if stream.read_exact(&mut header).is_err() {
        return;
    }
    while stream.read_exact(&mut record).is_ok() {
        // The writer runs on this machine: its order of octets is ours.
        let field = |at: usize| {
            let octets = record[at..at + 4].try_into().expect("four octets");
            u32::from_ne_bytes(octets)
        };
        let at = Duration::from_secs(field(0).into()) + Duration::from_micros(field(4).into());
        let mut octets = vec![0; field(8) as usize];
        if stream.read_exact(&mut octets).is_err() {
            return;
        }
        if let Some(frame) = read_frame(at, &octets) {
            see(frame);
        }
    }
}

/// What a frame says about an address; nothing if it is about something else.
fn read_frame(at: Duration, octets: &[u8]) -> Option<Frame> {
    let destination = octets.get(..6)?;
    let source = mac(octets.get(6..12)?);
    let body = octets.get(14..)?;
    let (kind, address, claimed) = match octets.get(12..14)? {
        [0x08, 0x06] => read_arp(destination, body)?,
        [0x86, 0xdd] => read_neighbor_discovery(body)?,
        _ => return None,
    };
    Some(Frame { at, kind, address, source, claimed })
}

type Said = (Kind, IpAddr, Option<String>);

fn read_arp(destination: &[u8], arp: &[u8]) -> Option<Said> {
    let v4 = |octets: &[u8]| Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?));
    let is_request = arp.get(6..8)? == [0, 1];
    let sender = v4(arp.get(14..18)?)?;
    let target = v4(arp.get(24..28)?)?;
    let (kind, address) = if sender == target {
        (Kind::Announcement, sender)
    } else if is_request && sender.is_unspecified() {
        (Kind::Probe, target)
    } else if is_request {
        (Kind::Question, target)
    } else if destination == BROADCAST {
        (Kind::Announcement, sender)
    } else {
        (Kind::Answer, sender)
    };
    Some((kind, address.into(), Some(mac(arp.get(8..14)?))))
}

fn read_neighbor_discovery(packet: &[u8]) -> Option<Said> {
    let v6 = |octets: &[u8]| Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?));
    // ICMPv6, and a hop limit that no router has lowered (RFC 4861 §7.1).
    if packet.get(6..8)? != [58, 255] {
        return None;
    }
    let source = v6(packet.get(8..24)?)?;
    let message = packet.get(40..)?;
    let target = v6(message.get(8..24)?)?;
    let solicited = message.get(4)? & 0x40 != 0;
    let kind = match message.first()? {
        135 if source.is_unspecified() => Kind::Probe,
        135 => Kind::Question,
        136 if solicited => Kind::Answer,
        136 => Kind::Announcement,
        _ => return None,
    };
    // The first option of either is the link-layer address, of one unit of eight octets.
    let claimed = message.get(24..32).filter(|option| matches!(option, [1 | 2, 1, ..]));
    Some((kind, target.into(), claimed.map(|option| mac(&option[2..]))))
}

fn mac(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}
