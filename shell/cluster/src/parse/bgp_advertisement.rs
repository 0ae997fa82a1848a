//! `BGPAdvertisement` objects.

use ferrolb_api::BgpAdvertisement;
use ferrolb_plan as plan;
use ferrolb_plan::bgp::advertisement::COMMUNITIES_MAX;
use ferrolb_vocab::{IpFamily, ObjectName};
use kube::ResourceExt;

use super::community::{Aliases, AnyCommunity, parse_community};
use super::pool::selectors;
use super::{INVALID_SPEC, ObjectError, UNKNOWN_REFERENCE};

/// The advertisement as the plan sees it. Without `aliases` those that it names are left out: who
/// judges objects in whatever order cannot know which are to come.
///
/// # Errors
/// The first field that means nothing; after all others, an alias that nobody defines.
pub fn bgp_advertisement(
    object: &BgpAdvertisement,
    aliases: Option<&Aliases>,
) -> Result<plan::BgpAdvertisement, ObjectError> {
    let mut advertisement =
        parse(object).map_err(|message| ObjectError::at(object, INVALID_SPEC, message))?;
    for (index, name) in object.spec.communities.iter().enumerate().filter(|(_, text)| is_alias(text)) {
        let Some(aliases) = aliases else { continue };
        let namespace = object.namespace().unwrap_or_default();
        let Some(community) = aliases.get(&ObjectName::new(namespace.as_str(), name.as_str())) else {
            let message = format!(
                "spec.communities[{index}]: invalid community format: {name}\ninvalid community {name:?} in BGP \
                 advertisement: define it in a Community of namespace {namespace}, or write 64500:1 or \
                 large:64500:1:2"
            );
            return Err(ObjectError::at(object, UNKNOWN_REFERENCE, message));
        };
        add(&mut advertisement, *community);
    }
    Ok(advertisement)
}

fn parse(object: &BgpAdvertisement) -> Result<plan::BgpAdvertisement, String> {
    let spec = &object.spec;
    let [length, length_v6] = [
        ("aggregationLength", spec.aggregation_length, 1, IpFamily::V4),
        ("aggregationLengthV6", spec.aggregation_length_v6, 0, IpFamily::V6),
    ]
    .map(|(field, written, least, family)| {
        let length = u8::try_from(written).ok().filter(|length| (least..=family.bits()).contains(length));
        length.ok_or_else(|| format!("spec.{field}: expected {least} to {}, found {written}", family.bits()))
    });
    let mut advertisement = plan::BgpAdvertisement {
        pools: spec.ip_address_pools.iter().map(Into::into).collect(),
        pool_selectors: selectors("spec.ipAddressPoolSelectors", &spec.ip_address_pool_selectors)?,
        node_selectors: selectors("spec.nodeSelectors", &spec.node_selectors)?,
        service_selectors: selectors("spec.serviceSelectors", &spec.service_selectors)?,
        peers: spec.peers.iter().cloned().collect(),
        aggregation_length: length?,
        aggregation_length_v6: length_v6?,
        local_pref: spec.local_pref.filter(|preference| *preference != 0),
        ..plan::BgpAdvertisement::default()
    };
    let is_aggregated = IpFamily::V4.bits() != advertisement.aggregation_length
        || IpFamily::V6.bits() != advertisement.aggregation_length_v6;
    if is_aggregated && !advertisement.service_selectors.is_empty() {
        return Err(
            "serviceSelectors and aggregationLength are mutually exclusive, can only be used together \
                    with default aggregationLength (32) and aggregationLengthV6 (128)"
                .into(),
        );
    }
    let written = spec.communities.len();
    if written > COMMUNITIES_MAX {
        return Err(format!(
            "spec.communities: max supported communities is {COMMUNITIES_MAX}, got {written}"
        ));
    }
    for (index, text) in spec.communities.iter().enumerate().filter(|(_, text)| !is_alias(text)) {
        let community = parse_community(text);
        add(&mut advertisement, community.map_err(|why| format!("spec.communities[{index}]: {why}"))?);
    }
    Ok(advertisement)
}

/// What is no literal, and so has no colon, is the name of one.
fn is_alias(text: &str) -> bool {
    !text.contains(':')
}

