//! Names of before 0.13 were any text; those of objects are not.

use std::collections::BTreeMap;

use super::report::Problems;

/// The longest name that MetalLB's converter makes, in octets.
const NAME_MAX: usize = 63;

/// The object's name for `name`, as MetalLB's converter makes it: a name that already is one
/// stays; of others the first 63 octets are kept, in lower case, with `-` for `_`, from the first
/// letter on. A `-` or `.` that this leaves at the end goes too, which the API server would refuse.
/// `None` if that does not make it a name.
pub(super) fn object_name(name: &str) -> Option<String> {
    let kept = name.get(..name.floor_char_boundary(NAME_MAX))?;
    let lower = kept.to_ascii_lowercase().replace('_', "-");
    let start = lower.find(|first: char| first.is_ascii_lowercase())?;
    let result = lower.get(start..)?.trim_end_matches(['-', '.']);
    is_subdomain(result).then(|| result.to_owned())
}

/// The objects' names for all `names` of the list at `place`; two that become the same, and one
/// that cannot be a name, are problems.
pub(super) fn object_names<'a>(
    place: &str,
    names: impl Iterator<Item = &'a str>,
    problems: &mut Problems,
) -> Vec<String> {
    let mut first_place: BTreeMap<String, usize> = BTreeMap::new();
    let mut name_at = |(index, name): (usize, &str)| {
        let Some(made) = object_name(name) else {
            let why =
                "cannot become the name of an object; begin with a letter, go on in letters, digits and -";
            problems.at(format_args!("{place}[{index}].name"), format_args!("{name:?} {why}"));
            return name.to_owned();
        };
        if let Some(first) = first_place.get(&made) {
            let why =
                format!("{name:?} is {made:?} as an object, as is {place}[{first}]; rename one of them");
            problems.at(format_args!("{place}[{index}].name"), why);
        } else {
            first_place.insert(made.clone(), index);
        }
        made
    };
    names.enumerate().map(&mut name_at).collect()
}

/// Whether the API server takes it as a name (RFC 1123 subdomain).
fn is_subdomain(name: &str) -> bool {
    let is_inner = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    name.split('.').all(|label| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_metallbs_converter() {
        let long =
            "tooLongBFDProfileName01-tooLongBFDProfileName02-tooLongBFDProfileName03-tooLongBFDProfileName04";
        for (name, expected) in [
            ("nginx-ip-range", "nginx-ip-range"),
            ("01-numbered-addresspool", "numbered-addresspool"),
            ("Capitalized-AddressPool", "capitalized-addresspool"),
            ("underscored_bfd_profile", "underscored-bfd-profile"),
            (long, "toolongbfdprofilename01-toolongbfdprofilename02-toolongbfdprofi"),
            ("a", "a"),
            ("pool.v1", "pool.v1"),
            ("my_pool_", "my-pool"),
        ] {
            assert_eq!(object_name(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_cannot_become_a_name_is_none() {
        for name in ["", "01", "my pool", "pool!", "인그레스", "a..b", "a-.b"] {
            assert_eq!(object_name(name), None, "{name}");
        }
    }

    #[test]
    fn two_that_become_one_are_told_at_the_second() {
        let mut problems = Problems::default();
        let names = object_names("address-pools", ["My_Pool", "my-pool", "!"].into_iter(), &mut problems);
        assert_eq!(names, ["my-pool", "my-pool", "!"]);
        let expected = "address-pools[1].name: \"my-pool\" is \"my-pool\" as an object, as is address-pools[0]; \
                        rename one of them\naddress-pools[2].name: \"!\" cannot become the name of an object; \
                        begin with a letter, go on in letters, digits and -";
        assert_eq!(problems.to_string(), expected);
    }
}
