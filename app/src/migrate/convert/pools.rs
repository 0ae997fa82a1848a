//! Pools, and the advertisements that their protocol stands for.

use std::collections::{BTreeMap, BTreeSet};

use ferrolb_api::bgp_advertisement::BgpAdvertisementSpec;
use ferrolb_api::ip_address_pool::IpAddressPoolSpec;
use ferrolb_api::l2_advertisement::L2AdvertisementSpec;
use ferrolb_api::{BgpAdvertisement, IpAddressPool, L2Advertisement};
use ferrolb_vocab::{IpFamily, IpRange};

use super::super::legacy::{self, AddressPool};
use super::super::report::{Item, Problems};
use super::super::resources::Resources;
use super::{Migration, communities};

/// Converts the pools; `names` are those of the objects.
pub(super) fn convert(
    config: &legacy::Config,
    names: &[String],
    migration: &mut Migration,
    problems: &mut Problems,
) {
    check_addresses(&config.address_pools, problems);
    for (index, (pool, name)) in config.address_pools.iter().zip(names).enumerate() {
        let place = format!("address-pools[{index}]");
        let resources = &mut migration.resources;
        let mut item = Item::new(&place, Some(&pool.name));
        item.became("IPAddressPool", name);
        resources.pools.push(IpAddressPool::new(name, spec(pool)));
        match pool.protocol.as_str() {
            "layer2" => {
                if !pool.bgp_advertisements.is_empty() {
                    let message = "a layer2 pool has none; remove them, or write protocol: bgp";
                    problems.at(format_args!("{place}.bgp-advertisements"), message);
                }
                item.became("L2Advertisement", &advertise_by_layer2(name, resources));
            }
            "bgp" => {
                for spec in bgp_advertisements(&place, (pool, name), &config.bgp_communities, problems) {
                    item.became("BGPAdvertisement", &advertise_by_bgp(spec, resources));
                }
            }
            "" => problems.at(format_args!("{place}.protocol"), "missing; write layer2 or bgp"),
            other => {
                let message = format!("{other:?} does not exist; write layer2 or bgp");
                problems.at(format_args!("{place}.protocol"), message);
            }
        }
        notes(pool, name, &mut item);
        migration.report.items.push(item);
    }
}

fn spec(pool: &AddressPool) -> IpAddressPoolSpec {
    IpAddressPoolSpec {
        addresses: pool.addresses.clone(),
        auto_assign: pool.auto_assign.unwrap_or(true),
        avoid_buggy_ips: pool.avoid_buggy_ips.unwrap_or(false),
        service_allocation: None,
    }
}

fn notes(pool: &AddressPool, name: &str, item: &mut Item) {
    if name != pool.name {
        item.note(format!(
            "renamed: Services that ask for it in the annotation metallb.universe.tf/address-pool must ask \
             for {name}"
        ));
    }
    if pool.avoid_buggy_ips == Some(true) {
        item.note("avoid-buggy-ips is kept: addresses that end in .0 or .255 are not given");
    }
    if pool.auto_assign == Some(false) {
        item.note("auto-assign is kept: only Services that ask for it get its addresses");
    }
}

/// Each entry must parse, and none may overlap another of any pool.
fn check_addresses(pools: &[AddressPool], problems: &mut Problems) {
    let mut ranges: Vec<(IpRange, String)> = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        let place = format!("address-pools[{index}].addresses");
        if pool.addresses.is_empty() {
            problems.at(&place, "the pool has none; list CIDRs or ranges");
        }
        for (entry, text) in pool.addresses.iter().enumerate() {
            let place = format!("{place}[{entry}]");
            if let Some(range) = problems.take(&place, text.parse()) {
                ranges.push((range, place));
            }
        }
    }
    // Sorted by their first address, so a range overlaps an earlier one exactly if it overlaps
    // the one that reaches farthest.
    ranges.sort();
    let mut farthest: Option<(IpRange, String)> = None;
    for (range, place) in ranges {
        if let Some((other, other_place)) = farthest.as_ref().filter(|(other, _)| other.overlaps(range)) {
            problems.at(&place, format_args!("{range} overlaps {other} ({other_place}); shrink one of them"));
        }
        let is_farther = |(other, _): &(IpRange, String)| {
            IpFamily::of(range.end()) != IpFamily::of(other.end()) || range.end() > other.end()
        };
        if farthest.as_ref().is_none_or(is_farther) {
            farthest = Some((range, place));
        }
    }
}

/// One for each layer2 pool; returns its name.
fn advertise_by_layer2(pool: &str, resources: &mut Resources) -> String {
    let name = format!("l2advertisement{}", resources.l2_advertisements.len() + 1);
    let spec = L2AdvertisementSpec { ip_address_pools: vec![pool.to_owned()], ..Default::default() };
    resources.l2_advertisements.push(L2Advertisement::new(&name, spec));
    name
}

/// Returns its name.
fn advertise_by_bgp(spec: BgpAdvertisementSpec, resources: &mut Resources) -> String {
    let name = format!("bgpadvertisement{}", resources.bgp_advertisements.len() + 1);
    resources.bgp_advertisements.push(BgpAdvertisement::new(&name, spec));
    name
}

/// One for each that is written, or one that says nothing.
fn bgp_advertisements(
    place: &str,
    (pool, name): (&AddressPool, &str),
    aliases: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Vec<BgpAdvertisementSpec> {
    let of_pool =
        BgpAdvertisementSpec { ip_address_pools: vec![name.to_owned()], ..BgpAdvertisementSpec::default() };
    if pool.bgp_advertisements.is_empty() {
        return vec![of_pool];
    }
    let mut specs = Vec::new();
    for (index, written) in pool.bgp_advertisements.iter().enumerate() {
        check_advertisement(&format!("{place}.bgp-advertisements[{index}]"), written, aliases, problems);
        let mut seen = BTreeSet::new();
        let communities = written.communities.iter().filter(|community| seen.insert(*community));
        specs.push(BgpAdvertisementSpec {
            aggregation_length: written.aggregation_length.unwrap_or(of_pool.aggregation_length),
            aggregation_length_v6: written.aggregation_length_v6.unwrap_or(of_pool.aggregation_length_v6),
            local_pref: Some(written.localpref).filter(|local_pref| *local_pref != 0),
            communities: communities.cloned().collect(),
            ..of_pool.clone()
        });
    }
    specs
}

fn check_advertisement(
    place: &str,
    written: &legacy::BgpAdvertisement,
    aliases: &BTreeMap<String, String>,
    problems: &mut Problems,
) {
    for (key, length, allowed) in [
        ("aggregation-length", written.aggregation_length, 1..=32),
        ("aggregation-length-v6", written.aggregation_length_v6, 0..=128),
    ] {
        if let Some(length) = length.filter(|length| !allowed.contains(length)) {
            let (start, end) = (allowed.start(), allowed.end());
            problems
                .at(format_args!("{place}.{key}"), format_args!("expected {start} to {end}, found {length}"));
        }
    }
    for (index, community) in written.communities.iter().enumerate() {
        if aliases.contains_key(community) {
            continue;
        }
        let unknown =
            communities::check(community).map_err(|error| format!("{error}, or a name of bgp-communities"));
        problems.take(format_args!("{place}.communities[{index}]"), unknown);
    }
}
