//! Schemas with rules that `kube`'s derive cannot express, mostly rules on the items of a list.
//!
//! MetalLB leaves these checks to its admission webhook; here the API server makes them itself. A
//! rule may reject only what MetalLB's webhook rejects too, so where CEL's idea of an address is
//! narrower than Go's, the rule lets the value through and the controller judges it. The bounds
//! (`maxItems`, `maxLength`) exist because the API server multiplies them into the worst-case cost
//! of a rule and refuses a CRD that is too expensive.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Entries in a pool.
const POOL_ADDRESSES_MAX: usize = 1024;
/// Characters of one entry: two IPv6 addresses in their longest form, a dash, and blanks.
const POOL_ADDRESS_CHARS_MAX: usize = 128;
/// Selectors in a list; some list one per node.
const SELECTORS_MAX: usize = 4096;
/// `matchExpressions` of one selector.
const REQUIREMENTS_MAX: usize = 64;
/// Communities on one advertisement. A session carries at most 63 of them.
const ADVERTISED_COMMUNITIES_MAX: usize = 1024;
/// Characters of a community or of the name of an alias.
const COMMUNITY_CHARS_MAX: usize = 128;
/// Aliases in one `Community`; each is compared with each other.
const COMMUNITY_ALIASES_MAX: usize = 384;

/// CEL: an IPv4 address in IPv6 notation, which Go parses and CEL does not.
const IS_MAPPED: &str = "self.lowerAscii().contains(':ffff:')";
/// CEL: the text is a duration as Go writes it.
pub(crate) const IS_DURATION: &str =
    r"self.matches('^[+-]?(0|(([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$')";

/// The rule that a text, unless empty, is an IP address; `problem` opens its message.
pub(crate) fn address_or_empty(problem: &str) -> Rule {
    Rule::new(format!("self == '' || isIP(self) || {IS_MAPPED}"))
        .message(format!("{problem}: write one IPv4 or IPv6 address, like 192.0.2.1 or 2001:db8::1").as_str())
}

/// The rule that a text is a duration.
pub(crate) fn duration() -> Rule {
    Rule::new(IS_DURATION).message("not a duration: write a number and a unit, like 90s or 1m30s")
}

/// The rule that `condition` holds for a text that is a duration; [`duration`] tells about others.
pub(crate) fn if_duration(condition: &str) -> Rule {
    Rule::new(format!("!{IS_DURATION} || ({condition})"))
}

/// `IPAddressPool.spec.addresses`.
pub(crate) fn pool_addresses(_generator: &mut SchemaGenerator) -> Schema {
    // Reversed ranges are recognized for IPv4 only: CEL cannot order IPv6 addresses.
    json_schema!({
        "type": "array",
        "maxItems": POOL_ADDRESSES_MAX,
        "x-kubernetes-validations": [{
            "rule": "self.size() > 0",
            "message": "pool has no prefixes defined: list at least one CIDR or range, like 192.0.2.0/28 or 192.0.2.1-192.0.2.9",
        }],
        "items": {
            "type": "string",
            "maxLength": POOL_ADDRESS_CHARS_MAX,
            "x-kubernetes-validations": [
                {
                    "rule": "self.contains('-') || self.contains('/')",
                    "message": "neither a CIDR nor a range: write 192.0.2.0/28, or 192.0.2.1-192.0.2.9; for one address add /32 (IPv4) or /128 (IPv6)",
                },
                {
                    "rule": format!(
                        "self.contains('-') || !self.contains('/') || isCIDR(self) || {IS_MAPPED} || \
                         self.matches('/0[0-9]+$')"
                    ),
                    "message": "not a CIDR: write an IP address, a slash and a prefix length, like 192.0.2.0/28 or 2001:db8::/64",
                },
                {
                    "rule": format!(
                        "!self.contains('-') || {IS_MAPPED} || self.split('-', 2).all(end, isIP(end.trim()))"
                    ),
                    "message": "not a range: write two IP addresses with a dash between them, like 192.0.2.1-192.0.2.9",
                },
                {
                    "rule": "!self.matches('^[0-9. ]+-[0-9. ]+$') || \
                             !self.split('-', 2).all(end, isIP(end.trim())) || \
                             [self.replace(' ', '').replace('-', '.').split('.').map(octet, int(octet))].all(o, \
                             o[0] * 16777216 + o[1] * 65536 + o[2] * 256 + o[3] <= \
                             o[4] * 16777216 + o[5] * 65536 + o[6] * 256 + o[7])",
                    "message": "start is above end: swap the two addresses",
                },
            ],
        },
    })
}

