//! Who is measured, and what the frame needs to know of it.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::scenario::Scenario;
use super::stage::Stage;

/// Something that keeps an address on one of the two nodes.
pub(crate) trait Contender {
    /// What it is called in the table.
    fn name(&self) -> &'static str;

    /// Parameters of the lab it runs in, as `lab/lab.yaml` documents them.
    fn lab(&self) -> Value;

    /// Installs it and gives the Service its address.
    fn install(&self, stage: &Stage) -> Result<()>;

    /// What its processes on a node are called.
    fn process(&self) -> &str;

    /// How long the client goes on after a fault, at least: longer than it takes to be noticed.
    fn observation(&self) -> Duration;

    /// How long one node has to have the address until all is taken to be well: as long as its
    /// members may need to find each other again.
    fn calm(&self) -> Duration;

    /// Whether the scenario exists for it.
    fn plays(&self, scenario: Scenario) -> bool;

    /// Whether it runs on the node and says it is ready.
    fn is_ready(&self, stage: &Stage, node: &str) -> Result<bool>;

    /// Takes the address off the node as planned.
    fn drain(&self, stage: &Stage, node: &str) -> Result<()>;

    /// Ends that.
    fn undrain(&self, stage: &Stage, node: &str) -> Result<()>;

    /// Replaces it on all nodes and waits until that is done.
    fn upgrade(&self, stage: &Stage) -> Result<()>;

    /// Starts it again on a node where it was killed, or that was without power.
    fn revive(&self, stage: &Stage, node: &str) -> Result<()>;
}
