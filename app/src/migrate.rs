//! `ferrolb migrate`: MetalLB's configuration of before 0.13, a ConfigMap, becomes objects.
//!
//! The contract is that of MetalLB's own converter, `configmaptocrs`: the same objects under the
//! same names in the same order. What is stricter: an unknown key, a reference that leads nowhere,
//! and a name that Kubernetes would refuse are errors with their place, all of them at once, as the
//! MetalLB that read the ConfigMap had it. What changes in behaviour is told item by item.
//!
//! # Layout
//! `source` finds the configuration, `legacy` is what can be written there, `convert` decides what
//! it becomes, `apply` and `webhooks` write to a cluster.

use std::io::Write;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

mod apply;
mod convert;
mod legacy;
mod names;
mod report;
mod resources;
mod source;
mod webhooks;

use source::Source;

/// Flags of `ferrolb migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateConfig {
    /// Manifest with the ConfigMap, one document among others if need be; - reads standard input
    #[arg(value_name = "FILE", required_unless_present = "from_cluster", conflicts_with = "from_cluster")]
    pub file: Option<PathBuf>,
    /// The input is only what stands under the key `config` of the ConfigMap
    #[arg(long, conflicts_with = "from_cluster")]
    pub only_data: bool,
    /// Read the ConfigMap metallb-system/config through the API server
    #[arg(long)]
    pub from_cluster: bool,
    /// Namespace of the objects; without it, that of the ConfigMap
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Apply the objects (server-side, as ferrolb-migrate) instead of printing them; the ConfigMap stays
    #[arg(long)]
    pub apply: bool,
    /// Before that, remove MetalLB's admission and conversion webhooks, which refuse every write once MetalLB is gone
    #[arg(long, requires = "apply")]
    pub remove_metallb_webhooks: bool,
}

/// Converts the ConfigMap; objects go to standard output or to the cluster, the report to
/// standard error.
///
/// # Errors
/// The ConfigMap cannot be read, or what it says cannot be kept; or the API server refuses.
pub async fn run(config: MigrateConfig) -> anyhow::Result<()> {
    let source = read(&config).await?;
    let namespace = source.namespace(config.namespace.as_deref());
    let written = source.parse()?;
    let migration = convert::convert(&written, namespace)
        .map_err(|problems| anyhow!("{} cannot be migrated:\n{problems}", source.place))?;
    write!(std::io::stderr(), "{}", migration.report)?;
    if !config.apply {
        let yaml = migration.resources.to_yaml(&source.place)?;
        return Ok(std::io::stdout().write_all(yaml.as_bytes())?);
    }
    let client = ferrolb_cluster::client::connect().await?;
    if config.remove_metallb_webhooks {
        webhooks::remove(&client).await?;
    }
    apply::apply(&client, &migration.resources).await
}

async fn read(config: &MigrateConfig) -> anyhow::Result<Source> {
    match &config.file {
        None => source::from_cluster(&ferrolb_cluster::client::connect().await?).await,
        Some(file) if config.only_data => Ok(Source::bare(source::read_text(file)?)),
        Some(file) => Source::in_manifest(&source::read_text(file)?),
    }
}

#[cfg(test)]
mod tests;