/// A list of label selectors.
pub(crate) fn selectors(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "maxItems": SELECTORS_MAX, "items": selector(generator) })
}

/// `metav1.LabelSelector`, with the rules that every selector must meet to mean anything.
pub(crate) fn selector(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "A label selector; all its requirements must hold, and one without any matches everything.",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": "Labels and the values they must have.",
                "additionalProperties": { "type": "string" },
            },
            "matchExpressions": {
                "type": "array",
                "description": "Further requirements on labels.",
                "maxItems": REQUIREMENTS_MAX,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": { "type": "string", "description": "The label's key." },
                        "operator": {
                            "type": "string",
                            "description": "How the label is compared with the values.",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "type": "array",
                            "description": "What In and NotIn compare with; Exists and DoesNotExist take none.",
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string" },
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "self.operator in ['In', 'NotIn'] == (has(self.values) && self.values.size() > 0)",
                        "message": "operators In and NotIn need at least one entry in values, Exists and DoesNotExist take none",
                    }],
                },
            },
        },
    })
}

/// `BGPAdvertisement.spec.communities`: literals, which have a colon, and names of aliases.
pub(crate) fn advertised_communities(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": ADVERTISED_COMMUNITIES_MAX,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": COMMUNITY_CHARS_MAX,
            "x-kubernetes-validations": community_rules("!self.contains(':')"),
        },
    })
}

/// `Community.spec.communities`.
pub(crate) fn community_aliases(_generator: &mut SchemaGenerator) -> Schema {
    let name_is_unique =
        "!has(alias.name) || self.exists_one(other, has(other.name) && other.name == alias.name)";
    json_schema!({
        "type": "array",
        "maxItems": COMMUNITY_ALIASES_MAX,
        "x-kubernetes-validations": [{
            "rule": format!("self.all(alias, {name_is_unique})"),
            "message": "duplicate definition of community: give each alias a name of its own",
        }],
        "items": {
            "type": "object",
            "properties": {
                "name": {
                    "type": "string",
                    "description": "The name that advertisements use.",
                    "maxLength": COMMUNITY_CHARS_MAX,
                },
                "value": {
                    "type": "string",
                    "description": "The community: 64500:1, or large:64500:1:2.",
                    "maxLength": COMMUNITY_CHARS_MAX,
                    "x-kubernetes-validations": community_rules("false"),
                },
            },
        },
    })
}

/// The grammar of a community literal, RFC 1997 and RFC 8092, on every text that is not `exempt`.
fn community_rules(exempt: &str) -> serde_json::Value {
    serde_json::json!([
        {
            "rule": format!("{exempt} || self.split(':').size() in [2, 4]"),
            "message": "invalid community format: write two numbers, like 64500:1, or large:64500:1:2",
        },
        {
            "rule": format!("{exempt} || self.split(':').size() != 4 || self.startsWith('large:')"),
            "message": "invalid community value: expected community to be of format large:<number>:<number>:<number>",
        },
        {
            "rule": format!(
                "{exempt} || self.split(':').size() != 2 || (self.matches('^0*[0-9]{{1,5}}:0*[0-9]{{1,5}}$') && \
                 int(self.split(':')[0]) <= 65535 && int(self.split(':')[1]) <= 65535)"
            ),
            "message": "invalid community value: invalid section: both numbers must be from 0 to 65535; larger ones need large:<number>:<number>:<number>",
        },
        {
            "rule": format!(
                "{exempt} || self.split(':').size() != 4 || !self.startsWith('large:') || \
                 (self.matches('^large(:0*[0-9]{{1,10}}){{3}}$') && int(self.split(':')[1]) <= 4294967295 && \
                 int(self.split(':')[2]) <= 4294967295 && int(self.split(':')[3]) <= 4294967295)"
            ),
            "message": "invalid community value: invalid section: all three numbers must be from 0 to 4294967295",
        },
    ])
}
