//! Which addresses each `LoadBalancer` Service gets, or why none: "Service contract" of
//! docs/reference/metallb-contract.md, as a function of pools, Services and what was decided before.
//!
//! ```
//! use ferrolb_ipam::{Allocator, Families, Pool, PoolSet, ServiceRequest};
//! use ferrolb_vocab::ServiceKey;
//! use std::collections::BTreeMap;
//!
//! let (pools, rejected) = PoolSet::new([Pool::new("lb-pool", ["192.168.100.240-192.168.100.250".parse()?])]);
//! assert!(rejected.is_empty());
//! let service = ServiceKey::new("default", "svc-lb");
//! let services = BTreeMap::from([(service.clone(), ServiceRequest::new(Families::V4))]);
//!
//! let mut allocator = Allocator::default();
//! let decision = &allocator.reconcile(&pools, &BTreeMap::new(), &services)[&service];
//! assert_eq!(decision.addresses().first().map(ToString::to_string), Some("192.168.100.240".into()));
//! # Ok::<(), ferrolb_vocab::ParseRangeError>(())
//! ```
//!
//! What is absent: Kubernetes objects, annotations, Events, clocks. The controller parses objects into
//! [`Pool`]s, [`ClaimRequest`]s and [`ServiceRequest`]s, calls [`Allocator::reconcile`] with all of them after every
//! change, and writes the decisions down.
//!
//! # Layout
//! [`pool`] and [`pool_set`] are what there is to give, [`request`] is what a Service asks for, [`claim`] what is
//! reserved, [`decision`] and [`refusal`] are the answers, [`allocator`] finds them: its submodules hold the rules,
//! `claims` for what is reserved and `binding` for whom, `keep` for an address that a Service already has, `choose`
//! for a new one, `ledger` for who uses what in this round. [`usage`] counts. [`withhold()`] takes out of a pool
//! what must never be given.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod allocator;
pub mod claim;
pub mod decision;
pub mod pool;
pub mod pool_set;
pub mod refusal;
pub mod request;
pub mod usage;
pub mod withhold;

pub use allocator::Allocator;
pub use claim::{ClaimDecision, ClaimRecord, ClaimRefusal, ClaimRequest, ClaimWant, Reservation};
pub use decision::{Allocation, Change, Cleared, Decision, Refused};
pub use pool::{Incompatibility, Pool, ServiceAllocation};
pub use pool_set::{PoolError, PoolSet, Rejected};
pub use refusal::{Listed, NotAllowed, Refusal, Shortage};
pub use request::{
    BackendKey, Families, FamilyPolicy, Port, Protocol, ServiceRequest, SharingKey, Terms, Wanted,
};
pub use usage::Usage;
pub use withhold::{Occupant, Withheld, give_last, withhold};
