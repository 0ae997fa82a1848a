//! `ferrolb migrate`: what MetalLB was configured with becomes what FerroLB reads.
//!
//! MetalLB's configuration of before 0.13, a ConfigMap, becomes objects. The contract is that of
//! MetalLB's own converter, `configmaptocrs`: the same objects under the same names in the same
//! order. What is stricter: an unknown key, a reference that leads nowhere, and a name that
//! Kubernetes would refuse are errors with their place, all of them at once, as the MetalLB that
//! read the ConfigMap had it.
//!
//! MetalLB's objects of today stay as they are, but for those of a version that nobody serves any
//! more. What changes in behaviour is told item by item.
//!
//! # Layout
//! `source` and `cluster` find what there is, `legacy` is what can be written in a ConfigMap,
//! `convert` and `objects` decide what each becomes, `combine` puts both together and `judge` asks
//! the controller's code about it; `steps` decides what to write, `apply` and `webhooks` do.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use kube::Client;

use crate::config::ScopeConfig;

mod apply;
mod cluster;
mod combine;
mod convert;
mod judge;
mod kinds;
mod legacy;
mod names;
mod objects;
mod report;
mod resources;
mod source;
mod steps;
mod webhooks;

use combine::{Combined, Input};
use judge::Scope;
use source::{Manifest, Source};
use steps::{Step, Stored};

/// Flags of `ferrolb migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateConfig {
    /// Manifest with the ConfigMap of before 0.13, MetalLB's objects, or both, among others if need be; - reads
    /// standard input
    #[arg(
        value_name = "FILE",
        required_unless_present_any = ["from_cluster", "remove_metallb_webhooks"],
        conflicts_with = "from_cluster"
    )]
    pub file: Option<PathBuf>,
    /// The input is only what stands under the key `config` of the ConfigMap
    #[arg(long, requires = "file", conflicts_with = "from_cluster")]
    pub only_data: bool,
    /// Read the ConfigMap metallb-system/config and MetalLB's objects through the API server
    #[arg(long)]
    pub from_cluster: bool,
    /// Namespace to put all objects into; without it, they are where the ConfigMap is, or stay where they are
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Apply the objects (server-side, as ferrolb-migrate) instead of printing them, and rewrite those that are
    /// stored at a former version; the ConfigMap stays
    #[arg(long)]
    pub apply: bool,
    /// Before that, remove MetalLB's admission and conversion webhooks, which refuse every write once MetalLB is gone
    #[arg(long)]
    pub remove_metallb_webhooks: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become help text")]
    pub scope: ScopeConfig,
}

/// Migrates; objects go to standard output or to the cluster, the report to standard error.
///
/// # Errors
/// What there is cannot be read or cannot be kept; or the API server refuses.
pub async fn run(config: MigrateConfig) -> anyhow::Result<()> {
    // A file that is wrong is told before anything is removed.
    let from_file = config.file.as_ref().map(|_| combine_file(&config)).transpose()?;
    let client = if config.needs_cluster() { Some(ferrolb_cluster::client::connect().await?) } else { None };
    let mut stored = Stored::default();
    let mut told = Vec::new();
    if let Some(client) = &client {
        told = settle_webhooks(client, &config).await?;
    }
    let combined = match (&client, from_file) {
        (_, Some(combined)) => combined,
        (Some(client), None) if config.from_cluster => {
            let (combined, read) = combine_cluster(client, &config).await?;
            stored = read;
            combined
        }
        (Some(_) | None, None) => return tell(&told),
    };
    write!(std::io::stderr(), "{}", combined.report)?;
    let steps = steps::steps(&combined, &stored)?;
    match &client {
        Some(client) if config.apply => {
            tell(&told)?;
            apply::apply(client, &steps, &stored).await
        }
        Some(_) | None => {
            std::io::stdout().write_all(combined.resources.to_yaml(&combined.origin)?.as_bytes())?;
            if config.from_cluster {
                told.extend(steps.iter().map(|step| Step::told(step, false)));
            }
            tell(&told)
        }
    }
}

impl MigrateConfig {
    const fn needs_cluster(&self) -> bool {
        self.from_cluster || self.apply || self.remove_metallb_webhooks
    }

    fn scope(&self) -> Scope<'_> {
        Scope { namespaces: &self.scope.config_namespaces, lb_class: self.scope.lb_class.as_deref() }
    }
}

/// Removes MetalLB's webhooks, if that is asked for; returns what is still to be said about them.
async fn settle_webhooks(client: &Client, config: &MigrateConfig) -> anyhow::Result<Vec<String>> {
    if !config.from_cluster && !config.remove_metallb_webhooks {
        return Ok(Vec::new());
    }
    let webhooks = webhooks::find(client).await?;
    if config.remove_metallb_webhooks && config.apply {
        webhooks.remove(client).await?;
        let mut stdout = std::io::stdout();
        webhooks.told(true).iter().try_for_each(|line| writeln!(stdout, "{line}"))?;
        return Ok(Vec::new());
    }
    if config.remove_metallb_webhooks {
        return Ok(webhooks.told(false).into());
    }
    let note = "note: MetalLB's webhooks are there, and refuse every write once MetalLB is gone; give \
                --remove-metallb-webhooks";
    Ok(if webhooks.is_any() { vec![note.into()] } else { Vec::new() })
}

/// What would be done, or is to be known, beside the objects on standard output.
fn tell(lines: &[String]) -> anyhow::Result<()> {
    let mut stderr = std::io::stderr();
    Ok(lines.iter().try_for_each(|line| writeln!(stderr, "{line}"))?)
}

fn combine_file(config: &MigrateConfig) -> anyhow::Result<Combined> {
    let Some(file) = &config.file else { return Ok(Combined::default()) };
    let text = source::read_text(file)?;
    let written = if config.only_data {
        Manifest { legacy: Some(Source::bare(text)), ..Manifest::default() }
    } else {
        Manifest::read(&text)?
    };
    Combined::of(&Input { written, cluster: None }, config.namespace.as_deref(), &config.scope())
}

async fn combine_cluster(client: &Client, config: &MigrateConfig) -> anyhow::Result<(Combined, Stored)> {
    let (input, stored) = cluster::read(client).await?;
    if input.written.is_empty() && !config.remove_metallb_webhooks {
        bail!(
            "there is no ConfigMap {}/{} with a key \"config\", and no object of MetalLB; if the ConfigMap has \
             another name, migrate its manifest",
            ferrolb_api::METALLB_NAMESPACE,
            source::CONFIG
        );
    }
    let mut combined = Combined::of(&input, config.namespace.as_deref(), &config.scope())?;
    if cluster::has_raw_frr(client).await? {
        let note =
            "ConfigMap metallb-system/bgpextras has raw FRR configuration, which FerroLB cannot carry out";
        combined.report.notes.push(note.into());
    }
    Ok((combined, stored))
}

#[cfg(test)]
mod tests;
