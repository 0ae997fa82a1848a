//! What happens to claims between rounds.

use super::*;

/// Of each namespace; one more name is asked for that no claim bears.
const CLAIMS: usize = 2;

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// It is created, or all of it changes.
    Put(Box<ClaimRequest>),
    Delete,
    /// The last decision is recorded.
    Record,
    /// Someone else writes the record.
    Tamper(Option<ClaimRecord>),
}

pub(super) fn name(number: usize) -> String {
    format!("c{number}")
}

fn request() -> impl Strategy<Value = Box<ClaimRequest>> {
    let pool = || (0_usize..4, select([IpFamily::V4, IpFamily::V4, IpFamily::V6].to_vec()));
    let want = prop_oneof![
        4 => address().prop_map(ClaimWant::Address),
        4 => pool().prop_map(|(pool, family)| ClaimWant::Pool { pool: model::pool_name(pool), family }),
        1 => Just(ClaimWant::Unreadable { why: "typing error".into() }),
    ];
    let web = Requirement { key: "web".into(), operator: Operator::In(["yes".into()].into()) };
    let selector = select(std::vec![
        None,
        None,
        Some(label_exists("web")),
        Some(Selector { requirements: [web].into() }),
        Some(Selector::default()),
    ]);
    let recorded = proptest::option::weighted(0.3, any_record());
    (want, selector, recorded, 0_u64..4).prop_map(|(want, selector, recorded, created)| {
        Box::new(ClaimRequest { want, selector, recorded, created })
    })
}

fn any_record() -> impl Strategy<Value = ClaimRecord> {
    (address(), any::<bool>()).prop_map(|(address, reserved)| ClaimRecord { address, reserved })
}

pub(super) fn event() -> impl Strategy<Value = (usize, Event)> {
    let event = prop_oneof![
        6 => request().prop_map(Event::Put),
        2 => Just(Event::Delete),
        4 => Just(Event::Record),
        1 => proptest::option::of(any_record()).prop_map(Event::Tamper),
    ];
    (0..2 * CLAIMS, event)
}

impl Cluster {
    pub(super) fn happen_to_claim(&mut self, number: usize, event: Event) {
        let key = ObjectName::new(["even", "odd"][number % 2], name(number / 2));
        match (event, self.claims.get_mut(&key)) {
            (Event::Put(request), Some(claim)) => {
                *claim = ClaimRequest { recorded: claim.recorded, created: claim.created, ..*request };
            }
            (Event::Put(request), None) => {
                self.claims.insert(key, *request);
            }
            (Event::Record, Some(claim)) => {
                if let Some(decision) = self.allocator.claims().get(&key) {
                    claim.recorded = record(decision);
                }
            }
            (Event::Tamper(recorded), Some(claim)) => claim.recorded = recorded,
            (Event::Delete, _) => {
                self.claims.remove(&key);
            }
            (Event::Record | Event::Tamper(_), None) => {}
        }
    }
}
