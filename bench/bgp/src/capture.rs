//! BFD packets on the cable: tcpdump writes them to a file as they pass, with the kernel's time, and
//! this reads it meanwhile.

use std::fs::{self, File};
use std::io::Read;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrolb_interop::stage::Daemon;
use ferrolb_interop::wait::until;
use ferrolb_interop::{Host, Stage};
use ferrolb_wire::bfd::Control;

/// A running tcpdump at a host's end of the cable; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Capture {
    _tcpdump: Daemon,
    file: File,
    /// What was read and is no whole record yet.
    rest: Vec<u8>,
    packets: Vec<Packet>,
}

/// A BFD Control packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// When it passed, since 1970.
    pub(crate) at: Duration,
    pub(crate) source: Ipv4Addr,
    pub(crate) control: Control,
}

impl Capture {
    /// Sees what arrives at a host and what it sends, from now on.
    pub(crate) fn start(stage: &Stage, host: Host) -> Result<Self> {
        let name = match host {
            Host::Speaker => "speaker.pcap",
            Host::Router => "router.pcap",
        };
        let path = stage.outside(name);
        // An earlier one's, if there was one.
        let _removed = fs::remove_file(&path);
        let mut tcpdump = stage.on(host, "tcpdump");
        tcpdump.args(["-i", "eth0", "-n", "-p", "-s", SNAPSHOT_LENGTH, "--immediate-mode", "-U", "--nano"]);
        // The folder is root's.
        tcpdump.args(["-Z", "root", "-w"]).arg(&path).args(["udp", "port", "3784"]);
        let tcpdump = stage.start(&mut tcpdump, &format!("{name}.log"))?;
        // It writes the file's header as soon as it captures.
        let size = || Ok(fs::metadata(&path).with_context(|| format!("{}", path.display()))?.len());
        until("tcpdump captures", size, |size| *size >= FILE_HEADER_LENGTH as u64)?;
        let mut file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let mut header = [0; FILE_HEADER_LENGTH];
        file.read_exact(&mut header).with_context(|| format!("read {}", path.display()))?;
        ensure!(
            header.first_chunk() == Some(&MAGIC) && header.last_chunk() == Some(&ETHERNET),
            "{} is no capture of Ethernet frames with times in nanoseconds",
            path.display()
        );
        Ok(Self { _tcpdump: tcpdump, file, rest: Vec::new(), packets: Vec::new() })
    }

    /// All packets so far, in their order.
    pub(crate) fn packets(&mut self) -> Result<&[Packet]> {
        self.file.read_to_end(&mut self.rest).context("read the capture")?;
        let mut at = 0;
        while let Some((record, length)) = Record::first(self.rest.get(at..).unwrap_or_default()) {
            self.packets.extend(record.packet());
            at += length;
        }
        self.rest.drain(..at);
        Ok(&self.packets)
    }
}

/// What a capture has of a frame.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    at: Duration,
    frame: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record and its length, if it is there as a whole: seconds, nanoseconds, octets in the
    /// file, octets on the cable, in the machine's byte order.
    fn first(octets: &'a [u8]) -> Option<(Self, usize)> {
        let (header, rest) = octets.split_first_chunk::<16>()?;
        let (fields, _none) = header.as_chunks::<4>();
        let mut fields = fields.iter().map(|field| u32::from_ne_bytes(*field));
        let (seconds, nanoseconds, captured) = (fields.next()?, fields.next()?, fields.next()?);
        let captured = usize::try_from(captured).ok()?;
        let frame = rest.get(..captured)?;
        Some((Self { at: Duration::new(seconds.into(), nanoseconds), frame }, header.len() + captured))
    }

    /// The packet in it: IPv4 in Ethernet, and in that UDP.
    fn packet(&self) -> Option<Packet> {
        let (ethernet, ip) = self.frame.split_first_chunk::<14>()?;
        if ethernet.last_chunk() != Some(&IPV4) {
            return None;
        }
        let header_length = usize::from(ip.first()? & 0x0f) * 4;
        let (_header, payload) = ip.get(header_length..)?.split_first_chunk::<UDP_HEADER_LENGTH>()?;
        let source = ip.get(12..)?.first_chunk::<4>()?;
        let control = Control::parse(payload).ok()?.control;
        Some(Packet { at: self.at, source: Ipv4Addr::from(*source), control })
    }
}

/// Octets of a frame that are kept: a Control packet in its headers has 66.
const SNAPSHOT_LENGTH: &str = "128";

const FILE_HEADER_LENGTH: usize = 24;

/// A capture with times in nanoseconds.
const MAGIC: [u8; 4] = 0xa1b2_3c4d_u32.to_ne_bytes();
/// Of Ethernet frames.
const ETHERNET: [u8; 4] = 1_u32.to_ne_bytes();

const IPV4: [u8; 2] = [8, 0];
const UDP_HEADER_LENGTH: usize = 8;

#[cfg(test)]
pub(crate) mod tests {
    use std::num::{NonZeroU8, NonZeroU32};

    use ferrolb_wire::bfd::{Diagnostic, Interval, State};

    use super::*;

    /// A packet of a session that is Up, at 3 x 50 ms.
    pub(crate) fn up(at_ms: u64, source: Ipv4Addr) -> Packet {
        let interval = Interval::from_millis(50);
        let control = Control {
            diagnostic: Diagnostic::NONE,
            state: State::Up,
            is_poll: false,
            is_final: false,
            is_control_plane_independent: false,
            is_demand: false,
            detect_mult: NonZeroU8::new(3).unwrap(),
            my_discriminator: NonZeroU32::MIN,
            your_discriminator: Some(NonZeroU32::MIN),
            desired_min_tx: interval,
            required_min_rx: interval,
            required_min_echo_rx: Interval::ZERO,
        };
        Packet { at: Duration::from_millis(at_ms), source, control }
    }

    #[test]
    fn a_packet_is_found_in_its_record_and_half_a_record_waits() {
        let packet = up(1_500, Ipv4Addr::new(198, 18, 0, 1));
        let mut frame = vec![0; 12];
        frame.extend(IPV4);
        frame.extend([0x45; 12]);
        frame.extend(packet.source.octets());
        frame.extend([198, 18, 1, 1]);
        frame.extend([0; UDP_HEADER_LENGTH]);
        frame.extend(packet.control.emit());
        let mut octets = Vec::new();
        for field in [1, 500_000_000, u32::try_from(frame.len()).unwrap(), 99] {
            octets.extend(field.to_ne_bytes());
        }
        octets.extend(&frame);
        let whole = octets.len();
        assert!(Record::first(&octets[..whole - 1]).is_none());
        octets.push(7);
        let (record, length) = Record::first(&octets).unwrap();
        assert_eq!((record.packet(), length), (Some(packet), whole));
        frame[13] = 6;
        assert_eq!(Record { at: packet.at, frame: &frame }.packet(), None, "that is ARP");
    }
}
