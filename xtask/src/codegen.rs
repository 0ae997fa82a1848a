//! The manifests in `deploy`, written from the Rust types and the files beside them.
//!
//! The files of a directory go in by name. Those that start with `00-` (the namespaces) come
//! first, then the definitions as the Rust types describe them, then the rest: `kubectl apply`
//! creates objects in the order of the file.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Quiet;
use crate::{process, workspace};

/// One manifest, and what it is made of.
struct Manifest {
    path: &'static str,
    /// Directory of the files that go in.
    directory: Option<&'static str>,
    /// Arguments of `ferrolb` that print the definitions that go in.
    definitions: Option<&'static [&'static str]>,
}

const MANIFESTS: [Manifest; 3] = [
    Manifest { path: "deploy/ferrolb.yaml", directory: Some("deploy/base"), definitions: Some(&["crds"]) },
    Manifest { path: "deploy/ferrolb-webhook.yaml", directory: Some("deploy/webhook"), definitions: None },
    // Apart from the other, because deleting a manifest with a definition deletes its objects.
    Manifest {
        path: "deploy/ferrolb-webhook-crds.yaml",
        directory: None,
        definitions: Some(&["crds", "--webhook"]),
    },
];

/// What to do with a stale manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Replace it.
    Write,
    /// Fail, with the difference.
    Check,
}

/// Writes or checks the manifests.
///
/// # Errors
/// When a file cannot be read or written, and in [`Mode::Check`] when a manifest is stale.
pub(crate) fn run(mode: Mode) -> Result<()> {
    workspace::build(Quiet::Yes)?;
    MANIFESTS.iter().try_for_each(|manifest| manifest.bring_up_to_date(mode))
}

impl Manifest {
    fn bring_up_to_date(&self, mode: Mode) -> Result<()> {
        let path = self.path;
        let wanted = text(self, &self.files()?, &self.definitions()?);
        let file = workspace::root().join(path);
        let found = if file.exists() { workspace::read(path)? } else { String::new() };
        if found == wanted {
            println!("{path} agrees with {}", self.sources());
            return Ok(());
        }
        match mode {
            Mode::Write => {
                fs::write(&file, wanted).with_context(|| format!("could not write {}", file.display()))?;
                println!("wrote {path}");
                Ok(())
            }
            Mode::Check => {
                let against = if file.exists() { file.as_os_str() } else { "/dev/null".as_ref() };
                let mut diff = Command::new("diff");
                diff.args(["-u", "--label", path, "--label", "from the sources"]).arg(against).arg("-");
                print!("{}", process::filter(&mut diff, &wanted)?);
                bail!("{path} is stale: {} changed; run `cargo xtask codegen`", self.sources())
            }
        }
    }

    fn sources(&self) -> String {
        let definitions = self.definitions.map(|_| "shell/api");
        definitions.into_iter().chain(self.directory).collect::<Vec<_>>().join(" and ")
    }

    /// The definitions, as the product prints them.
    fn definitions(&self) -> Result<String> {
        let Some(arguments) = self.definitions else { return Ok(String::new()) };
        process::output(Command::new(workspace::program("ferrolb")).args(arguments))
    }

    /// Name and text of each file of the directory, by name.
    fn files(&self) -> Result<Vec<(String, String)>> {
        let Some(directory) = self.directory else { return Ok(Vec::new()) };
        let directory = workspace::root().join(directory);
        let yaml = |path: &std::path::PathBuf| path.extension().is_some_and(|ext| ext == "yaml");
        workspace::files(&directory)?
            .into_iter()
            .filter(yaml)
            .map(|path| Ok((path.display().to_string(), workspace::read(directory.join(&path))?)))
            .collect()
    }
}

fn text(manifest: &Manifest, files: &[(String, String)], definitions: &str) -> String {
    let (first, rest): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name.starts_with("00-"));
    let texts = first.iter().map(|(_, text)| text.as_str());
    let texts = texts.chain([definitions]).chain(rest.iter().map(|(_, text)| text.as_str()));
    let documents = texts.map(|text| text.trim_start_matches("---\n").trim_end());
    let documents: Vec<_> = documents.filter(|text| !text.is_empty()).collect();
    format!(
        "# Written by `cargo xtask codegen` from {}: edit those.\n{}\n",
        manifest.sources(),
        documents.join("\n---\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# Written by `cargo xtask codegen` from shell/api and deploy/base: edit those.\n";

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn the_namespaces_come_before_the_definitions_and_the_rest_follows_by_name() {
        let base = [
            file("00-namespace.yaml", "n: 1\n"),
            file("10-rbac.yaml", "---\nr: 1\n"),
            file("20-x.yaml", "x: 1"),
        ];
        assert_eq!(
            text(&MANIFESTS[0], &base, "crd: 1\n---\ncrd: 2\n"),
            format!("{HEADER}n: 1\n---\ncrd: 1\n---\ncrd: 2\n---\nr: 1\n---\nx: 1\n")
        );
    }

    #[test]
    fn an_empty_file_leaves_no_empty_document() {
        assert_eq!(text(&MANIFESTS[0], &[file("00-a.yaml", "\n")], "crd: 1"), format!("{HEADER}crd: 1\n"));
    }

    #[test]
    fn a_manifest_names_only_what_it_is_made_of() {
        let sources: Vec<String> = MANIFESTS.iter().map(Manifest::sources).collect();
        assert_eq!(sources, ["shell/api and deploy/base", "deploy/webhook", "shell/api"]);
    }
}
