//! `Community` objects: names for BGP communities (RFC 1997, RFC 8092).

use std::collections::{BTreeMap, BTreeSet};

use ferrolb_api::Community;
use ferrolb_vocab::{self as vocab, LargeCommunity, ObjectName};
use kube::ResourceExt;

use super::{INVALID_SPEC, ObjectError};

/// A community of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyCommunity {
    /// Of four octets, RFC 1997.
    Standard(vocab::Community),
    /// Of twelve, RFC 8092.
    Large(LargeCommunity),
}

/// What the names stand for that `Community` objects define, each in its namespace.
pub type Aliases = BTreeMap<ObjectName, AnyCommunity>;

/// The aliases of `objects`. Those that [`community_errors`] tells of are left out.
#[must_use]
pub fn aliases(objects: &[Community]) -> Aliases {
    let mut seen = BTreeSet::new();
    let mut aliases = BTreeMap::new();
    for object in objects {
        for alias in object.spec.communities.iter().filter(|alias| seen.insert(alias.name.as_str())) {
            let name = ObjectName::new(object.namespace().unwrap_or_default(), alias.name.as_str());
            aliases.extend(parse_community(&alias.value).ok().map(|community| (name, community)));
        }
    }
    aliases
}

/// Aliases whose value is no community, or whose name is taken.
#[must_use]
pub fn community_errors(objects: &[Community]) -> Vec<ObjectError> {
    let mut errors = Vec::new();
    let mut defined: BTreeMap<String, String> = BTreeMap::new();
    for object in objects {
        let owner = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        for (index, alias) in object.spec.communities.iter().enumerate() {
            let mut invalid = |reason, message: String| {
                let message = format!("spec.communities[{index}]: {message}");
                errors.push(ObjectError::at(object, reason, message));
            };
            if let Err(message) = parse_community(&alias.value) {
                invalid(INVALID_SPEC, message);
            }
            if let Some(other) = defined.insert(alias.name.clone(), owner.clone()) {
                let name = &alias.name;
                let message = format!(
                    "duplicate definition of community {name:?}: Community {other} has it; choose another name"
                );
                invalid("DuplicateAlias", message);
            }
        }
    }
    errors
}

/// The community that `text` is.
///
/// # Errors
/// What is wrong with it, in the words of `MetalLB`.
pub fn parse_community(text: &str) -> Result<AnyCommunity, String> {
    let sections: Vec<&str> = text.split(':').collect();
    match sections.as_slice() {
        [_, _] => text
            .parse()
            .map(AnyCommunity::Standard)
            .map_err(|_shape| invalid_section(text, &sections, u16::MAX.into())),
        ["large", numbers @ ..] if numbers.len() == 3 => numbers
            .join(":")
            .parse()
            .map(AnyCommunity::Large)
            .map_err(|_shape| invalid_section(text, numbers, u32::MAX)),
        [_, _, _, _] => Err(format!(
            "invalid community value: {text:?}: expected community to be of format large:<number>:<number>:<number>"
        )),
        [..] => Err(format!("invalid community format: {text}; write 64500:1, or large:64500:1:2")),
    }
}

fn invalid_section(text: &str, sections: &[&str], largest: u32) -> String {
    let is_valid = |section: &&&str| {
        let is_decimal = section.bytes().all(|octet| octet.is_ascii_digit());
        is_decimal && section.parse::<u32>().is_ok_and(|number| number <= largest)
    };
    let section = sections.iter().find(|section| !is_valid(section)).unwrap_or(&text);
    format!(
        "invalid community value: invalid section {section:?} of community {text:?}; write a number from 0 to \
         {largest}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn communities_are_of_either_kind() {
        for (text, expected) in [
            ("0:0", AnyCommunity::Standard(vocab::Community(0))),
            ("65535:65281", AnyCommunity::Standard(vocab::Community::NO_EXPORT)),
            (
                "large:4294967295:0:1",
                AnyCommunity::Large(LargeCommunity {
                    global_administrator: u32::MAX,
                    local_data_1: 0,
                    local_data_2: 1,
                }),
            ),
        ] {
            assert_eq!(parse_community(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_form_of_a_community_is_told_in_the_words_of_metallb() {
        // acceptance 121
        for (text, expected) in [
            ("65536:1", "invalid community value: invalid section \"65536\" of community \"65536:1\""),
            ("1:+2", "invalid community value: invalid section \"+2\" of community \"1:+2\""),
            ("1:", "invalid community value: invalid section \"\" of community \"1:\""),
            ("large:1:2:4294967296", "invalid community value: invalid section \"4294967296\""),
            ("1:2:3:4", "expected community to be of format large"),
            ("1", "invalid community format: 1"),
            ("large:1:2", "invalid community format: large:1:2"),
            ("", "invalid community format: "),
        ] {
            let message = parse_community(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    fn object(namespace: &str, name: &str, defined: &[(&str, &str)]) -> Community {
        let communities: Vec<_> =
            defined.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        serde_json::from_value(json!({
            "metadata": {"namespace": namespace, "name": name}, "spec": {"communities": communities},
        }))
        .unwrap()
    }

    #[test]
    fn an_alias_is_known_in_its_namespace_and_means_its_first_definition() {
        let objects = [
            object("metallb-system", "a", &[("vpn", "1:1"), ("bad", "1"), ("wide", "large:1:2:3")]),
            object("metallb-system", "b", &[("vpn", "2:2"), ("bad", "3:3")]),
        ];
        let known = aliases(&objects);
        let names: Vec<String> = known.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["metallb-system/vpn", "metallb-system/wide"]);
        let vpn = &known[&ObjectName::new("metallb-system", "vpn")];
        assert_eq!(*vpn, AnyCommunity::Standard(vocab::Community(0x0001_0001)));
        let reasons: Vec<&str> = community_errors(&objects).iter().map(|error| error.reason).collect();
        assert_eq!(reasons, [INVALID_SPEC, "DuplicateAlias", "DuplicateAlias"]);
    }
}
