//! The package registries that this machine is set up to use instead of the public ones.
//!
//! A mirror's name that slips into the tree breaks the build for everyone else.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// Hosts that anyone can reach.
const PUBLIC: [&str; 10] = [
    "crates.io",
    "deb.debian.org",
    "debian.org",
    "github.com",
    "index.crates.io",
    "localhost",
    "proxy.golang.org",
    "pypi.org",
    "static.crates.io",
    "sum.golang.org",
];

/// Settings that name a registry.
const VARIABLES: [&str; 7] = [
    "CARGO_REGISTRIES_CRATES_IO_INDEX",
    "GOPROXY",
    "GOSUMDB",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "RUSTUP_DIST_SERVER",
    "npm_config_registry",
];

/// Files below the user's folder, and of the system, that name a registry.
const USER_FILES: [&str; 4] =
    [".cargo/config.toml", ".config/go/env", ".config/pip/pip.conf", ".pip/pip.conf"];
const SYSTEM_FILES: [&str; 3] =
    ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/pip.conf"];

/// Names of the registries of this machine that are not public.
pub(super) fn of_this_machine() -> BTreeSet<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let user = USER_FILES.iter().map(|file| home.join(file));
    let files = user.chain(SYSTEM_FILES.iter().map(PathBuf::from));
    let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
    let settings = VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    settings.chain(texts).flat_map(|text| private(&text)).collect()
}

/// Hosts of the URLs of `text` that are not public.
fn private(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let after = lines.flat_map(|line| line.split("://").skip(1));
    let authority = after.filter_map(|rest| rest.split(['/', ',', '"', '\'', ' ', '|']).next());
    let host = authority.filter_map(|authority| authority.rsplit('@').next()?.split(':').next());
    let named =
        host.filter(|host| host.contains('.') && !PUBLIC.iter().any(|public| is_within(host, public)));
    named.map(str::to_owned).collect()
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_private_and_the_public_registries_are_not() {
        let text = "GOPROXY=https://proxy.golang.org,direct\nindex = \"sparse+https://user:key@mirror.corp.test:8443/crates/\"\n# https://commented.test/\nURIs: http://deb.debian.org/debian";
        assert_eq!(private(text), ["mirror.corp.test"]);
    }

    #[test]
    fn a_host_that_only_ends_like_a_public_one_is_private() {
        assert_eq!(private("https://notpypi.org/simple"), ["notpypi.org"]);
        assert_eq!(private("https://files.pypi.org/simple"), Vec::<String>::new());
    }
}
