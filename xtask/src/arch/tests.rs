use super::*;

const LAW: &str = "prose\n```arrows\n# pure\ncore/vocab -> + thiserror\ncore/plan -> core/vocab + sha2, thiserror\n\nshell/* -> core/*\napp -> shell/* core/*\nxtask -> *\n```\nmore prose ```rust\n```";

fn member(dir: &str, ours: &[&str], others: &[&str]) -> Member {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Member { dir: dir.to_owned(), ours: set(ours), others: set(others) }
}

fn violations(crates: &[Member]) -> Vec<String> {
    check(&Arrows::parse(LAW).unwrap(), crates)
}

fn lawful() -> Vec<Member> {
    vec![
        member("core/vocab", &[], &["thiserror"]),
        member("core/plan", &["core/vocab"], &["sha2", "thiserror"]),
        member("shell/api", &["core/vocab"], &["kube"]),
        member("app", &["shell/api", "core/plan"], &["tokio"]),
        member("xtask", &["app", "core/plan"], &[]),
    ]
}

#[test]
fn a_lawful_graph_has_no_violation() {
    assert_eq!(violations(&lawful()), Vec::<String>::new());
}

#[test]
fn a_dependency_without_an_arrow_is_named_with_its_manifest() {
    let mut crates = lawful();
    crates[0].ours.insert("core/plan".to_owned());
    crates[2].ours.insert("app".to_owned());
    let found = violations(&crates);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("core/vocab -> core/plan: ") && found[0].contains("core/vocab/Cargo.toml"),
        "{found:?}"
    );
    assert!(found[1].starts_with("shell/api -> app: "), "{found:?}");
}

#[test]
fn a_core_crate_with_an_io_crate_is_refused_and_a_shell_crate_is_not() {
    let mut crates = lawful();
    crates[1].others.insert("tokio".to_owned());
    crates[2].others.insert("tokio".to_owned());
    let found = violations(&crates);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("core/plan -> tokio: "), "{found:?}");
}

#[test]
fn a_crate_without_a_line_and_a_line_without_a_crate_are_both_told() {
    let mut crates = lawful();
    crates[4].dir = "bench".to_owned();
    let found = violations(&crates);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("bench: no line of arrows"), "{found:?}");
    assert!(found[1].contains("`xtask` has arrows but is no crate"), "{found:?}");
}

#[test]
fn a_crates_own_line_wins_over_a_pattern_that_covers_it() {
    let law = "```arrows\nshell/* -> core/*\nshell/api -> core/vocab\n```";
    let found = check(
        &Arrows::parse(law).unwrap(),
        &[member("shell/api", &["core/plan"], &[]), member("shell/link", &["core/plan"], &[])],
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("shell/api -> core/plan: "), "{found:?}");
}

#[test]
fn a_page_without_arrows_or_with_an_unreadable_line_is_an_error() {
    for (page, says) in [
        ("no block", "no block fenced"),
        ("```arrows\ncore/vocab\n```", "is no arrow"),
        ("```arrows\na -> b\na -> c\n```", "two lines"),
    ] {
        let error = Arrows::parse(page).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn std_in_a_core_crate_is_allowed_for_its_tests_only() {
    assert_eq!(
        no_std_violations("lib.rs", "#![no_std]\n#[cfg(test)]\nextern crate std;\n"),
        Vec::<String>::new()
    );
    assert_eq!(no_std_violations("lib.rs", "#![no_std]\nextern crate std;\n").len(), 1);
    assert_eq!(no_std_violations("lib.rs", "//! `#![no_std]` is missing\n").len(), 1);
}

#[test]
fn metadata_separates_our_crates_from_others_and_ignores_their_dev_dependencies() {
    let metadata = r#"{"packages":[{"manifest_path":"/r/core/plan/Cargo.toml","dependencies":[
        {"name":"ferrolb-vocab","kind":null,"path":"/r/core/vocab"},
        {"name":"ferrolb-wire","kind":"dev","path":"/r/core/wire"},
        {"name":"proptest","kind":"dev","path":null},
        {"name":"cc","kind":"build","path":null},
        {"name":"sha2","kind":null,"path":null}]}]}"#;
    let members = members(metadata, Path::new("/r")).unwrap();
    let expected = member("core/plan", &["core/vocab", "core/wire"], &["cc", "sha2"]);
    assert_eq!(members[0].dir, expected.dir);
    assert_eq!(members[0].ours, expected.ours);
    assert_eq!(members[0].others, expected.others);
}
