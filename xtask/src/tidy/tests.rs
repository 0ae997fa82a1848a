use super::*;

fn text(path: &str, text: &str) -> Text {
    Text { path: path.into(), text: text.to_owned() }
}

fn found(texts: &[Text]) -> Vec<String> {
    findings(texts)
}

#[test]
fn a_clean_tree_has_no_finding() {
    let tree = [
        text("README.md", "see [the guide](docs/guide/a.md#top), [the tests](tests/), <https://example.org>"),
        text("docs/guide/a.md", "back to [the start](../../README.md)\n```text\n[x](gone.md)\n```"),
        text("tests/a.rs", "// TODO(#7): more\n#[test]\nfn it_works() {}\n"),
        text(
            "docs/rfc/rfc1.md",
            "| clause | level | test |\n|---|---|---|\n| 1 | MUST | `it_works` |\n| 2 | MAY | gap: not yet |",
        ),
    ];
    assert_eq!(found(&tree), Vec::<String>::new());
}

#[test]
fn a_source_file_above_the_limit_is_told_and_a_page_is_not() {
    let long = "\n".repeat(LINES_MAX + 1);
    let found = found(&[text("a.rs", &long), text("a.md", &long)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("a.rs: 801 lines"), "{found:?}");
}

#[test]
fn leftovers_are_told_with_their_line() {
    let lines = [
        format!("// {} later", UNTRACKED),
        format!("// {}", UNFINISHED[0]),
        format!("cp {}x .", MACHINE_PATHS[0]),
    ];
    let found = found(&[text("a.toml", &lines.join("\n"))]);
    assert_eq!(found.len(), 3, "{found:?}");
    for (line, finding) in (1..).zip(&found) {
        assert!(finding.starts_with(&format!("a.toml:{line}: ")), "{found:?}");
    }
}

#[test]
fn a_folder_of_that_name_inside_another_path_is_no_machine_path() {
    let path = MACHINE_PATHS[0];
    assert!(is_absolute(&format!("see {path}x"), path));
    assert!(is_absolute(path, path));
    assert!(!is_absolute(&format!("https://example.org{path}x"), path));
    assert!(!is_absolute(&format!("$dir{path}x ~{path}"), path));
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    let found = found(&[text("docs/a.md", "[b](b.md) [c](../gone/c.md)")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("there is no docs/b.md"), "{found:?}");
    assert!(found[1].ends_with("there is no gone/c.md"), "{found:?}");
}

#[test]
fn a_clause_needs_a_test_that_exists_or_a_reason() {
    let found = found(&[
        text("a.rs", "fn real() {}"),
        text("docs/rfc/rfc1.md", "| 1 | MUST | `arp::tests::real`, `gone` |\n| 2 | MUST | |"),
        text(TABLES[1], "| change | what it does | test |\n| `x` | nothing | `real` |"),
        text("docs/guide/a.md", "| what | how | where |\n| 1 | 2 | 3 |"),
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("no test `gone`"), "{found:?}");
    assert!(found[1].contains("names no test"), "{found:?}");
}
