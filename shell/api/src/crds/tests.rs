use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion;

use super::*;

/// Every version of every kind, as `kind/version`.
fn versions() -> BTreeMap<String, CustomResourceDefinitionVersion> {
    let named = |crd: CustomResourceDefinition| {
        let kind = crd.spec.names.kind;
        crd.spec.versions.into_iter().map(move |version| (format!("{kind}/{}", version.name), version))
    };
    crds().into_iter().flat_map(named).collect()
}

fn root(version: &CustomResourceDefinitionVersion) -> &JSONSchemaProps {
    version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()
}

fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    schema.properties.as_ref()?.get(name)
}

/// One line for each field: path, type, and every constraint that is not a rule.
fn fields(schema: &JSONSchemaProps, path: &str, lines: &mut Vec<String>) {
    let required = schema.required.clone().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut line = format!("{path} {}", field.type_.as_deref().unwrap_or("?"));
        let notes = [
            required.contains(name).then(|| "required".to_owned()),
            field.default.as_ref().map(|default| format!("default={}", default.0)),
            field.minimum.map(|minimum| format!("min={minimum}")),
            field.maximum.map(|maximum| format!("max={maximum}")),
            field.enum_.as_ref().map(|values| {
                format!("enum={}", values.iter().map(|v| v.0.to_string()).collect::<Vec<_>>().join("|"))
            }),
        ];
        notes.into_iter().flatten().for_each(|note| line = format!("{line} {note}"));
        lines.push(line);
        nested(field, path, lines);
    }
}

fn nested(field: &JSONSchemaProps, path: String, lines: &mut Vec<String>) {
    let (item, path) = match &field.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => (&**item, format!("{path}[]")),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => (field, path),
    };
    if property(item, "matchLabels").is_some() {
        lines.push(format!("{path} selector"));
    } else {
        fields(item, &path, lines);
    }
}

fn spec_fields(kind: &str) -> String {
    let mut lines = Vec::new();
    fields(property(root(&versions()[kind]), "spec").unwrap(), "", &mut lines);
    lines.sort();
    lines.join("\n")
}

