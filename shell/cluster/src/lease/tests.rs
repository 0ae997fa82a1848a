use super::*;

fn replica() -> Candidacy {
    Candidacy { identity: "me".into(), observed: None }
}

fn held_by(holder: &str, renewals: i32) -> Lease {
    Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(10),
            lease_transitions: Some(renewals),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    }
}

#[test]
fn a_free_lease_and_our_own_may_be_claimed() {
    let now = Instant::now();
    assert!(replica().may_claim(&held_by("", 0), now));
    assert!(replica().may_claim(&held_by("me", 0), now));
    assert!(replica().may_claim(&Lease::default(), now));
}

#[test]
fn anothers_lease_is_honoured_until_it_stood_still_for_its_duration() {
    let mut replica = replica();
    let start = Instant::now();
    assert!(!replica.may_claim(&held_by("other", 0), start), "first seen just now, however old it is");
    assert!(!replica.may_claim(&held_by("other", 0), start + Duration::from_secs(10)));
    assert!(replica.may_claim(&held_by("other", 0), start + Duration::from_millis(10_001)));
}

#[test]
fn a_renewal_starts_the_wait_anew() {
    let mut replica = replica();
    let start = Instant::now();
    assert!(!replica.may_claim(&held_by("other", 0), start));
    assert!(!replica.may_claim(&held_by("other", 1), start + Duration::from_secs(9)));
    assert!(!replica.may_claim(&held_by("other", 1), start + Duration::from_secs(18)));
    assert!(replica.may_claim(&held_by("other", 1), start + Duration::from_secs(20)));
}

#[test]
fn taking_over_counts_a_transition_and_renewing_does_not() {
    let replica = replica();
    let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions;
    assert_eq!(transitions(&replica.claim(Some(&held_by("other", 4)))), Some(5));
    assert_eq!(transitions(&replica.claim(Some(&held_by("me", 4)))), Some(4));
}
