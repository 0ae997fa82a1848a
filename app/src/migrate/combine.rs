//! The ConfigMap and the objects together: what is printed or applied, and what is told. No IO.

use std::collections::BTreeSet;

use anyhow::anyhow;
use ferrolb_api::METALLB_NAMESPACE;
use ferrolb_cluster::controller::ControllerObjects;

use super::convert::{self, Migration};
use super::judge::{self, Scope};
use super::kinds::ObjectKey;
use super::objects::{self, Written};
use super::report::{Problems, Report};
use super::resources::Resources;
use super::source::{Manifest, Source};

/// What there is to migrate.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// What was written.
    pub(super) written: Manifest,
    /// What else the cluster holds; absent when only a file was read.
    pub(super) cluster: Option<ControllerObjects>,
}

/// What becomes of it.
#[derive(Debug, Default)]
pub(super) struct Combined {
    /// What it was made from.
    pub(super) origin: String,
    /// The objects.
    pub(super) resources: Resources,
    /// Those of them that the ConfigMap makes.
    pub(super) from_config_map: BTreeSet<ObjectKey>,
    /// What changes.
    pub(super) report: Report,
}

impl Combined {
    /// Combines `input`, everything in `namespace` if that is given.
    ///
    /// # Errors
    /// Everything that cannot be kept.
    pub(super) fn of(input: &Input, namespace: Option<&str>, scope: &Scope<'_>) -> anyhow::Result<Self> {
        let mut combined = Self::default();
        let mut objects = input.written.objects.clone();
        let mut origins = Vec::new();
        if let Some(source) = &input.written.legacy {
            let legacy = convert_legacy(source, namespace);
            // MetalLB since 0.13 reads objects only: beside others than its own, a ConfigMap is a leftover.
            let is_leftover = input.cluster.is_some() && !makes_all(&legacy, &objects, namespace);
            if is_leftover {
                combined.report.notes.push(leftover(&source.place));
            } else {
                combined.add_legacy(legacy?);
                origins.push(source.place.clone());
                objects.retain(|object| input.cluster.is_none() || !combined.has_made(object, namespace));
            }
        }
        let what = if input.cluster.is_some() {
            "the objects of the cluster"
        } else {
            "the objects of the manifest"
        };
        origins.extend((!objects.is_empty()).then(|| what.to_owned()));
        combined.add_objects(&objects, namespace)?;
        combined.origin = origins.join(" and ");
        for former in &input.written.former_pools {
            let note = "is not migrated, and nobody reads it: write an IPAddressPool, and an L2Advertisement or a \
                        BGPAdvertisement by its protocol";
            combined.report.note_at(former, note.into());
        }
        judge::tell(&mut combined, input.cluster.as_ref(), scope);
        Ok(combined)
    }

    fn add_legacy(&mut self, legacy: Migration) {
        self.from_config_map = legacy.resources.keys().into_iter().collect();
        self.resources.append(legacy.resources);
        self.report.items.extend(legacy.report.items);
    }

    fn add_objects(&mut self, objects: &[Written], namespace: Option<&str>) -> anyhow::Result<()> {
        let mut problems = Problems::default();
        for twice in objects.iter().filter(|object| self.has_made(object, namespace)) {
            problems.at(&twice.key, "the ConfigMap makes the same object; remove one of them");
        }
        objects::convert(objects, namespace, (&mut self.resources, &mut self.report), &mut problems);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(anyhow!("these objects cannot be migrated:\n{problems}"))
        }
    }

    /// Whether the ConfigMap makes the object too.
    fn has_made(&self, object: &Written, namespace: Option<&str>) -> bool {
        self.from_config_map.contains(&object.key.moved(namespace))
    }
}

fn convert_legacy(source: &Source, namespace: Option<&str>) -> anyhow::Result<Migration> {
    let namespace = source.namespace(namespace);
    convert::convert(&source.parse()?, namespace)
        .map_err(|problems| anyhow!("{} cannot be migrated:\n{problems}", source.place))
}

/// Whether the ConfigMap makes all of `objects`. One that cannot be converted makes none.
fn makes_all(legacy: &anyhow::Result<Migration>, objects: &[Written], namespace: Option<&str>) -> bool {
    let made = legacy.as_ref().map(|legacy| legacy.resources.keys()).unwrap_or_default();
    objects.iter().all(|object| made.contains(&object.key.moved(namespace)))
}

fn leftover(place: &str) -> String {
    format!(
        "{place} is left over and is not migrated: there are objects that it does not make, so MetalLB reads those \
         only (namespace {METALLB_NAMESPACE}); delete it, or migrate its manifest"
    )
}
