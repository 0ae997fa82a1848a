//! The arrows between our crates, read out of ARCHITECTURE.md and held against `cargo metadata`.
//!
//! The page's block fenced as `arrows` has one line per crate, by folder:
//! `core/plan -> core/vocab + sha2, thiserror` allows the dependency on another of our crates
//! before the `+`, and on crates of others after it. `*` ends a name that stands for many. A
//! core crate may use only the crates of others that its line names; elsewhere `+` is not needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{process, workspace};

const PAGE: &str = "ARCHITECTURE.md";
const FENCE: &str = "```arrows";

/// Checks the workspace.
///
/// # Errors
/// With one line per dependency or crate that breaks the page.
pub(crate) fn run() -> Result<()> {
    let arrows = Arrows::parse(&workspace::read(PAGE)?)?;
    let crates = crates()?;
    let mut violations = check(&arrows, &crates);
    for member in crates.iter().filter(|member| member.is_core()) {
        let library = format!("{}/src/lib.rs", member.dir);
        violations.extend(no_std_violations(&library, &workspace::read(&library)?));
    }
    ensure!(violations.is_empty(), "{}", violations.join("\n"));
    println!("{} crates, every dependency has its arrow in {PAGE}", crates.len());
    Ok(())
}

/// One of our crates and what its Cargo.toml asks for.
#[derive(Debug)]
struct Member {
    /// Its folder from the root, `core/plan`.
    dir: String,
    /// Folders of our crates it depends on, for any purpose.
    ours: BTreeSet<String>,
    /// Names of others' crates that its library or build script depends on.
    others: BTreeSet<String>,
}

impl Member {
    fn is_core(&self) -> bool {
        self.dir.starts_with("core/")
    }
}

/// What one crate may depend on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Allowed {
    ours: Vec<String>,
    others: Vec<String>,
}

/// The page's arrows, by the pattern on their left.
#[derive(Debug)]
struct Arrows(BTreeMap<String, Allowed>);

impl Arrows {
    /// # Errors
    /// When the page has no such block, or a line of it cannot be read.
    fn parse(page: &str) -> Result<Self> {
        let block = page.split_once(FENCE).and_then(|(_, rest)| rest.split_once("```"));
        let (block, _) = block.with_context(|| format!("{PAGE} has no block fenced as {FENCE}"))?;
        let mut arrows = BTreeMap::new();
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (from, to) = line.split_once("->").with_context(|| {
                format!("{PAGE}: `{line}` is no arrow, expected `crate -> crates + crates of others`")
            })?;
            let (ours, others) = to.split_once('+').unwrap_or((to, ""));
            let allowed = Allowed { ours: words(ours), others: words(others) };
            if arrows.insert(from.trim().to_owned(), allowed).is_some() {
                bail!("{PAGE}: `{}` has two lines of arrows; keep one", from.trim());
            }
        }
        Ok(Self(arrows))
    }

    /// The line of `dir`: its own if there is one, else the pattern that covers it.
    fn of(&self, dir: &str) -> Option<(&str, &Allowed)> {
        let own = self.0.get_key_value(dir);
        let line = own.or_else(|| self.0.iter().find(|(pattern, _)| matches(pattern, dir)));
        line.map(|(pattern, allowed)| (pattern.as_str(), allowed))
    }
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn matches(pattern: &str, dir: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == dir, |prefix| dir.starts_with(prefix))
}

/// What breaks the arrows, one line each.
fn check(arrows: &Arrows, crates: &[Member]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for member in crates {
        let dir = &member.dir;
        let Some((pattern, allowed)) = arrows.of(dir) else {
            violations.push(format!(
                "{dir}: no line of arrows in {PAGE}; add one, and its paragraph in the code map"
            ));
            continue;
        };
        used.insert(pattern);
        for to in &member.ours {
            if !allowed.ours.iter().any(|pattern| matches(pattern, to)) {
                violations.push(format!(
                    "{dir} -> {to}: no such arrow in {PAGE}; remove the dependency from {dir}/Cargo.toml, or change the design in an ADR first"
                ));
            }
        }
        for other in member.others.iter().filter(|_| member.is_core()) {
            if !allowed.others.contains(other) {
                violations.push(format!(
                    "{dir} -> {other}: a core crate may use only the crates of others that its arrow names after `+`; remove it from {dir}/Cargo.toml, or argue for it in an ADR"
                ));
            }
        }
    }
    let stale = arrows.0.keys().filter(|pattern| !used.contains(pattern.as_str()));
    violations.extend(
        stale.map(|pattern| format!("{PAGE}: `{pattern}` has arrows but is no crate; remove its line")),
    );
    violations
}

/// What stops `text`, a core crate's root, from proving that the crate is pure.
fn no_std_violations(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    if !text.lines().any(|line| line.trim() == "#![no_std]") {
        violations.push(format!(
            "{path}: not `#![no_std]`; a core crate has no clock, socket, file or thread (ADR 0001)"
        ));
    }
    let mut before = "";
    for line in text.lines().map(str::trim) {
        if line.starts_with("extern crate std") && before != "#[cfg(test)]" {
            violations.push(format!(
                "{path}: `extern crate std` outside tests; put `#[cfg(test)]` above it (ADR 0001)"
            ));
        }
        before = line;
    }
    violations
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Every crate of the workspace.
fn crates() -> Result<Vec<Member>> {
    let mut metadata = workspace::cargo();
    metadata.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    members(&process::output(&mut metadata)?, workspace::root())
}

fn members(metadata: &str, root: &Path) -> Result<Vec<Member>> {
    let metadata: Metadata = serde_json::from_str(metadata).context("cargo metadata is not as expected")?;
    let folder = |path: &Path| -> Result<String> {
        let inside = path.strip_prefix(root);
        Ok(inside
            .with_context(|| format!("{} is outside the workspace", path.display()))?
            .display()
            .to_string())
    };
    let member = |package: &Package| -> Result<Member> {
        let manifest = Path::new(&package.manifest_path);
        let dir = folder(manifest.parent().unwrap_or(manifest))?;
        let (mut ours, mut others) = (BTreeSet::new(), BTreeSet::new());
        for dependency in &package.dependencies {
            match (&dependency.path, dependency.kind.as_deref()) {
                (Some(path), _) => drop(ours.insert(folder(Path::new(path))?)),
                (None, Some("dev")) => {}
                (None, _) => drop(others.insert(dependency.name.clone())),
            }
        }
        Ok(Member { dir, ours, others })
    };
    metadata.packages.iter().map(member).collect()
}

#[cfg(test)]
mod tests;
