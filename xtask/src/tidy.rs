//! What no compiler checks: file sizes, leftovers, machine paths and registries, links between
//! pages, and tests that the clause tables name.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, ensure};

use crate::workspace;

/// Lines above which a source file holds two things.
const LINES_MAX: usize = 800;

/// Ends of the names of files that are text of ours.
const TEXTS: [&str; 9] = ["rs", "toml", "md", "yaml", "yml", "json", "mod", "run", "html"];

/// Where tables name the tests of what they say.
const TABLES: [&str; 2] = ["docs/rfc", "docs/reference/bgp-field-changes.md"];

/// Checks the tree.
///
/// # Errors
/// With one line per finding: file, line, what it is, what to do.
pub(crate) fn run() -> Result<()> {
    let mut texts = Vec::new();
    for path in workspace::files(workspace::root())? {
        if is_text(&path) {
            let text = workspace::read(&path)?;
            texts.push(Text { path, text });
        }
    }
    let findings = findings(&texts);
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    println!("{} files are tidy", texts.len());
    Ok(())
}

/// A file of ours.
#[derive(Debug)]
struct Text {
    /// From the root.
    path: PathBuf,
    text: String,
}

impl Text {
    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|found| found == extension)
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().or_else(|| path.file_name());
    extension.is_some_and(|extension| TEXTS.iter().any(|text| extension == *text))
}

fn findings(texts: &[Text]) -> Vec<String> {
    let mut findings = Vec::new();
    let paths: BTreeSet<_> = texts.iter().map(|text| text.path.as_path()).collect();
    let functions = functions(texts);
    for text in texts {
        if text.has_extension("rs") {
            findings.extend(length(text));
        }
        if text.has_extension("md") {
            findings.extend(links(text, &paths));
        }
        if TABLES.iter().any(|path| text.path.starts_with(path)) && text.has_extension("md") {
            findings.extend(clauses(text, &functions));
        }
        findings.extend(leftovers(text));
    }
    findings
}

fn length(text: &Text) -> Option<String> {
    let lines = text.text.lines().count();
    (lines > LINES_MAX).then(|| {
        format!(
            "{}: {lines} lines, at most {LINES_MAX}; move one of its two subjects out",
            text.path.display()
        )
    })
}

/// Words that must not stay. Each is spelt in two halves, so that this file has none of them.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
const UNTRACKED: &str = concat!("TO", "DO");
const UNFINISHED: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

fn leftovers(text: &Text) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.text.lines().enumerate() {
        let at = text.at(number + 1);
        for path in MACHINE_PATHS.iter().filter(|path| is_absolute(line, path)) {
            found.push(format!(
                "{at}: `{path}` is a path of one machine; say it from the repository or the user cache"
            ));
        }
        for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
            found.push(format!("{at}: `{word}`; finish it, or write `{UNTRACKED}(#issue): …`"));
        }
        if has_word(line, UNTRACKED) && !line.contains(&format!("{UNTRACKED}(#")) {
            found.push(format!("{at}: `{UNTRACKED}` without an issue; write `{UNTRACKED}(#issue): …`"));
        }
    }
    found
}

/// Whether `line` has `path` at the start of a path, not inside a longer one or a URL.
fn is_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !(c.is_ascii_alphanumeric() || "-_.~}/$*".contains(c)))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|found| found == word)
}

/// Relative links of a page that lead nowhere.
fn links(text: &Text, paths: &BTreeSet<&Path>) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        for target in line.split("](").skip(1).filter(|_| !fenced) {
            let target = target.split([')', '#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let to = resolve(text.path.parent().unwrap_or(Path::new("")), target);
            if !paths.iter().any(|path| path.starts_with(&to)) && !workspace::root().join(&to).exists() {
                found.push(format!(
                    "{}: link to {target}: there is no {}",
                    text.at(number + 1),
                    to.display()
                ));
            }
        }
    }
    found
}

/// `target` as seen from `dir`, without `.` and `..`.
fn resolve(dir: &Path, target: &str) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in dir.join(target).components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            Component::Normal(name) => resolved.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    resolved
}

/// Names of every function of the sources.
fn functions(texts: &[Text]) -> BTreeSet<&str> {
    let sources = texts.iter().filter(|text| text.has_extension("rs"));
    let after_fn = sources.flat_map(|text| text.text.split("fn ").skip(1));
    after_fn.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()).collect()
}

/// Rows of a clause table (`clause | level | test | …`) whose tests do not exist.
///
/// The third cell names tests in backquotes, or starts with `gap` and says why there is none.
fn clauses(text: &Text, functions: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.text.lines().enumerate() {
        let Some(row) = line.trim().strip_prefix('|') else { continue };
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (Some(first), Some(tests)) = (cells.first(), cells.get(2)) else { continue };
        let is_rule = first.chars().all(|c| "-: ".contains(c));
        if is_rule || *tests == "test" || tests.starts_with("gap") {
            continue;
        }
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            found.push(format!(
                "{}: clause {first}: names no test; write `test_name` or `gap: why`",
                text.at(number + 1)
            ));
        }
        let last = |path: &str| path.rsplit("::").next().unwrap_or_default().to_owned();
        for test in named.into_iter().filter(|test| !functions.contains(last(test).as_str())) {
            found.push(format!("{}: clause {first}: there is no test `{test}`", text.at(number + 1)));
        }
    }
    found
}

#[cfg(test)]
mod tests;
