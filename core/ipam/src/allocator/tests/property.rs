//! Any sequence of events, against a model that knows nothing but what may be: it looks at every address of every
//! pool and at every pair of Services.

use std::boxed::Box;
use std::collections::BTreeSet;
use std::format;

use ferrolb_vocab::Labels;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

mod claims;
mod model;

const SERVICES: usize = 9;

/// What happens between rounds.
#[derive(Clone, Debug)]
enum Event {
    /// Service number `.0` is created, or all of it changes.
    Put(usize, Box<ServiceRequest>),
    /// Only its terms change.
    Terms(usize, Terms),
    /// Only what it asks for changes.
    Want(usize, Wanted),
    Delete(usize),
    /// Something happens to claim number `.0`.
    Claim(usize, claims::Event),
    /// All pools, each by number.
    Pools(Vec<Pool>),
    /// The last decision on a Service is recorded.
    Record(usize),
    /// Someone else writes the record of a Service.
    Tamper(usize, Vec<IpAddr>),
    Round,
    /// The controller starts anew, from whatever is on record.
    Crash,
}

fn service() -> impl Strategy<Value = usize> {
    0..SERVICES
}

fn address() -> impl Strategy<Value = IpAddr> {
    let all: Vec<IpAddr> =
        model::UNIVERSE.iter().flat_map(|range| model::addresses(range.parse().unwrap())).collect();
    any::<Index>().prop_map(move |index| *index.get(&all))
}

fn terms() -> impl Strategy<Value = Terms> {
    let backend = select(
        ["", "", "x", "y"]
            .map(|app| if app.is_empty() { BackendKey::default() } else { local(app) })
            .to_vec(),
    );
    (select(["", "k", "k", "l"].to_vec()), backend, vec(80_u16..84, 0..=2)).prop_map(
        |(sharing, backend, ports)| Terms {
            sharing: SharingKey::new(sharing),
            backend,
            ports: ports.into_iter().map(tcp).collect(),
        },
    )
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let pool_name = || (0_usize..5).prop_map(model::pool_name);
    prop_oneof![
        6 => Just(Wanted::Any),
        2 => pool_name().prop_map(Wanted::Pool),
        2 => (vec(address(), 1..=2), proptest::option::weighted(0.2, pool_name()))
            .prop_map(|(addresses, pool)| Wanted::Addresses { addresses, pool }),
        3 => vec(0_usize..3, 1..=2)
            .prop_map(|mut claims| {
                claims.dedup();
                Wanted::Claims(claims.into_iter().map(claims::name).collect())
            }),
        1 => Just(Wanted::Unreadable { why: "typing error".into() }),
    ]
}

fn request() -> impl Strategy<Value = Box<ServiceRequest>> {
    let families = select(std::vec![
        (Families::V4, FamilyPolicy::SingleStack),
        (Families::V4, FamilyPolicy::SingleStack),
        (Families::V6, FamilyPolicy::SingleStack),
        (Families::V4, FamilyPolicy::PreferDualStack),
        (Families::Dual { primary: IpFamily::V4 }, FamilyPolicy::PreferDualStack),
        (Families::Dual { primary: IpFamily::V6 }, FamilyPolicy::PreferDualStack),
        (Families::Dual { primary: IpFamily::V4 }, FamilyPolicy::RequireDualStack),
        (Families::V6, FamilyPolicy::RequireDualStack),
        (Families::None, FamilyPolicy::SingleStack),
    ]);
    (families, any::<bool>(), wanted(), terms(), 0_u64..4).prop_map(
        |((families, policy), web, wanted, terms, created)| {
            let labels = if web { Labels::from([("web", "yes")]) } else { Labels::default() };
            Box::new(ServiceRequest {
                labels,
                families,
                policy,
                wanted,
                terms: Arc::new(terms),
                recorded: Vec::new(),
                created,
            })
        },
    )
}

fn pools() -> impl Strategy<Value = Vec<Pool>> {
    let allocation =
        (0_u32..3, proptest::option::of(vec(select(["even", "odd"].to_vec()), 0..=2)), any::<bool>());
    let pool = (
        vec(select(model::UNIVERSE.to_vec()), 1..=3),
        proptest::option::weighted(0.4, allocation),
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.3),
    );
    vec(proptest::option::weighted(0.8, pool), 4).prop_map(|pools| {
        let numbered = pools.into_iter().enumerate().filter_map(|(number, pool)| Some((number, pool?)));
        numbered
            .map(|(number, (ranges, allocation, auto_assign, avoid_buggy_ips))| Pool {
                name: model::pool_name(number),
                // A range twice in one pool is an overlap like any other; mostly it is not wanted.
                ranges: ranges
                    .iter()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .map(|range| range.parse().unwrap())
                    .collect(),
                auto_assign,
                avoid_buggy_ips,
                service_allocation: allocation.map(|(priority, namespaces, web)| ServiceAllocation {
                    priority,
                    namespaces: namespaces.map(|names| names.into_iter().map(String::from).collect()),
                    service_selectors: if web { [label_exists("web")].into() } else { Vec::new() },
                }),
            })
            .collect()
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (service(), request()).prop_map(|(service, request)| Event::Put(service, request)),
        4 => (service(), terms()).prop_map(|(service, terms)| Event::Terms(service, terms)),
        3 => (service(), wanted()).prop_map(|(service, wanted)| Event::Want(service, wanted)),
        3 => service().prop_map(Event::Delete),
        4 => claims::event().prop_map(|(number, event)| Event::Claim(number, event)),
        1 => pools().prop_map(Event::Pools),
        4 => service().prop_map(Event::Record),
        1 => (service(), vec(address(), 0..=2)).prop_map(|(service, addresses)| Event::Tamper(service, addresses)),
        8 => Just(Event::Round),
        1 => Just(Event::Crash),
    ]
}

