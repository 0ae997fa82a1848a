//! `postStart` and `preStop`: what a container does right after its start and before its SIGTERM.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::LifecycleHandler;

use super::launch::Exec;
use super::probes::{self, Target};

/// Runs a handler to its end; the caller limits its time.
pub(super) async fn run(handler: &LifecycleHandler, target: &Target, exec: &Exec) -> anyhow::Result<()> {
    if let Some(action) = &handler.exec {
        let output = exec.run("hook", action.command.as_deref().unwrap_or_default()).await?;
        if output.code != 0 {
            bail!("command exited with {}: {}", output.code, output.text.trim_end());
        }
    } else if let Some(action) = &handler.http_get {
        probes::http_get(action, target).await.map(drop).context("HTTP handler")?;
    } else if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(sleep.seconds.unsigned_abs())).await;
    }
    Ok(())
}