fn status_fields(kind: &str) -> String {
    let mut lines = Vec::new();
    fields(property(root(&versions()[kind]), "status").unwrap(), "", &mut lines);
    lines.retain(|line| !line.starts_with("conditions[]") && !line.starts_with("links[].conditions[]"));
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn assert_lines(actual: &str, expected: &[&str]) {
    assert_eq!(actual.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn names_and_scopes_are_those_of_the_contract() {
    let names = crds().into_iter().map(|crd| {
        assert_eq!(crd.spec.names.short_names, None);
        assert_eq!(crd.spec.names.categories, None);
        let singular = crd.spec.names.singular.unwrap();
        assert_eq!(singular, crd.spec.names.kind.to_lowercase());
        (crd.metadata.name.unwrap(), crd.spec.names.kind, crd.spec.scope)
    });
    let names: Vec<_> = names.collect();
    let expected = [
        ("addressclaims.ferrolb.io", "AddressClaim", "Namespaced"),
        ("bfdprofiles.metallb.io", "BFDProfile", "Namespaced"),
        ("bgpadvertisements.metallb.io", "BGPAdvertisement", "Namespaced"),
        ("bgppeers.metallb.io", "BGPPeer", "Namespaced"),
        ("bgpsessions.ferrolb.io", "BGPSession", "Namespaced"),
        ("communities.metallb.io", "Community", "Namespaced"),
        ("configurationstates.metallb.io", "ConfigurationState", "Namespaced"),
        ("ipaddresspools.metallb.io", "IPAddressPool", "Namespaced"),
        ("l2advertisements.metallb.io", "L2Advertisement", "Namespaced"),
        ("nodestates.ferrolb.io", "NodeState", "Cluster"),
        ("servicebgpstatuses.metallb.io", "ServiceBGPStatus", "Namespaced"),
        ("servicel2statuses.metallb.io", "ServiceL2Status", "Namespaced"),
    ];
    let borrowed: Vec<_> = names.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(borrowed, expected);
}

#[test]
fn bgp_peer_stores_v1beta2_and_serves_nothing_else() {
    let versions = versions();
    let flags = |kind: &str| (versions[kind].served, versions[kind].storage);
    assert_eq!(flags("BGPPeer/v1beta2"), (true, true));
    assert_eq!(flags("BGPPeer/v1beta1"), (false, false));
    let warning = versions["BGPPeer/v1beta1"].deprecation_warning.as_deref();
    assert_eq!(warning, Some("v1beta1 is deprecated, please use v1beta2"));
    assert!(versions.iter().all(|(kind, version)| version.served || kind == "BGPPeer/v1beta1"));
}

#[test]
fn printer_columns_are_those_of_the_contract() {
    let peer = "Address string .spec.peerAddress; ASN string .spec.peerASN; \
                BFD Profile string .spec.bfdProfile; Multi Hops string .spec.ebgpMultiHop";
    let service =
        "Service Name string .status.serviceName; Service Namespace string .status.serviceNamespace";
    let pools = "IPAddressPools string .spec.ipAddressPools; \
                 IPAddressPool Selectors string .spec.ipAddressPoolSelectors";
    let nodes = "Node Selectors string .spec.nodeSelectors 10";
    let expected = BTreeMap::from([
        (
            "AddressClaim/v1alpha1",
            "Address string .status.address; Pool string .status.pool; Services string .status.services; \
             Reserved string .status.conditions[?(@.type==\"Reserved\")].status; \
             Age date .metadata.creationTimestamp"
                .into(),
        ),
        (
            "BFDProfile/v1beta1",
            "Passive Mode boolean .spec.passiveMode; Transmit Interval integer .spec.transmitInterval; \
             Receive Interval integer .spec.receiveInterval; Multiplier integer .spec.detectMultiplier"
                .into(),
        ),
        ("BGPAdvertisement/v1beta1", format!("{pools}; Peers string .spec.peers; {nodes}")),
        ("BGPPeer/v1beta1", peer.into()),
        ("BGPPeer/v1beta2", peer.into()),
        (
            "BGPSession/v1alpha1",
            "Node string .status.node; Peer string .status.peer; Caller string .status.caller; \
             State string .status.state; Since date .status.since; BFD string .status.bfd.state; Reason string .status.reason; \
             Message string .status.message 10"
                .into(),
        ),
        ("Community/v1beta1", String::new()),
        (
            "ConfigurationState/v1beta1",
            "Result string .status.result; ErrorSummary string .status.errorSummary; \
             Age date .metadata.creationTimestamp"
                .into(),
        ),
        (
            "IPAddressPool/v1beta1",
            "Auto Assign boolean .spec.autoAssign; Avoid Buggy IPs boolean .spec.avoidBuggyIPs; \
             Addresses string .spec.addresses"
                .into(),
        ),
        ("L2Advertisement/v1beta1", format!("{pools}; Interfaces string .spec.interfaces; {nodes}")),
        (
            "NodeState/v1alpha1",
            "Ready boolean .status.speaker.ready; Version string .status.speaker.version; \
             Pod string .status.speaker.pod 10; Observed date .status.observedAt"
                .into(),
        ),
        ("ServiceBGPStatus/v1beta1", format!("Node string .status.node; {service}")),
        ("ServiceL2Status/v1beta1", format!("Allocated Node string .status.node; {service}")),
    ]);
    let columns = |version: &CustomResourceDefinitionVersion| {
        let columns = version.additional_printer_columns.iter().flatten().map(|column| {
            let priority = column.priority.map(|priority| format!(" {priority}")).unwrap_or_default();
            format!("{} {} {}{priority}", column.name, column.type_, column.json_path)
        });
        columns.collect::<Vec<_>>().join("; ")
    };
    let versions = versions();
    let actual: BTreeMap<_, _> =
        versions.iter().map(|(kind, version)| (kind.as_str(), columns(version))).collect();
    assert_eq!(actual, expected);
}

#[test]
fn pool_fields_are_those_of_the_contract() {
    assert_lines(
        &spec_fields("IPAddressPool/v1beta1"),
        &[
            "addresses array required",
            "autoAssign boolean default=true",
            "avoidBuggyIPs boolean default=false",
            "serviceAllocation object",
            "serviceAllocation.namespaceSelectors array",
            "serviceAllocation.namespaceSelectors[] selector",
            "serviceAllocation.namespaces array",
            "serviceAllocation.priority integer",
            "serviceAllocation.serviceSelectors array",
            "serviceAllocation.serviceSelectors[] selector",
        ],
    );
    assert_lines(
        &status_fields("IPAddressPool/v1beta1"),
        &[
            "assignedIPv4 integer required",
            "assignedIPv6 integer required",
            "availableIPv4 integer required",
            "availableIPv6 integer required",
            "conditions array",
        ],
    );
}

#[test]
fn advertisement_fields_are_those_of_the_contract() {
    assert_lines(
        &spec_fields("L2Advertisement/v1beta1"),
        &[
            "interfaces array",
            "ipAddressPoolSelectors array",
            "ipAddressPoolSelectors[] selector",
            "ipAddressPools array",
            "nodeSelectors array",
            "nodeSelectors[] selector",
            "preferredNodeSelectors array",
            "preferredNodeSelectors[].preference object required",
            "preferredNodeSelectors[].preference selector",
            "preferredNodeSelectors[].weight integer required min=1 max=100",
            "serviceSelectors array",
            "serviceSelectors[] selector",
        ],
    );
    assert_lines(
        &spec_fields("BGPAdvertisement/v1beta1"),
        &[
            "aggregationLength integer default=32 min=1 max=32",
            "aggregationLengthV6 integer default=128 max=128",
            "communities array",
            "ipAddressPoolSelectors array",
            "ipAddressPoolSelectors[] selector",
            "ipAddressPools array",
            "localPref integer min=0",
            "nodeSelectors array",
            "nodeSelectors[] selector",
            "peers array",
            "serviceSelectors array",
            "serviceSelectors[] selector",
        ],
    );
}

#[test]
fn peer_fields_are_those_of_the_contract() {
    assert_lines(
        &spec_fields("BGPPeer/v1beta2"),
        &[
            "bfdProfile string",
            "connectTime string",
            "disableMP boolean default=false",
            "dualStackAddressFamily boolean default=false",
            "dynamicASN string enum=\"internal\"|\"external\"",
            "ebgpMultiHop boolean",
            "enableGracefulRestart boolean",
            "holdTime string",
            "interface string",
            "keepaliveTime string",
            "localASN integer min=1 max=4294967295",
            "myASN integer required min=0 max=4294967295",
            "nodeSelectors array",
            "nodeSelectors[] selector",
            "password string",
            "passwordSecret object",
            "passwordSecret.name string",
            "passwordSecret.namespace string",
            "peerASN integer min=0 max=4294967295",
            "peerAddress string",
            "peerPort integer default=179 min=1 max=16384",
            "routerID string",
            "sourceAddress string",
            "vrf string",
        ],
    );
    assert_lines(
        &spec_fields("BGPPeer/v1beta1"),
        &[
            "bfdProfile string",
            "ebgpMultiHop boolean",
            "holdTime string",
            "keepaliveTime string",
            "myASN integer required min=0 max=4294967295",
            "nodeSelectors array",
            "nodeSelectors[] selector",
            "password string",
            "peerASN integer required min=0 max=4294967295",
            "peerAddress string required",
            "peerPort integer min=0 max=16384",
            "routerID string",
            "sourceAddress string",
        ],
    );
}

#[test]
fn community_and_bfd_fields_are_those_of_the_contract() {
    assert_lines(
        &spec_fields("Community/v1beta1"),
        &["communities array", "communities[].name string", "communities[].value string"],
    );
    assert_lines(
        &spec_fields("BFDProfile/v1beta1"),
        &[
            "detectMultiplier integer min=2 max=255",
            "echoInterval integer min=10 max=60000",
            "echoMode boolean",
            "minimumTtl integer min=1 max=254",
            "passiveMode boolean",
            "receiveInterval integer min=10 max=60000",
            "transmitInterval integer min=10 max=60000",
        ],
    );
}

#[test]
fn report_fields_are_those_of_the_contract() {
    let service = ["node string", "serviceName string", "serviceNamespace string"];
    assert_lines(
        &status_fields("ServiceL2Status/v1beta1"),
        &[["interfaces array", "interfaces[].name string"].as_slice(), &service].concat(),
    );
    let [node, name, namespace] = service;
    assert_lines(&status_fields("ServiceBGPStatus/v1beta1"), &[node, "peers array", name, namespace]);
    assert_lines(
        &status_fields("ConfigurationState/v1beta1"),
        &["conditions array", "errorSummary string", "result string enum=\"Valid\"|\"Invalid\"|\"Unknown\""],
    );
    assert_lines(
        &status_fields("NodeState/v1alpha1"),
        &[
            "conditions array",
            "links array",
            "links[].addresses array",
            "links[].conditions array",
            "links[].conflicts array",
            "links[].conflicts[].address string required",
            "links[].conflicts[].mac string required",
            "links[].conflicts[].node string",
            "links[].conflicts[].state string required \
             enum=\"Occupied\"|\"Contested\"|\"Avoided\"|\"Released\"",
            "links[].mac string",
            "links[].name string required",
            "links[].subnets array",
            "links[].up boolean required",
            "observedAt string",
            "speaker object",
            "speaker.pod string",
            "speaker.ready boolean required",
            "speaker.version string required",
        ],
    );
}

#[test]
fn session_fields_are_those_of_the_guide() {
    assert_lines(
        &status_fields("BGPSession/v1alpha1"),
        &[
            "bfd object",
            "bfd.message string",
            "bfd.reason string",
            "bfd.since string",
            "bfd.state string required",
            "caller string",
            "lastReceived object",
            "lastReceived.at string required",
            "lastReceived.code integer required min=0 max=255",
            "lastReceived.subcode integer required min=0 max=255",
            "lastReceived.text string required",
            "lastSent object",
            "lastSent.at string required",
            "lastSent.code integer required min=0 max=255",
            "lastSent.subcode integer required min=0 max=255",
            "lastSent.text string required",
            "localAddress string",
            "message string",
            "negotiated object",
            "negotiated.capabilities array",
            "negotiated.families array required",
            "negotiated.holdTimeSeconds integer required min=0",
            "negotiated.hostname string",
            "negotiated.keepaliveTimeSeconds integer required min=0",
            "negotiated.localASN integer required min=0",
            "negotiated.remoteASN integer required min=0",
            "negotiated.remoteID string required",
            "node string",
            "peer string",
            "peerNamespace string",
            "prefixes array",
            "prefixes[].advertised integer required min=0",
            "prefixes[].family string required",
            "prefixes[].wanted integer required min=0",
            "prefixes[].withheld string",
            "reason string",
            "remoteAddress string",
            "since string",
            "state string",
        ],
    );
}

#[test]
fn claim_fields_are_those_of_the_guide() {
    assert_lines(
        &spec_fields("AddressClaim/v1alpha1"),
        &[
            "address string",
            "family string enum=\"IPv4\"|\"IPv6\"",
            "pool string",
            "serviceSelector object",
            "serviceSelector selector",
        ],
    );
    assert_lines(
        &status_fields("AddressClaim/v1alpha1"),
        &["address string", "conditions array", "pool string", "services array"],
    );
}

#[test]
fn only_a_pool_and_a_claim_need_a_spec_and_no_spec_has_a_default() {
    for (kind, version) in versions() {
        let required = root(&version).required.clone().unwrap_or_default();
        // The unserved version is as schemars makes it: nothing is validated against it.
        let needs_spec =
            ["AddressClaim/v1alpha1", "IPAddressPool/v1beta1", "BGPPeer/v1beta1"].contains(&kind.as_str());
        assert_eq!(required.contains(&"spec".to_owned()), needs_spec, "{kind}");
        assert!(property(root(&version), "spec").is_none_or(|spec| spec.default.is_none()), "{kind}");
    }
}

#[test]
fn every_kind_has_a_status_subresource_except_the_one_written_whole() {
    for (kind, version) in versions() {
        let has_status = version.subresources.is_some_and(|subresources| subresources.status.is_some());
        assert_eq!(has_status, kind != "NodeState/v1alpha1", "{kind}");
    }
}

#[test]
fn conditions_are_a_map_by_type() {
    for (kind, version) in versions() {
        let conditions = property(root(&version), "status").and_then(|status| property(status, "conditions"));
        if kind.starts_with("Service") || kind.starts_with("BGPSession") {
            assert!(conditions.is_none(), "{kind}");
            continue;
        }
        let conditions = conditions.unwrap();
        assert_eq!(conditions.x_kubernetes_list_type.as_deref(), Some("map"), "{kind}");
        assert_eq!(conditions.x_kubernetes_list_map_keys, Some(vec!["type".to_owned()]), "{kind}");
    }
}

#[test]
fn what_a_status_is_about_is_immutable() {
    let service = ["node", "serviceName", "serviceNamespace"];
    for (kind, identity) in [
        ("ServiceL2Status/v1beta1", service),
        ("ServiceBGPStatus/v1beta1", service),
        ("BGPSession/v1alpha1", ["node", "peer", "peerNamespace"]),
    ] {
        let versions = versions();
        let status = property(root(&versions[kind]), "status").unwrap();
        for field in identity {
            let rules = property(status, field).unwrap().x_kubernetes_validations.as_ref().unwrap();
            assert_eq!(rules[0].rule, "self == oldSelf", "{kind} {field}");
            assert_eq!(rules[0].message.as_deref(), Some("Value is immutable"), "{kind} {field}");
        }
    }
}

#[test]
fn schemas_hold_nothing_the_api_server_does_not_know() {
    for (kind, version) in versions() {
        let text = serde_json::to_string(root(&version)).unwrap();
        for unknown in ["nullable", "\"title\"", "uint", "anyOf", "oneOf", "$ref"] {
            assert!(!text.contains(unknown), "{kind} has {unknown}: {text}");
        }
    }
}

#[test]
fn the_manifest_parses_back_to_the_definitions() {
    let yaml = crds_yaml(&crds());
    let documents: Vec<serde_json::Value> =
        yaml.split("---\n").skip(1).map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    let expected: Vec<_> = crds()
        .iter()
        .map(|crd| {
            let mut value = serde_json::to_value(crd).unwrap();
            integers(&mut value);
            value
        })
        .collect();
    assert_eq!(documents, expected);
    assert!(yaml.contains("maximum: 4294967295\n"));
}

#[test]
fn where_the_webhook_runs_both_versions_of_a_peer_are_served_and_it_converts() {
    let service = ServiceReference {
        namespace: "ferrolb-system".into(),
        name: "hook".into(),
        path: Some("/convert".into()),
        port: None,
    };
    let converted = converted_bgp_peer(service.clone());
    assert!(converted.spec.versions.iter().all(|version| version.served));
    let conversion = converted.spec.conversion.clone().unwrap();
    assert_eq!(conversion.strategy, "Webhook");
    assert_eq!(conversion.webhook.unwrap().client_config.unwrap().service, Some(service));
    let mut plain = converted;
    plain.spec.versions.iter_mut().for_each(|version| version.served = version.name == "v1beta2");
    plain.spec.conversion = bgp_peer().spec.conversion;
    assert!(crds().contains(&plain), "nothing else differs");
}
