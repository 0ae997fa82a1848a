//! What `ferrolb-bench-bgp` measures, in the order of the table, and what would make us unhappy.

use super::Goal;

/// What ours is called.
pub(super) const OURS: &str = "ferrolb";

/// The share of the processors' time that nobody used while BFD had to stay up.
pub(super) const IDLE: &str = "load: processors idle";

/// Name, unit, and what ours has to be.
pub(super) type Measure = (&'static str, &'static str, Goal);

pub(super) const MEASURES: [Measure; 27] = [
    ("table: all", "ms", TABLE),
    ("table: first to last", "ms", Goal::Shown),
    ("table: updates", "messages", Goal::Shown),
    ("change: 1 added", "ms", ONE),
    ("change: 100 added", "ms", MANY),
    ("change: 100 withdrawn", "ms", MANY),
    ("change: 1,000 added", "ms", MANY),
    ("event: 1 Service", "ms", EVENT_ONE),
    ("event: 1 Service withdrawn", "ms", EVENT_ONE),
    ("event: 1,000 routes", "ms", EVENT_ALL),
    ("event: 1,000 routes: first node", "ms", Goal::Shown),
    ("detection: 3 x 10 ms: time", "ms", Goal::Shown),
    ("detection: 3 x 10 ms: share", "%", DETECTION),
    ("detection: 3 x 50 ms: time", "ms", Goal::Shown),
    ("detection: 3 x 50 ms: share", "%", DETECTION),
    ("detection: 3 x 300 ms: time", "ms", Goal::Shown),
    ("detection: 3 x 300 ms: share", "%", DETECTION),
    ("footprint: rest: memory", "MiB", Goal::Shown),
    ("footprint: rest: processor", "ms/s", Goal::Shown),
    ("footprint: full: memory", "MiB", Goal::Shown),
    ("footprint: full: added", "MiB", ADDED_MEMORY),
    ("footprint: full: processor", "ms/s", Goal::Shown),
    ("crowd: processor", "ms/s", CROWD),
    ("crowd: memory", "MiB", Goal::Shown),
    ("load: 3 x 50 ms: downs", "downs", NONE_AT_ALL),
    ("load: 3 x 10 ms: downs", "downs", NONE_AT_ALL),
    (IDLE, "%", FULL),
];

/// No longer than BIRD, which needs some 12 ms from its first UPDATE to its last on two processors.
const TABLE: Goal = Goal::AtMostAndShare { median: 100.0, max: 250.0, peer: "bird", share: 1.0 };
const ONE: Goal = Goal::AtMost { median: 10.0, max: 10.0 };
const MANY: Goal = Goal::AtMost { median: 50.0, max: 50.0 };
/// Three nodes, the API server and the receiver share two processors, so that now and then somebody waits
/// for one: the greatest may be twice what the median may.
const EVENT_ONE: Goal = Goal::AtMost { median: 10.0, max: 20.0 };
const EVENT_ALL: Goal = Goal::AtMost { median: 50.0, max: 100.0 };
/// In percent of the Detection Time of RFC 5880 §6.8.4.
const DETECTION: Goal = Goal::AtMost { median: 110.0, max: 110.0 };
const ADDED_MEMORY: Goal = Goal::AtMost { median: 6.0, max: 6.0 };
/// No more than FRR's bfdd, which needs a tenth of a processor.
const CROWD: Goal = Goal::AtMostAndShare { median: 100.0, max: 100.0, peer: "frr", share: 1.0 };
const NONE_AT_ALL: Goal = Goal::Below(1.0);
const FULL: Goal = Goal::Below(5.0);
