//! `deploy/ferrolb.yaml`: the one manifest, written from the Rust types and `deploy/base`.
//!
//! The files of `deploy/base` go in by name. Those that start with `00-` (the namespaces) come
//! first, then the CRDs as the Rust types describe them, then the rest: `kubectl apply` creates
//! objects in the order of the file.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Quiet;
use crate::{process, workspace};

const BASE: &str = "deploy/base";
const MANIFEST: &str = "deploy/ferrolb.yaml";
const HEADER: &str = "# Written by `cargo xtask codegen` from shell/api and deploy/base: edit those.\n";

/// What to do with a stale manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Replace it.
    Write,
    /// Fail, with the difference.
    Check,
}

/// Writes or checks the manifest.
///
/// # Errors
/// When a file cannot be read or written, and in [`Mode::Check`] when the manifest is stale.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let wanted = manifest(&base_files()?, &crds()?);
    let path = workspace::root().join(MANIFEST);
    let found = if path.exists() { workspace::read(MANIFEST)? } else { String::new() };
    if found == wanted {
        println!("{MANIFEST} is what shell/api and {BASE} say");
        return Ok(());
    }
    match mode {
        Mode::Write => {
            fs::write(&path, wanted).with_context(|| format!("could not write {}", path.display()))?;
            println!("wrote {MANIFEST}");
            Ok(())
        }
        Mode::Check => {
            let against = if path.exists() { path.as_os_str() } else { "/dev/null".as_ref() };
            let mut diff = Command::new("diff");
            diff.args(["-u", "--label", MANIFEST, "--label", "from the sources"]).arg(against).arg("-");
            print!("{}", process::filter(&mut diff, &wanted)?);
            bail!("{MANIFEST} is stale: shell/api or {BASE} changed; run `cargo xtask codegen`")
        }
    }
}

/// The CRDs, as the product prints them.
fn crds() -> Result<String> {
    workspace::build(Quiet::Yes)?;
    process::output(Command::new(workspace::program("ferrolb")).arg("crds"))
}

/// Name and text of each file of `deploy/base`, by name.
fn base_files() -> Result<Vec<(String, String)>> {
    let dir = workspace::root().join(BASE);
    let yaml = |path: &std::path::PathBuf| path.extension().is_some_and(|ext| ext == "yaml");
    workspace::files(&dir)?
        .into_iter()
        .filter(yaml)
        .map(|path| Ok((path.display().to_string(), workspace::read(dir.join(&path))?)))
        .collect()
}

fn manifest(base: &[(String, String)], crds: &str) -> String {
    let (first, rest): (Vec<_>, Vec<_>) = base.iter().partition(|(name, _)| name.starts_with("00-"));
    let texts = first.iter().map(|(_, text)| text.as_str());
    let texts = texts.chain([crds]).chain(rest.iter().map(|(_, text)| text.as_str()));
    let documents = texts.map(|text| text.trim_start_matches("---\n").trim_end());
    let documents: Vec<_> = documents.filter(|text| !text.is_empty()).collect();
    format!("{HEADER}{}\n", documents.join("\n---\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn the_namespaces_come_before_the_crds_and_the_rest_follows_by_name() {
        let base = [
            file("00-namespace.yaml", "n: 1\n"),
            file("10-rbac.yaml", "---\nr: 1\n"),
            file("20-x.yaml", "x: 1"),
        ];
        assert_eq!(
            manifest(&base, "crd: 1\n---\ncrd: 2\n"),
            format!("{HEADER}n: 1\n---\ncrd: 1\n---\ncrd: 2\n---\nr: 1\n---\nx: 1\n")
        );
    }

    #[test]
    fn an_empty_file_leaves_no_empty_document() {
        assert_eq!(manifest(&[file("00-a.yaml", "\n")], "crd: 1"), format!("{HEADER}crd: 1\n"));
    }
}