fn add(advertisement: &mut plan::BgpAdvertisement, community: AnyCommunity) {
    match community {
        AnyCommunity::Standard(community) => {
            advertisement.communities.insert(community);
        }
        AnyCommunity::Large(community) => {
            advertisement.large_communities.insert(community);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::community::aliases;
    use ferrolb_api::Community;
    use serde_json::{Value, json};

    fn known() -> Aliases {
        let communities =
            json!([{"name": "vpn", "value": "64512:9"}, {"name": "wide", "value": "large:1:2:3"}]);
        let object = json!({
            "metadata": {"name": "names", "namespace": "metallb-system"}, "spec": {"communities": communities},
        });
        aliases(&[serde_json::from_value::<Community>(object).unwrap()])
    }

    fn object(namespace: &str, spec: &Value) -> BgpAdvertisement {
        let object = json!({"metadata": {"name": "all", "namespace": namespace}, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    fn read(spec: &Value) -> plan::BgpAdvertisement {
        bgp_advertisement(&object("metallb-system", spec), Some(&known())).unwrap()
    }

    fn error(spec: &Value) -> String {
        bgp_advertisement(&object("metallb-system", spec), Some(&known())).unwrap_err().message
    }

    #[test]
    fn an_empty_advertisement_is_of_everything_to_everyone() {
        assert_eq!(read(&json!({})), plan::BgpAdvertisement::default());
        assert_eq!(read(&json!({"localPref": 0})).local_pref, None, "0 is not set");
    }

    #[test]
    fn every_field_is_read() {
        // acceptance 70, 72
        let advertisement = read(&json!({
            "aggregationLength": 24, "aggregationLengthV6": 64, "localPref": 300,
            "communities": ["64512:2", "64512:1", "vpn", "large:4:5:6", "wide", "large:1:2:3"],
            "ipAddressPools": ["one"], "ipAddressPoolSelectors": [{"matchLabels": {"tier": "web"}}],
            "nodeSelectors": [{}], "peers": ["tor-b", "tor-a"],
        }));
        let texts: Vec<String> = advertisement.communities.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["64512:1", "64512:2", "64512:9"]);
        let texts: Vec<String> = advertisement.large_communities.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["1:2:3", "4:5:6"]);
        assert_eq!((advertisement.aggregation_length, advertisement.aggregation_length_v6), (24, 64));
        assert_eq!(advertisement.local_pref, Some(300));
        assert_eq!(advertisement.pools, ["one".into()].into());
        assert_eq!(advertisement.peers, ["tor-a".into(), "tor-b".into()].into());
        assert_eq!((advertisement.pool_selectors.len(), advertisement.node_selectors.len()), (1, 1));
        assert_eq!(read(&json!({"serviceSelectors": [{}]})).service_selectors.len(), 1);
    }

    #[test]
    fn a_field_that_means_nothing_is_named() {
        for (spec, expected) in [
            (json!({"aggregationLength": 33}), "spec.aggregationLength: expected 1 to 32, found 33"),
            (json!({"aggregationLength": 0}), "spec.aggregationLength: expected 1 to 32, found 0"),
            (json!({"aggregationLengthV6": 129}), "spec.aggregationLengthV6: expected 0 to 128, found 129"),
            (json!({"aggregationLengthV6": -1}), "spec.aggregationLengthV6: expected 0 to 128, found -1"),
            (
                json!({"communities": ["1:1", "1:2:3:4"]}),
                "spec.communities[1]: invalid community value: \"1:2:3:4\": expected community to be of format large",
            ),
            (
                json!({"nodeSelectors": [{}, {}]}),
                "spec.nodeSelectors[1]: duplicate definition of nodeSelectors",
            ),
            (
                json!({"ipAddressPoolSelectors": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}),
                "spec.ipAddressPoolSelectors[0]: ",
            ),
        ] {
            let message = error(&spec);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn services_are_selected_only_without_aggregation() {
        // acceptance 117
        for field in [json!({"aggregationLength": 31}), json!({"aggregationLengthV6": 127})] {
            let mut spec = json!({"serviceSelectors": [{}]});
            spec.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
            let expected = "serviceSelectors and aggregationLength are mutually exclusive, can only be used together \
                            with default aggregationLength (32) and aggregationLengthV6 (128)";
            assert_eq!(error(&spec), expected);
        }
    }

    #[test]
    fn sixty_three_communities_are_enough() {
        let of = |count: u32| {
            let texts: Vec<String> = (0..count).map(|number| format!("64512:{number}")).collect();
            json!({ "communities": texts })
        };
        assert_eq!(read(&of(63)).communities.len(), 63);
        assert!(error(&of(64)).contains("max supported communities is 63, got 64"));
    }

    #[test]
    fn an_alias_that_nobody_defines_in_the_namespace_is_told_last() {
        // acceptance 108
        let spec = json!({"communities": ["A"]});
        let why = bgp_advertisement(&object("metallb-system", &spec), Some(&known())).unwrap_err();
        assert_eq!(why.reason, UNKNOWN_REFERENCE);
        let expected = "invalid community format: A\ninvalid community \"A\" in BGP advertisement";
        assert!(why.message.contains(expected), "{}", why.message);
        assert!(bgp_advertisement(&object("metallb-system", &spec), None).is_ok());
        let elsewhere = object("ferrolb-system", &json!({"communities": ["vpn"]}));
        assert_eq!(bgp_advertisement(&elsewhere, Some(&known())).unwrap_err().reason, UNKNOWN_REFERENCE);
        assert!(
            error(&json!({"communities": ["A", "1:2:3:4"]})).contains("expected community to be of format")
        );
    }
}
