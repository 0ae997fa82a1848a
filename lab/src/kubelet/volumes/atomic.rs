//! Contents of a volume that change as one: a directory per version, and the link `..data` moved over.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};

use super::payload::Payload;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Writes a new version into the directory and makes it the visible one.
pub(super) fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let version = format!("..{}", jiff::Timestamp::now().strftime("%Y_%m_%d_%H_%M_%S%.9f"));
    let version_dir = dir.join(&version);
    let mut visible = BTreeSet::new();
    fs::create_dir(&version_dir).with_context(|| format!("create {}", version_dir.display()))?;
    for (path, file) in payload {
        let relative = relative(path)?;
        visible.extend(relative.components().next().map(|name| name.as_os_str().to_owned()));
        let target = version_dir.join(relative);
        let write = || {
            target.parent().map(fs::create_dir_all).transpose()?;
            fs::write(&target, &file.bytes)?;
            if group.is_some() {
                chown(&target, None, group)?;
            }
            // The group may read what it owns.
            let mode = if group.is_some() { file.mode | 0o040 } else { file.mode };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode))
        };
        write().with_context(|| format!("write {}", target.display()))?;
    }
    let earlier = fs::read_link(dir.join(DATA)).ok();
    let swap = || {
        // Left over by a kubelet that died in between.
        drop(fs::remove_file(dir.join(NEW_DATA)));
        symlink(&version, dir.join(NEW_DATA))?;
        fs::rename(dir.join(NEW_DATA), dir.join(DATA))
    };
    swap().with_context(|| format!("publish the new contents of {}", dir.display()))?;
    link_visible(dir, &visible)?;
    if let Some(earlier) = earlier {
        // Readers that opened it keep what they have.
        drop(fs::remove_dir_all(dir.join(earlier)));
    }
    Ok(())
}

/// Links each visible name to the current version, and removes names it does not have.
fn link_visible(dir: &Path, visible: &BTreeSet<OsString>) -> anyhow::Result<()> {
    for name in visible {
        let link = dir.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new(DATA).join(name), &link).with_context(|| format!("link {}", link.display()))?;
        }
    }
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b"..") && !visible.contains(&name) {
            fs::remove_file(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// A path that stays inside the volume.
fn relative(path: &str) -> anyhow::Result<PathBuf> {
    let relative = PathBuf::from(path);
    if path.is_empty() || relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        bail!("path {path} must be relative and may not contain '..'");
    }
    Ok(relative)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::payload::{File, Payload};
    use super::write;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |text: &str| File { bytes: text.as_bytes().to_vec(), mode: 0o640 };
        files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    #[test]
    fn a_new_version_replaces_the_old_one_as_a_whole() {
        let dir = std::env::temp_dir().join(format!("ferrolb-lab-atomic-{}", std::process::id()));
        write(&dir, &payload(&[("a", "1"), ("sub/b", "2")]), None).unwrap();
        let read = |path: &str| fs::read_to_string(dir.join(path)).ok();
        assert_eq!((read("a").as_deref(), read("sub/b").as_deref()), (Some("1"), Some("2")));
        assert_eq!(fs::metadata(dir.join("a")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_link(dir.join("a")).unwrap().to_str(), Some("..data/a"));

        write(&dir, &payload(&[("a", "3"), ("c", "4")]), None).unwrap();
        assert_eq!((read("a").as_deref(), read("c").as_deref()), (Some("3"), Some("4")));
        assert!(fs::symlink_metadata(dir.join("sub")).is_err());
        let versions =
            fs::read_dir(&dir).unwrap().flatten().filter(|entry| entry.metadata().unwrap().is_dir());
        assert_eq!(versions.count(), 1);

        assert!(write(&dir, &payload(&[("../x", "")]), None).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
