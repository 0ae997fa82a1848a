//! What the kernel must offer to the lab, tried in a network namespace of our own.

use std::process::Command;

use crate::process;

/// A feature, and the command that needs it. `NETNS` stands for the name of our namespace.
struct Feature {
    name: &'static str,
    option: &'static str,
    command: &'static [&'static str],
}

/// In order: later ones use what earlier ones made.
const FEATURES: [Feature; 7] = [
    Feature {
        name: "network namespaces",
        option: "CONFIG_NET_NS",
        command: &["ip", "-n", "NETNS", "link", "set", "lo", "up"],
    },
    Feature {
        name: "virtual Ethernet pairs",
        option: "CONFIG_VETH",
        command: &["ip", "-n", "NETNS", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
    },
    Feature {
        name: "bridges",
        option: "CONFIG_BRIDGE",
        command: &["ip", "-n", "NETNS", "link", "add", "br0", "type", "bridge"],
    },
    Feature {
        name: "IPv6",
        option: "CONFIG_IPV6",
        command: &["ip", "-n", "NETNS", "address", "add", "fd00::1/64", "dev", "v0", "nodad"],
    },
    Feature {
        name: "nftables with address translation",
        option: "CONFIG_NF_TABLES, CONFIG_NFT_NAT, CONFIG_NFT_MASQ",
        command: &[
            "ip",
            "netns",
            "exec",
            "NETNS",
            "nft",
            "add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade",
        ],
    },
    Feature {
        name: "nftables verdict maps and random numbers",
        option: "CONFIG_NFT_NUMGEN",
        command: &[
            "ip",
            "netns",
            "exec",
            "NETNS",
            "nft",
            "add table ip u; add chain ip u c; add rule ip u c numgen random mod 2 vmap { 0 : accept, 1 : drop }",
        ],
    },
    Feature {
        name: "nftables route lookups",
        option: "CONFIG_NFT_FIB_INET",
        command: &[
            "ip",
            "netns",
            "exec",
            "NETNS",
            "nft",
            "add table ip w; add chain ip w c { type filter hook prerouting priority 0; }; add rule ip w c fib daddr type local accept",
        ],
    },
];

/// A namespace that goes when it is dropped.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        process::succeeds(Command::new("ip").args(["netns", "delete", &self.0]));
    }
}

/// The features that the kernel lacks, each with what to do.
pub(super) fn missing() -> Vec<String> {
    let name = format!("xtask-{}", std::process::id());
    if let Err(error) = process::output(Command::new("ip").args(["netns", "add", &name])) {
        return vec![format!(
            "kernel: network namespaces ({error}); use a kernel with CONFIG_NET_NS, outside a container without CAP_SYS_ADMIN"
        )];
    }
    let namespace = Namespace(name);
    FEATURES.iter().filter_map(|feature| lacks(feature, &namespace)).collect()
}

fn lacks(feature: &Feature, namespace: &Namespace) -> Option<String> {
    let mut words =
        feature.command.iter().map(|word| if *word == "NETNS" { namespace.0.as_str() } else { word });
    let error = process::output(Command::new(words.next()?).args(words)).err()?;
    Some(format!("kernel: {} ({error}); use a kernel with {}", feature.name, feature.option))
}
