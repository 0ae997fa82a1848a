use std::path::Path;

use super::{IpFamily, LabConfig, validate_name};

fn parse(text: &str) -> anyhow::Result<LabConfig> {
    let config: LabConfig = serde_saphyr::from_str(text)?;
    config.validate()?;
    Ok(config)
}

#[test]
fn the_default_is_the_walkthroughs_cluster() {
    let config = LabConfig::default();
    config.validate().unwrap();
    let plan = &config.network.ipv4;
    assert_eq!(plan.node(2).unwrap().to_string(), "192.168.100.202");
    assert_eq!(plan.node_pods(1).unwrap().to_string(), "10.233.65.0/24");
    assert_eq!(config.network.ipv6.node(1).unwrap().to_string(), "fd00:100::201");
    assert_eq!(config.prefixes(|plan| plan.services), "10.233.0.0/18,fd00:233::/112");
}

#[test]
fn the_committed_file_documents_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab.yaml");
    assert_eq!(LabConfig::read(&path).unwrap(), LabConfig::default());
}

#[test]
fn ten_nodes_fit_and_eleven_are_refused() {
    assert_eq!(parse("nodes: 10").unwrap().nodes, 10);
    for nodes in [0, 11] {
        let error = parse(&format!("nodes: {nodes}")).unwrap_err().to_string();
        assert!(error.contains("outside 1 to 10"), "{error}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse("ipFamily: ipv6\nferrolb: {install: false}\n").unwrap();
    assert_eq!(config.ip_family, IpFamily::Ipv6);
    assert!(!config.ferrolb.install);
    assert_eq!(config.nodes, 3);
    assert_eq!(config.address_plans().len(), 1);
}

#[test]
fn a_resolved_configuration_reads_back_equal() {
    let config = LabConfig { nodes: 5, ip_family: IpFamily::Ipv4, ..LabConfig::default() };
    let text = serde_saphyr::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap(), config);
}

#[test]
fn unknown_fields_and_clashing_addresses_are_refused() {
    assert!(parse("nodez: 3").is_err());
    let mut config = LabConfig::default();
    config.network.ipv4.client = "192.168.100.201".parse().unwrap();
    let error = format!("{:#}", config.validate().unwrap_err());
    assert!(error.contains("both be 192.168.100.201"), "{error}");
    let mut config = LabConfig::default();
    config.network.ipv4.pods = "10.233.0.0/17".parse().unwrap();
    assert!(format!("{:#}", config.validate().unwrap_err()).contains("overlaps"));
    let mut config = LabConfig::default();
    config.network.ipv6.services = "fd00:233::/64".parse().unwrap();
    assert!(format!("{:#}", config.validate().unwrap_err()).contains("too large"));
}

#[test]
fn a_lab_name_is_a_short_word() {
    for name in ["ferrolb", "t12345", "a"] {
        validate_name(name).unwrap();
    }
    for name in ["", "1a", "a-b", "Ferro", "a/b", "abcdefghijklmnopq", "é"] {
        assert!(validate_name(name).is_err(), "{name}");
    }
}
