//! What the machine must have, found out by trying it.

use anyhow::{Context, bail, ensure};

use crate::config::{LabConfig, ProxyMode};
use crate::netns;
use crate::program::{on_path, run};

/// Programs and the Debian packages they come in.
const PROGRAMS: [(&str, &str); 4] =
    [("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux"), ("setsid", "util-linux")];

/// Each a batch for `ip` inside the probe's namespace, and the kernel option it needs.
const LINKS: [(&str, &str); 2] = [
    ("link add name probe0 type veth peer name probe1\n", "CONFIG_VETH"),
    ("link add name probe2 type bridge\n", "CONFIG_BRIDGE"),
];

/// Each a ruleset, what needs it, and the kernel options it needs.
const RULESETS: [(&str, &str, &str); 2] = [
    (
        "table bridge probe { chain c { type filter hook forward priority 0; \
         iifname \"x\" numgen random mod 100 < 1 drop\n}\n}",
        "the lab's faults",
        "CONFIG_NF_TABLES_BRIDGE and CONFIG_NFT_NUMGEN",
    ),
    (
        "table inet probe { chain c { type nat hook postrouting priority 100; masquerade random,fully-random\n}\n}",
        "kube-proxy",
        "CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT and CONFIG_NFT_MASQ",
    ),
];

/// Checks that this is root.
pub(crate) fn check_root() -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the lab lives in network namespaces, which needs root: run it with sudo (sudo -E keeps your caches)"
    );
    Ok(())
}

/// Checks that this is root and that the programs are there.
///
/// # Errors
/// Names the Debian packages to install.
pub(crate) fn check_programs(config: &LabConfig) -> anyhow::Result<()> {
    check_root()?;
    let mut missing = Vec::new();
    let iptables = [("iptables", "iptables"), ("ip6tables", "iptables")];
    let backend: &[(&str, &str)] = match config.proxy_mode {
        ProxyMode::Nftables => &[],
        ProxyMode::Iptables => &iptables,
    };
    for (program, package) in PROGRAMS.iter().chain(backend) {
        if !on_path(program) && !missing.contains(package) {
            missing.push(*package);
        }
    }
    if !missing.is_empty() {
        bail!("programs are missing: `apt-get install --no-install-recommends {}`", missing.join(" "));
    }
    Ok(())
}

/// Tries what the lab needs of the kernel in a namespace made for it.
///
/// # Errors
/// Names the kernel option that is missing.
pub(crate) fn try_kernel(config: &LabConfig) -> anyhow::Result<()> {
    let probe = format!("{}-p-probe", config.name);
    netns::create(&probe).context(
        "create a network namespace; the kernel needs CONFIG_NET_NS, a container needs --privileged",
    )?;
    let tried = try_features(&probe);
    netns::delete(&probe)?;
    tried
}

fn try_features(probe: &str) -> anyhow::Result<()> {
    for (batch, option) in LINKS {
        run("ip", &["-n", probe, "-batch", "-"], batch)
            .with_context(|| format!("the kernel needs {option}"))?;
    }
    for (ruleset, user, options) in RULESETS {
        run("ip", &["netns", "exec", probe, "nft", "-f", "-"], ruleset)
            .with_context(|| format!("{user} cannot program the kernel, which needs {options}"))?;
    }
    Ok(())
}
