//! What happens to the node that has the address.

use anyhow::Result;

use super::contender::Contender;
use super::processes::{Signal, signal};
use super::stage::Stage;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// Nothing: what the client sees on this machine in any case.
    Nothing,
    /// The node loses its power.
    PowerOff,
    /// The node's cable is pulled.
    LinkDown,
    /// SIGKILL to the process that announces.
    Kill,
    /// SIGSTOP to the process that announces.
    Stop,
    /// The node is to give the address up.
    Drain,
    /// All processes that announce are replaced, node by node.
    Upgrade,
}

impl Scenario {
    pub(super) const ALL: [Self; 7] =
        [Self::Nothing, Self::PowerOff, Self::LinkDown, Self::Kill, Self::Stop, Self::Drain, Self::Upgrade];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no fault",
            Self::PowerOff => "node power-off",
            Self::LinkDown => "link down",
            Self::Kill => "process killed",
            Self::Stop => "process stopped",
            Self::Drain => "graceful drain",
            Self::Upgrade => "upgrade",
        }
    }

    /// Its name in file names and variables.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::PowerOff => "poweroff",
            Self::LinkDown => "linkdown",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Drain => "drain",
            Self::Upgrade => "upgrade",
        }
    }

    /// The scenario with this key.
    pub(super) fn of(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.key() == key)
    }

    /// Whether somebody wants it to happen.
    pub(super) const fn is_planned(self) -> bool {
        matches!(self, Self::Drain | Self::Upgrade)
    }

    /// Lets it happen to `owner`.
    pub(super) fn inject(self, stage: &Stage, contender: &dyn Contender, owner: &str) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::PowerOff => stage.lab(["kill-node", owner]),
            Self::LinkDown => stage.set_link(owner, "down"),
            Self::Kill => signal(&stage.processes(owner, contender.process())?, Signal::Kill),
            Self::Stop => signal(&stage.processes(owner, contender.process())?, Signal::Stop),
            Self::Drain => contender.drain(stage, owner),
            Self::Upgrade => contender.upgrade(stage),
        }
    }

    /// Undoes what happened to `owner`.
    pub(super) fn repair(self, stage: &Stage, contender: &dyn Contender, owner: &str) -> Result<()> {
        match self {
            Self::Nothing | Self::Upgrade => Ok(()),
            Self::PowerOff => {
                stage.lab(["start-node", owner])?;
                contender.revive(stage, owner)
            }
            Self::LinkDown => stage.set_link(owner, "up"),
            Self::Kill => contender.revive(stage, owner),
            Self::Stop => signal(&stage.processes(owner, contender.process())?, Signal::Continue),
            Self::Drain => contender.undrain(stage, owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_found_by_its_key() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::of(scenario.key()), Some(scenario));
        }
        assert_eq!(Scenario::of("flood"), None);
    }
}
