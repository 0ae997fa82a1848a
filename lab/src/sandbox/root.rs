//! The container's root file system: the machine's own programs, read-only, on a small tmpfs.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{Mount, Root};

/// Directories of the machine that every container sees, read-only.
pub const SYSTEM_DIRECTORIES: [&str; 8] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libexec"];

/// What programs expect under `/etc`; the rest of the machine's configuration stays out.
const SYSTEM_CONFIGURATION: [&str; 17] = [
    "alternatives",
    "ca-certificates",
    "gai.conf",
    "group",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "protocols",
    "services",
    "ssl",
    "terminfo",
];

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const EMPTY_DIRECTORIES: [&str; 9] =
    ["etc", "home", "mnt", "opt", "root", "run", "srv", "var/lib", "var/log"];

/// Components of a path including those of the symbolic links on it, as Linux limits links.
const PATH_STEPS_MAX: usize = 256;

/// Builds the file system in this process's private mount namespace and makes it the root.
pub(super) fn build(root: &Root) -> anyhow::Result<()> {
    let new_root = root.directory.as_path();
    // First of all: nothing mounted below may reach the machine.
    mount_at(None, Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    fs::create_dir_all(new_root).with_context(|| format!("create {}", new_root.display()))?;
    mount_at(Some("tmpfs"), new_root, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
    for directory in EMPTY_DIRECTORIES {
        create_dir(&new_root.join(directory))?;
    }
    for directory in ["tmp", "var/tmp"] {
        create_dir(&new_root.join(directory))?;
        set_mode(&new_root.join(directory), 0o1777)?;
    }
    symlink("/run", &new_root.join("var/run"))?;
    for directory in SYSTEM_DIRECTORIES {
        expose(Path::new(directory), new_root)?;
    }
    for name in SYSTEM_CONFIGURATION {
        expose(&Path::new("/etc").join(name), new_root)?;
    }
    if let Some(directory) = &root.program_dir {
        expose(directory, new_root)?;
    }
    mount_kernel_file_systems(new_root, root.privileged)?;
    for volume in &root.mounts {
        mount_volume(volume, new_root)?;
    }
    if root.read_only {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount_at(None, new_root, None, flags, None)?;
    }
    pivot(new_root)
}

/// Shows a file, directory or symbolic link of the machine at the same path, read-only; nothing if the
/// machine does not have it.
fn expose(path: &Path, new_root: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    let target = inside(new_root, path)?;
    if metadata.is_symlink() {
        let link = fs::read_link(path).with_context(|| format!("read link {}", path.display()))?;
        return symlink(&link, &target);
    }
    bind(&Mount { source: path.to_owned(), target, read_only: true }, MsFlags::empty())
}

fn mount_volume(volume: &Mount, new_root: &Path) -> anyhow::Result<()> {
    let target = inside(new_root, &volume.target)?;
    bind(&Mount { target, ..volume.clone() }, MsFlags::MS_REC)
        .with_context(|| format!("mount at mountPath {}", volume.target.display()))
}

/// Bind mounts `source` over `target`, which is created as the kind of file the source is.
fn bind(volume: &Mount, extra: MsFlags) -> anyhow::Result<()> {
    let Mount { source, target, read_only } = volume;
    let metadata = fs::metadata(source).with_context(|| format!("find {}", source.display()))?;
    if metadata.is_dir() {
        create_dir(target)?;
    } else if !target.exists() {
        if let Some(parent) = target.parent() {
            create_dir(parent)?;
        }
        fs::write(target, "").with_context(|| format!("create mount point {}", target.display()))?;
    }
    mount_at(source.to_str(), target, None, MsFlags::MS_BIND | extra, None)?;
    if *read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount_at(None, target, None, flags, None)?;
    }
    Ok(())
}

/// `/proc` of the container's PID namespace, `/sys` of its network namespace, and a `/dev` of harmless devices.
fn mount_kernel_file_systems(new_root: &Path, privileged: bool) -> anyhow::Result<()> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let proc = new_root.join("proc");
    create_dir(&proc)?;
    mount_at(Some("proc"), &proc, Some("proc"), plain, None)?;
    let sys = new_root.join("sys");
    create_dir(&sys)?;
    let sys_flags = if privileged { plain } else { plain | MsFlags::MS_RDONLY };
    mount_at(Some("sysfs"), &sys, Some("sysfs"), sys_flags, None)?;
    if !privileged {
        // The kernel is the machine's: a container that wrote here would change every host of the lab.
        for name in ["sys", "sysrq-trigger", "irq", "bus"] {
            let path = proc.join(name);
            if path.exists() {
                bind(&Mount { source: path.clone(), target: path, read_only: true }, MsFlags::empty())?;
            }
        }
    }
    let dev = new_root.join("dev");
    create_dir(&dev)?;
    mount_at(Some("tmpfs"), &dev, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755,size=65536k"))?;
    for device in DEVICES {
        let path = Path::new("/dev").join(device);
        if path.exists() {
            bind(&Mount { source: path, target: dev.join(device), read_only: false }, MsFlags::empty())?;
        }
    }
    create_dir(&dev.join("shm"))?;
    mount_at(Some("shm"), &dev.join("shm"), Some("tmpfs"), plain, Some("mode=1777,size=65536k"))?;
    create_dir(&dev.join("pts"))?;
    let pts_flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let pts_options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount_at(Some("devpts"), &dev.join("pts"), Some("devpts"), pts_flags, pts_options)?;
    let links = [("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0")];
    for (name, link) in
        links.into_iter().chain([("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")])
    {
        symlink(link, &dev.join(name))?;
    }
    Ok(())
}

/// Makes `new_root` the root and forgets the machine's.
fn pivot(new_root: &Path) -> anyhow::Result<()> {
    std::env::set_current_dir(new_root).with_context(|| format!("change to {}", new_root.display()))?;
    // The old root is stacked on the new one and taken off again, which needs no directory for it.
    nix::unistd::pivot_root(".", ".").context("change the root file system")?;
    umount2(".", MntFlags::MNT_DETACH).context("detach the machine's file system")?;
    std::env::set_current_dir("/").context("change to the new root")
}

/// `path` of the container, seen from the machine: below `new_root`, whatever symbolic links are on the way.
fn inside(new_root: &Path, path: &Path) -> anyhow::Result<PathBuf> {
    let mut resolved = new_root.to_owned();
    let mut rest: VecDeque<OsString> = names(path);
    for _ in 0..PATH_STEPS_MAX {
        let Some(name) = rest.pop_front() else { return Ok(resolved) };
        if name == ".." {
            // The root is its own parent.
            if resolved != new_root {
                resolved.pop();
            }
            continue;
        }
        let Ok(link) = fs::read_link(resolved.join(&name)) else {
            resolved.push(name);
            continue;
        };
        if link.is_absolute() {
            resolved = new_root.to_owned();
        }
        for name in names(&link).into_iter().rev() {
            rest.push_front(name);
        }
    }
    bail!("path {} in the container has too many components and symbolic links", path.display())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let components = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    components.collect()
}

fn create_dir(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| {
        format!(
            "create mount point {}; the machine's own directories are read-only in the lab",
            path.display()
        )
    })
}

fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, permissions).with_context(|| format!("set the mode of {}", path.display()))
}

fn symlink(link: impl AsRef<Path>, at: &Path) -> anyhow::Result<()> {
    if let Some(parent) = at.parent() {
        create_dir(parent)?;
    }
    std::os::unix::fs::symlink(link.as_ref(), at).with_context(|| format!("create link {}", at.display()))
}

fn mount_at(
    source: Option<&str>,
    target: &Path,
    kind: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> anyhow::Result<()> {
    mount(source, target, kind, flags, data).with_context(|| format!("mount {}", target.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::inside;

    #[test]
    fn links_are_followed_inside_the_container_only() {
        let root = std::env::temp_dir().join(format!("ferrolb-lab-root-{}", std::process::id()));
        std::fs::create_dir_all(root.join("var")).unwrap();
        symlink("/run", root.join("var/run")).unwrap();
        symlink("../../../../etc", root.join("var/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let resolved = |path: &str| inside(&root, Path::new(path)).ok();
        assert_eq!(resolved("/var/run/secrets"), Some(root.join("run/secrets")));
        assert_eq!(resolved("/var/up/hosts"), Some(root.join("etc/hosts")));
        assert_eq!(resolved("/data/../x"), Some(root.join("x")));
        assert_eq!(resolved("/loop"), None);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
