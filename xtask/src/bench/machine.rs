//! The machine and the programs that figures come from: without them a figure means nothing.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::{process, workspace};

/// Versions by the name of what has them.
pub(super) type Versions = BTreeMap<String, String>;

/// Processors, memory and kernel, in one line.
pub(super) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpuinfo = read("/proc/cpuinfo");
    let model = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let meminfo = read("/proc/meminfo");
    let kib: f64 =
        field(&meminfo, "MemTotal").and_then(|size| size.split(' ').next()?.parse().ok()).unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processors} × {model}, {:.1} GiB, Linux {}", kib / 1024.0 / 1024.0, kernel.trim())
}

/// The value of `name: value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.trim_start().strip_prefix(':').map(str::trim);
    text.lines().find_map(value)
}

/// Versions of ours and of the compiler, by name.
pub(super) fn versions() -> Versions {
    let mut rustc = Command::new("rustc");
    let rustc = process::output(rustc.current_dir(workspace::root()).arg("--version")).unwrap_or_default();
    let mut commit = Command::new("git");
    let commit = commit.current_dir(workspace::root()).args(["describe", "--always", "--dirty"]);
    let commit = process::output(commit).unwrap_or_default();
    let ours = format!("{} {}", env!("CARGO_PKG_VERSION"), commit.trim());
    let rustc = rustc.split(' ').nth(1).unwrap_or("unknown").to_owned();
    [("ferrolb".to_owned(), ours.trim().to_owned()), ("rustc".to_owned(), rustc)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let cpuinfo = "model\t\t: 6\nmodel name\t: A Processor @ 2 GHz\nmodel name\t: another\n";
        assert_eq!(field(cpuinfo, "model name"), Some("A Processor @ 2 GHz"));
        assert_eq!(field(cpuinfo, "flags"), None);
    }

    #[test]
    fn this_machine_has_a_description_and_versions() {
        assert!(describe().contains("Linux "));
        assert!(versions().keys().eq(["ferrolb", "rustc"]));
    }
}
