//! Interfaces never to announce on, as the operator lists them.

use std::path::Path;

use anyhow::Context;
use ferrolb_plan::Exclusions;

/// The file that MetalLB calls `excludel2.yaml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ExcludeL2 {
    announced_interfaces_to_exclude: Vec<String>,
}

/// The patterns in the file at `path`, which may be missing.
///
/// # Errors
/// It cannot be read, or says something else.
pub(super) fn read(path: &Path) -> anyhow::Result<Exclusions> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Exclusions::default()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let file: ExcludeL2 =
        serde_saphyr::from_str(&text).with_context(|| format!("{} does not parse", path.display()))?;
    let patterns = file.announced_interfaces_to_exclude.iter().map(String::as_str);
    Exclusions::new(patterns).with_context(|| format!("{}: announcedInterfacesToExclude", path.display()))
}
