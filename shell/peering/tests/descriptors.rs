//! The order in which the kernel closes what a killed process has open. A process of its own, because other
//! tests open files too.
#![expect(clippy::unwrap_used, reason = "helpers of tests, as in tests")]

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use ferrolb_liveness::{Key, KeyRing, Timing};
use ferrolb_peering::{LivenessConfig, LivenessMetrics, liveness};
use prometheus_client::registry::Registry;

/// The highest descriptor that is open, and what it leads to.
fn highest() -> (i32, String) {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    // That of the directory itself is closed by the time it is looked at.
    let target = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.to_str()?.to_owned();
        Some((entry.file_name().to_str()?.parse().ok()?, target))
    };
    open.filter_map(target).max().unwrap()
}

#[test]
fn the_liveness_port_is_closed_before_all_that_is_opened_later() {
    let address = "127.0.0.4".parse().unwrap();
    let config = LivenessConfig {
        node: "one".into(),
        timing: Timing::default(),
        fast: false,
        keys: KeyRing::new(Key::new(&[7; 32]).unwrap(), Vec::new()).unwrap(),
        bind: vec![address],
        // Some free port: the one the system gave out a moment ago.
        port: UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap().port(),
    };
    let _liveness = liveness::spawn(config, LivenessMetrics::register(&mut Registry::default())).unwrap();
    let (port, target) = highest();
    assert!(target.starts_with("socket:"), "{target}");
    let later: Vec<File> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
    let later = later.iter().map(AsRawFd::as_raw_fd).max().unwrap();
    assert!(later < port, "the port has descriptor {port}, a file that was opened later {later}");
}