impl Cluster {
    fn happen(&mut self, event: Event) {
        let numbered = |number: usize| ServiceKey::new(["even", "odd"][number % 2], format!("s{number}"));
        let key = match &event {
            Event::Put(number, _) | Event::Terms(number, _) | Event::Want(number, _) => {
                Some(numbered(*number))
            }
            Event::Delete(number) | Event::Record(number) | Event::Tamper(number, _) => {
                Some(numbered(*number))
            }
            Event::Claim(..) | Event::Pools(_) | Event::Round | Event::Crash => None,
        };
        let service = key.as_ref().and_then(|key| self.services.get_mut(key));
        match (event, service, key) {
            (Event::Put(_, request), Some(service), _) => {
                let (recorded, created) = (std::mem::take(&mut service.recorded), service.created);
                *service = ServiceRequest { recorded, created, ..*request };
            }
            (Event::Put(_, request), None, Some(key)) => {
                self.services.insert(key, *request);
            }
            (Event::Terms(_, terms), Some(service), _) => service.terms = Arc::new(terms),
            (Event::Want(_, wanted), Some(service), _) => service.wanted = wanted,
            (Event::Record(_), Some(service), Some(key)) => {
                if let Some(decision) = self.allocator.decisions().get(&key) {
                    service.recorded = decision.addresses().to_vec();
                }
            }
            (Event::Tamper(_, addresses), Some(service), _) => service.recorded = addresses,
            (Event::Delete(_), _, Some(key)) => {
                self.services.remove(&key);
            }
            (Event::Claim(number, event), ..) => self.happen_to_claim(number, event),
            (Event::Pools(pools), ..) => self.set_pools(pools),
            (Event::Round, ..) => self.round(),
            (Event::Crash, ..) => {
                self.restart();
            }
            // An event of a Service that does not exist.
            (_, None, _) | (_, _, None) => {}
        }
    }

    /// What must be so after every round.
    fn round(&mut self) {
        let before = model::Before::of(self);
        self.allocator.reconcile(&self.pools, &self.claims, &self.services);
        model::check_round(self, &before);
        let settled = self.settled_allocator();
        self.restart_changes_nothing(&settled);
    }

    /// The allocator once repeated rounds change nothing: at once where there are no claims.
    fn settled_allocator(&self) -> Allocator {
        let mut settled = self.allocator.clone();
        for _ in 0..=self.claims.len() + self.services.len() {
            let mut again = settled.clone();
            again.reconcile(&self.pools, &self.claims, &self.services);
            if self.claims.is_empty() || essence(&again) == essence(&settled) {
                assert_eq!(essence(&again), essence(&settled), "the same round again");
                assert!(again.decisions().values().all(|decision| decision.cleared().is_none()));
                return again;
            }
            settled = again;
        }
        panic!("rounds go on changing something");
    }

    fn restart_changes_nothing(&self, settled: &Allocator) {
        let mut services = self.services.clone();
        for (service, decision) in settled.decisions() {
            services.get_mut(service).unwrap().recorded = decision.addresses().to_vec();
        }
        let mut claims = self.claims.clone();
        for (claim, decision) in settled.claims() {
            claims.get_mut(claim).unwrap().recorded = record(decision);
        }
        let mut restarted = Allocator::default();
        restarted.reconcile(&self.pools, &claims, &services);
        assert_eq!(essence(&restarted), essence(settled), "after a restart");
        assert!(restarted.decisions().values().all(|decision| decision.cleared().is_none()));
    }
}

/// All that a user sees of the decisions.
type Essence<'a> = (Vec<EssenceOfClaim<'a>>, Vec<EssenceOfService<'a>>);
type EssenceOfClaim<'a> = (&'a ObjectName, Option<IpAddr>, Option<&'a ClaimRefusal>);
type EssenceOfService<'a> = (&'a ServiceKey, Option<&'a PoolName>, &'a [IpAddr], Vec<&'a Refusal>);

fn essence(allocator: &Allocator) -> Essence<'_> {
    let of_claim = |(claim, decision)| {
        let (claim, decision): (&ObjectName, &ClaimDecision) = (claim, decision);
        (claim, decision.address(), decision.refusal())
    };
    let of_service = |(service, decision)| {
        let (service, decision): (&ServiceKey, &Decision) = (service, decision);
        let allocation = decision.allocation();
        let lacks = allocation
            .into_iter()
            .flat_map(|has| has.missing.as_deref().into_iter().chain(has.unmet.as_deref()));
        let pool = allocation.map(|allocation| &allocation.pool);
        (service, pool, decision.addresses(), decision.refusal().into_iter().chain(lacks).collect())
    };
    let claims = allocator.claims().iter().map(of_claim).collect();
    (claims, allocator.decisions().iter().map(of_service).collect())
}

/// 400 events each on average, of which about 15 % meet nothing that they could change: a million others in all.
const SEQUENCES: u32 = 3_200;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(SEQUENCES))]

    #[test]
    fn whatever_happens_only_what_the_model_allows_is_decided(
        start in pools(), events in vec(event(), 1..800)
    ) {
        let mut cluster = Cluster::with(start);
        for event in events {
            cluster.happen(event);
        }
        cluster.round();
    }
}
