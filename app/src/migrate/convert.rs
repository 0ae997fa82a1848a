//! What the configuration becomes: a decision about text, without IO.

use std::collections::BTreeMap;

use ferrolb_api::Community;
use ferrolb_api::community::{CommunityAlias, CommunitySpec};

use super::legacy::Config;
use super::names::object_names;
use super::report::{Item, Problems, Report};
use super::resources::Resources;

mod bfd_profiles;
mod communities;
mod peers;
mod pools;

/// What the operator must know of a password in an object.
pub(super) const READABLE_PASSWORD: &str =
    "the password is readable in the object: move it to a Secret, and name that in passwordSecret";

/// The objects, and what changes.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) resources: Resources,
    pub(super) report: Report,
}

/// Converts a configuration into objects of `namespace`, or tells everything that is wrong in it.
pub(super) fn convert(config: &Config, namespace: &str) -> Result<Migration, Problems> {
    let mut problems = Problems::default();
    let mut migration = Migration { resources: Resources::default(), report: Report::default() };
    let pools = config.address_pools.iter().map(|pool| pool.name.as_str());
    let pools = object_names("address-pools", pools, &mut problems);
    let profiles = config.bfd_profiles.iter().map(|profile| profile.name.as_str());
    let profiles = object_names("bfd-profiles", profiles, &mut problems);

    peers::convert(&config.peers, &profiles, &mut migration, &mut problems);
    pools::convert(config, &pools, &mut migration, &mut problems);
    bfd_profiles::convert(&config.bfd_profiles, &profiles, &mut migration, &mut problems);
    convert_communities(&config.bgp_communities, &mut migration, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    migration.resources.set_namespace(namespace);
    Ok(migration)
}

/// All aliases become one object.
fn convert_communities(
    aliases: &BTreeMap<String, String>,
    migration: &mut Migration,
    problems: &mut Problems,
) {
    if aliases.is_empty() {
        return;
    }
    for (name, value) in aliases {
        problems.take(format_args!("bgp-communities.{name}"), communities::check(value));
    }
    let alias =
        |(name, value): (&String, &String)| CommunityAlias { name: name.clone(), value: value.clone() };
    let spec = CommunitySpec { communities: aliases.iter().map(alias).collect() };
    migration.resources.communities.push(Community::new(COMMUNITIES, spec));
    let mut item = Item::new("bgp-communities", None);
    item.became("Community", COMMUNITIES);
    migration.report.items.push(item);
}

/// The name that MetalLB's converter gives the one Community object.
const COMMUNITIES: &str = "communities";
