//! Giving away what the container's security context does not grant.

use anyhow::Context as _;
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::Process;

/// Sets groups, user, capabilities and `no_new_privs`, as containerd does before it executes the program.
///
/// The bounding set holds what the container may have. A root user has all of it; any other user has none of
/// it after `execve`, because the ambient set stays empty (kubernetes/kubernetes#56374): a manifest that
/// works here works on a real node.
pub(super) fn apply(process: &Process) -> anyhow::Result<()> {
    let granted = parse(process)?;
    let bounding = caps::read(None, CapSet::Bounding).context("read the bounding set")?;
    bounding.difference(&granted).try_for_each(|capability| {
        caps::drop(None, CapSet::Bounding, *capability)
            .with_context(|| format!("drop {capability} from the bounding set"))
    })?;
    caps::clear(None, CapSet::Ambient).context("clear the ambient capabilities")?;
    let groups: Vec<Gid> = process.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).context("set the supplementary groups")?;
    let gid = Gid::from_raw(process.gid);
    setresgid(gid, gid, gid).with_context(|| format!("set group id {gid}"))?;
    let uid = Uid::from_raw(process.uid);
    setresuid(uid, uid, uid).with_context(|| format!("set user id {uid}"))?;
    caps::clear(None, CapSet::Inheritable).context("clear the inheritable capabilities")?;
    if uid.is_root() {
        caps::set(None, CapSet::Effective, &granted).context("set the effective capabilities")?;
        caps::set(None, CapSet::Permitted, &granted).context("set the permitted capabilities")?;
    }
    if process.no_new_privileges {
        prctl::set_no_new_privs().context("set no_new_privs")?;
    }
    Ok(())
}

/// The named capabilities, as far as this kernel has them.
fn parse(process: &Process) -> anyhow::Result<CapsHashSet> {
    let held = caps::read(None, CapSet::Permitted).context("read the permitted capabilities")?;
    let mut granted = CapsHashSet::new();
    for name in &process.capabilities {
        let capability: Capability =
            name.parse().ok().with_context(|| format!("{name} is not the name of a capability"))?;
        if held.contains(&capability) {
            granted.insert(capability);
        }
    }
    Ok(granted)
}
