//! Removing a lab, whatever is left of it.

use crate::hosts::owns_netns;
use crate::netns;
use crate::process::Processes;
use crate::state::StateDir;

use super::Lab;

impl Lab {
    /// Removes everything of the lab of this name: processes, namespaces, mounts, files. It needs
    /// none of the lab's files, so it also works after a crash, and on a lab that is not there.
    ///
    /// # Errors
    /// Names what could not be removed.
    pub fn down(name: &str) -> anyhow::Result<()> {
        let state = StateDir::of(name)?;
        let lock = state.lock()?;
        Self::remove(name, &state)?;
        state.remove_lock(&lock)
    }

    /// As [`Self::down`], for who holds the lock.
    pub(super) fn remove(name: &str, state: &StateDir) -> anyhow::Result<()> {
        let processes = Processes::of(state);
        for process in processes.names() {
            processes.kill(&process);
        }
        let namespaces: Vec<String> =
            netns::list()?.into_iter().filter(|netns| owns_netns(name, netns)).collect();
        netns::kill_processes(&namespaces)?;
        for namespace in &namespaces {
            netns::delete(namespace)?;
        }
        state.remove()
    }
}
