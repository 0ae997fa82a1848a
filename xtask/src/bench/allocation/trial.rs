//! The phases of one run.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::addresses::Addresses;
use super::controller::Controller;
use super::stage::{Pool, Stage};
use super::{Contender, Phase};

/// One controller on one cluster.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    pub(super) contender: &'a Contender,
    pub(super) stage: &'a Stage,
    pub(super) kubeconfig: PathBuf,
    pub(super) addresses: Addresses,
    pub(super) services: usize,
}

impl Trial<'_> {
    /// Starts the controller, which does not mean that it has begun to work.
    pub(super) fn start(&self) -> Result<Controller> {
        let log = self.stage.path(&format!("{}.log", self.contender.name));
        Controller::start(self.contender, &self.kubeconfig, &log)
    }

    /// All Services at once. Also returns how many seconds after the last of them was created
    /// the last address came.
    pub(super) fn create(&self, controller: &mut Controller) -> Result<(Phase, f64)> {
        let mut after_last = 0.0;
        let phase = self.phase(controller, || {
            self.stage.create_services()?;
            let created = Instant::now();
            let done = self.addresses.wait(self.services, |_| true)?;
            after_last = done.saturating_duration_since(created).as_secs_f64();
            Ok(done)
        })?;
        Ok((phase, after_last))
    }

    /// A new process that finds everything as it should be.
    pub(super) fn restart(&self) -> Result<(Phase, Controller)> {
        let before = self.stage.requests()?;
        let mut controller = self.start()?;
        let settled = controller.settle(&self.addresses)?;
        let phase = Phase {
            wall: settled.saturating_duration_since(controller.started).as_secs_f64(),
            cpu: controller.cpu()?,
            memory: controller.peak_memory()?,
            requests: self.stage.requests()?.since(&before),
        };
        ensure!(self.addresses.count(|_| true) == self.services, "a restart took addresses away");
        Ok((phase, controller))
    }

    /// A full pool goes, while another is empty.
    pub(super) fn delete(&self, controller: &mut Controller, pool: &Pool) -> Result<Phase> {
        ensure!(
            self.addresses.count(|address| pool.contains(address)) > 0,
            "nothing is in pool {}",
            pool.name
        );
        self.phase(controller, || {
            self.stage.delete_pool(pool)?;
            self.addresses.wait(self.services, |address| !pool.contains(address))
        })
    }

    /// What `cause` and its consequences take; `cause` returns when the last address came.
    fn phase(&self, controller: &mut Controller, cause: impl FnOnce() -> Result<Instant>) -> Result<Phase> {
        let (before, cpu) = (self.stage.requests()?, controller.cpu()?);
        let started = Instant::now();
        let done = cause()?;
        controller.settle(&self.addresses)?;
        Ok(Phase {
            wall: done.saturating_duration_since(started).as_secs_f64(),
            cpu: controller.cpu()? - cpu,
            memory: controller.peak_memory()?,
            requests: self.stage.requests()?.since(&before),
        })
    }
}
