//! `Community` objects: names for BGP communities (RFC 1997, RFC 8092).

use std::collections::BTreeMap;

use ferrolb_api::Community;
use kube::ResourceExt;

use super::{INVALID_SPEC, ObjectError};

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
            if let Err(message) = check_community(&alias.value) {
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

/// Whether `text` is a community, in the words of `MetalLB`.
///
/// # Errors
/// What is wrong with it.
pub fn check_community(text: &str) -> Result<(), String> {
    fn numbers<N: std::str::FromStr>(text: &str, sections: &[&str], largest: u32) -> Result<(), String> {
        match sections.iter().find(|section| section.parse::<N>().is_err()) {
            None => Ok(()),
            Some(section) => Err(format!(
                "invalid community value: invalid section {section:?} of community {text:?}; \
                 write a number from 0 to {largest}"
            )),
        }
    }
    match text.split(':').collect::<Vec<_>>().as_slice() {
        sections @ [_, _] => numbers::<u16>(text, sections, u32::from(u16::MAX)),
        ["large", sections @ ..] if sections.len() == 3 => numbers::<u32>(text, sections, u32::MAX),
        [_, _, _, _] => Err(format!(
            "invalid community value: {text:?}: expected community to be of format large:<number>:<number>:<number>"
        )),
        [..] => Err(format!("invalid community format: {text}; write 64500:1, or large:64500:1:2")),
    }
}
