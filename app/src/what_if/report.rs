//! The outcome as text.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::announcers::Announcer;
use super::outcome::{ClaimOutcome, Complaint, Effect, Outcome, ServiceOutcome, Summary};

/// For people: what changes, one line each, and the numbers.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let changes = outcome.services.iter().filter(|service| service.is_change());
    let claims = outcome.claims.iter().filter(|claim| claim.is_change());
    let rows: Vec<[String; 4]> = changes.map(row).chain(claims.map(claim_row)).collect();
    let width =
        |of: fn(&[String; 4]) -> &String| rows.iter().map(|row| of(row).len()).max().unwrap_or_default();
    let (first, third) = (width(|[service, ..]| service), width(|[_, _, addresses, _]| addresses));
    let mut text = String::new();
    for [service, effect, addresses, why] in &rows {
        let line = format!("{service:first$}  {effect}  {addresses:third$}  {why}");
        line_of(&mut text, line.trim_end());
    }
    for Complaint { kind, namespace, name, reason, message } in &outcome.complaints {
        line_of(&mut text, &format!("{kind} {namespace}/{name}  {reason}: {message}"));
    }
    for service in &outcome.unsettled {
        let told = "the controller has yet to act on it; this answer starts from what it will decide";
        line_of(&mut text, &format!("{service}  {told}"));
    }
    line_of(&mut text, &outcome.summary().to_string());
    text
}

/// For programs: every Service, and the numbers.
///
/// # Errors
/// Never in practice: all of it can be written as JSON.
pub fn json(outcome: &Outcome) -> Result<String, serde_json::Error> {
    let Summary { keep, gain, lose, moved, lack, change_node, silenced, claims_lost } = outcome.summary();
    let text = serde_json::to_string_pretty(&json!({
        "services": outcome.services.iter().map(service).collect::<Vec<_>>(),
        "claims": outcome.claims.iter().map(claim).collect::<Vec<_>>(),
        "objects": outcome.complaints,
        "unsettled": outcome.unsettled.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "summary": {
            "keep": keep, "gain": gain, "lose": lose, "move": moved, "lack": lack,
            "changeNode": change_node, "silenced": silenced,
            "claimsLost": claims_lost,
        },
    }))?;
    Ok(text + "\n")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keep, gain, lose, moved, lack, change_node, silenced, claims_lost } = *self;
        let verb = |count: usize, verb: &str| format!("{count} {verb}{}", if count == 1 { "s" } else { "" });
        let noun = if keep == 1 { "Service keeps" } else { "Services keep" };
        write!(f, "{keep} {noun}, {}, {}, {}", verb(gain, "gain"), verb(lose, "lose"), verb(moved, "move"))?;
        if lack > 0 {
            write!(f, ", {} an address", verb(lack, "lack"))?;
        }
        if change_node > 0 {
            write!(f, "; {} announced by another node", are(change_node))?;
        }
        if silenced > 0 {
            write!(f, "; {} announced no more", are(silenced))?;
        }
        match claims_lost {
            0 => {}
            1 => write!(f, "; 1 claim loses its address")?,
            _ => write!(f, "; {claims_lost} claims lose their addresses")?,
        }
        Ok(())
    }
}

fn are(count: usize) -> String {
    if count == 1 { "1 is".into() } else { format!("{count} are") }
}

fn line_of(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn row(outcome: &ServiceOutcome) -> [String; 4] {
    let ServiceOutcome { service, effect, before, after, why, .. } = outcome;
    let addresses = change(*effect, before, after);
    let mut parts = vec![why.clone(), announcement(outcome)];
    parts.retain(|part| !part.is_empty());
    [service.to_string(), effect.as_str().into(), addresses, parts.join("; ")]
}

fn claim_row(outcome: &ClaimOutcome) -> [String; 4] {
    let addresses = change(outcome.effect, outcome.before.as_slice(), outcome.after.as_slice());
    let claim = format!("AddressClaim {}", outcome.claim);
    [claim, outcome.effect.as_str().into(), addresses, outcome.why.clone()]
}

fn change(effect: Effect, before: &[IpAddr], after: &[IpAddr]) -> String {
    match effect {
        Effect::Keeps | Effect::Lacks => written(after),
        Effect::Gains | Effect::Loses | Effect::Moves => format!("{} -> {}", written(before), written(after)),
    }
}

/// What is to be said about who announces the Service.
fn announcement(outcome: &ServiceOutcome) -> String {
    if outcome.after.is_empty() {
        return String::new();
    }
    match (&outcome.announced_by, &outcome.then_announced_by) {
        (today, Some(then @ Announcer::Nobody { why, .. })) if today.as_ref() != Some(then) => {
            format!("announced by nobody: {why}")
        }
        (Some(today), Some(then)) if outcome.effect == Effect::Keeps => {
            format!("announced by {today} -> {then}")
        }
        (Some(_) | None, Some(_) | None) => String::new(),
    }
}

fn written(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "-".into();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn service(outcome: &ServiceOutcome) -> Value {
    let announcer = |announcer: &Option<Announcer>| match announcer {
        None => Value::Null,
        Some(Announcer::Node(node)) => json!({"node": node.as_str()}),
        Some(Announcer::Nobody { reason, why }) => json!({"reason": reason, "message": why}),
    };
    json!({
        "namespace": *outcome.service.namespace,
        "name": *outcome.service.name,
        "effect": outcome.effect.as_str(),
        "before": {"addresses": outcome.before, "announcer": announcer(&outcome.announced_by)},
        "after": {"addresses": outcome.after, "announcer": announcer(&outcome.then_announced_by)},
        "message": outcome.why,
    })
}

fn claim(outcome: &ClaimOutcome) -> Value {
    json!({
        "namespace": outcome.claim.namespace,
        "name": outcome.claim.name,
        "effect": outcome.effect.as_str(),
        "before": outcome.before,
        "after": outcome.after,
        "message": outcome.why,
    })
}
