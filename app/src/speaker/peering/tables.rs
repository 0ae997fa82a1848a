//! What peers are told, in the driver's words. No IO.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrolb_bgp::{LinkBandwidth, Route, Transitivity};
use ferrolb_plan::bgp as plan;
use ferrolb_vocab::IpPrefix;

/// The routes of a peer, as the driver takes them.
pub(super) type Table = Arc<BTreeMap<IpPrefix, Arc<Route>>>;

/// The tables of the last plan. One that says the same again stays the same value, which the driver
/// need not compare with thousands of routes.
#[derive(Debug, Default)]
pub(super) struct Tables(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    planned: Arc<plan::Routes>,
    transitivity: Transitivity,
    table: Table,
    is_used: bool,
}

impl Tables {
    /// The table of what is `planned` for a peer to which the weight travels so far.
    pub(super) fn table(&mut self, planned: &Arc<plan::Routes>, transitivity: Transitivity) -> Table {
        let is_it = |entry: &&mut Entry| entry.transitivity == transitivity && entry.planned == *planned;
        if let Some(known) = self.0.iter_mut().find(is_it) {
            // The others of this plan have the same value, which is compared at once.
            known.planned = Arc::clone(planned);
            known.is_used = true;
            return Arc::clone(&known.table);
        }
        let table = convert(planned, transitivity);
        let entry =
            Entry { planned: Arc::clone(planned), transitivity, table: Arc::clone(&table), is_used: true };
        self.0.push(entry);
        table
    }

    /// Forgets what was not asked for since the last call.
    pub(super) fn forget_unused(&mut self) {
        self.0.retain_mut(|entry| std::mem::take(&mut entry.is_used));
    }
}

fn convert(planned: &plan::Routes, transitivity: Transitivity) -> Table {
    let mut known: BTreeMap<&plan::Route, Arc<Route>> = BTreeMap::new();
    let mut table = BTreeMap::new();
    for (prefix, planned) in planned {
        let told = known.entry(planned).or_insert_with(|| Arc::new(route(planned, transitivity)));
        table.insert(*prefix, Arc::clone(told));
    }
    Arc::new(table)
}

fn route(planned: &plan::Route, transitivity: Transitivity) -> Route {
    Route {
        local_pref: planned.local_pref,
        communities: planned.communities.clone(),
        large_communities: planned.large_communities.clone(),
        link_bandwidth: planned.local_endpoints.map(|weight| LinkBandwidth { weight, transitivity }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn routes(weights: &[u32]) -> Arc<plan::Routes> {
        let route = |(index, weight): (usize, &u32)| {
            let prefix = format!("198.51.100.{index}/32").parse().unwrap();
            let route = plan::Route {
                local_pref: Some(200),
                communities: ["64512:1".parse().unwrap()].into(),
                local_endpoints: NonZeroU32::new(*weight),
                ..plan::Route::default()
            };
            (prefix, Arc::new(route))
        };
        Arc::new(weights.iter().enumerate().map(route).collect())
    }

    #[test]
    fn a_route_is_told_with_all_that_is_planned_and_what_is_equal_is_one_value() {
        let table = Tables::default().table(&routes(&[3, 3, 0]), Transitivity::Transitive);
        let told: Vec<&Arc<Route>> = table.values().collect();
        assert!(Arc::ptr_eq(told[0], told[1]) && !Arc::ptr_eq(told[0], told[2]));
        assert_eq!((told[0].local_pref, told[0].communities.len()), (Some(200), 1));
        let weight = told[0].link_bandwidth.unwrap();
        assert_eq!((weight.weight.get(), weight.transitivity), (3, Transitivity::Transitive));
        assert_eq!(told[2].link_bandwidth, None, "it is no weight of zero");
    }

    #[test]
    fn a_plan_that_says_the_same_again_changes_no_table() {
        let mut tables = Tables::default();
        let first = tables.table(&routes(&[1]), Transitivity::Transitive);
        tables.forget_unused();
        assert!(Arc::ptr_eq(&first, &tables.table(&routes(&[1]), Transitivity::Transitive)));
        assert!(!Arc::ptr_eq(&first, &tables.table(&routes(&[1]), Transitivity::NonTransitive)));
        tables.forget_unused();
        tables.table(&routes(&[2]), Transitivity::Transitive);
        tables.forget_unused();
        assert_eq!(tables.0.len(), 1, "the others are forgotten");
    }
}
