//! What came of every feature with every router, as a table for a terminal and for a page.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// A line of what `ferrolb-interop` prints.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) router: String,
    feature: String,
    seconds: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

/// What came of a feature with a router.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
enum Outcome {
    Passed,
    Lacking { why: String },
    Failed { why: String },
}

/// The whole of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// With their versions, in the order of the columns.
    routers: Vec<String>,
    /// In the order of the rows.
    features: Vec<String>,
    /// By row and column.
    cells: BTreeMap<(usize, usize), Outcome>,
}

impl Report {
    /// Adds a column and returns its position.
    pub(super) fn add_router(&mut self, name: &str, version: &str) -> usize {
        self.routers.push(format!("{name} {version}"));
        self.routers.len() - 1
    }

    /// Adds a cell; returns what there is to say of it at once.
    pub(super) fn add(&mut self, column: usize, line: Line) -> String {
        let Line { feature, seconds, outcome, .. } = line;
        let router = self.routers.get(column).map_or("", String::as_str);
        let said = match &outcome {
            Outcome::Passed => format!("{router}: {feature}: passed in {seconds:.1} s"),
            Outcome::Lacking { why } => format!("{router}: {feature}: not tried, {router} {why}"),
            Outcome::Failed { why } => format!("{router}: {feature}: FAILED in {seconds:.1} s: {why}"),
        };
        let row = self.features.iter().position(|known| *known == feature).unwrap_or_else(|| {
            self.features.push(feature);
            self.features.len() - 1
        });
        self.cells.insert((row, column), outcome);
        said
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// What failed, one line each.
    pub(super) fn failures(&self) -> Vec<String> {
        let failed = self.named().filter(|(.., outcome)| matches!(outcome, Outcome::Failed { .. }));
        failed.map(|(feature, router, _)| format!("failed: {feature} with {router}")).collect()
    }

    /// `docs/reference/interop.md`.
    pub(super) fn page(&self) -> String {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let head = |first| [first].into_iter().chain(self.routers.iter().map(String::as_str)).collect();
        let mut page = format!("{INTRODUCTION}\n{}", line(head("")));
        page += &line(vec!["---"; self.routers.len() + 1]);
        for (row, feature) in self.features.iter().enumerate() {
            let cells = (0..self.routers.len()).map(|column| self.word(row, column));
            page += &line([feature.as_str()].into_iter().chain(cells).collect());
        }
        page += "\nA dash: the router cannot do its part.\n\n";
        for (feature, router, outcome) in self.named() {
            if let Outcome::Lacking { why } = outcome {
                page += &format!("- {feature}: {router} {why}\n");
            }
        }
        page
    }

    /// The cells by name, row by row.
    fn named(&self) -> impl Iterator<Item = (&str, &str, &Outcome)> {
        self.cells.iter().map(move |((row, column), outcome)| {
            (name(&self.features, *row), name(&self.routers, *column), outcome)
        })
    }

    fn word(&self, row: usize, column: usize) -> &'static str {
        match self.cells.get(&(row, column)) {
            Some(Outcome::Passed) => "yes",
            Some(Outcome::Lacking { .. }) => "-",
            Some(Outcome::Failed { .. }) => "FAILED",
            None => "",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<38}", "feature")?;
        for router in &self.routers {
            write!(f, "{router:<18}")?;
        }
        for (row, feature) in self.features.iter().enumerate() {
            write!(f, "\n{feature:<38}")?;
            for column in 0..self.routers.len() {
                write!(f, "{:<18}", self.word(row, column))?;
            }
        }
        Ok(())
    }
}

/// One of the names, which there is for each position of a cell.
fn name(names: &[String], index: usize) -> &str {
    names.get(index).map(String::as_str).unwrap_or_default()
}

/// What stands above the table.
const INTRODUCTION: &str = "# BGP and BFD with other routers

Written by `cargo xtask interop --write`: run that instead of editing this page. The columns are the
routers of the machine's own Debian; with `--all` also FRR and BIRD of later suites.

FerroLB's drivers (`shell/peering`) and one daemon of another maker's face each other in two network
namespaces. What counts is what the other side says: its table, its view of the session, its log. Each
cell is a session of its own; `tests/interop/src/features.rs` says how both are configured, and the files
beside it what is looked at.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        let columns = [report.add_router("FRR", "8.4.4"), report.add_router("GoBGP", "3.10.0")];
        for (column, line) in [
            (0, r#"{"router":"frr","feature":"eBGP","seconds":1.25,"outcome":"passed"}"#),
            (1, r#"{"router":"gobgp","feature":"eBGP","seconds":1.0,"outcome":"passed"}"#),
            (1, r#"{"router":"gobgp","feature":"BFD","seconds":0.0,"outcome":"lacking","why":"has none"}"#),
        ] {
            report.add(columns[column], serde_json::from_str(line).unwrap());
        }
        report
    }

    #[test]
    fn the_page_has_a_column_for_each_router_and_says_what_is_lacking() {
        let page = report().page();
        let table =
            "|  | FRR 8.4.4 | GoBGP 3.10.0 |\n| --- | --- | --- |\n| eBGP | yes | yes |\n| BFD |  | - |\n";
        assert!(page.contains(table), "{page}");
        assert!(page.ends_with("- BFD: GoBGP 3.10.0 has none\n"), "{page}");
        assert!(report().failures().is_empty());
    }

    #[test]
    fn what_failed_is_named_and_told_with_its_reason() {
        let mut report = report();
        let line = r#"{"router":"frr","feature":"BFD","seconds":30.0,"outcome":"failed","why":"not up"}"#;
        let said = report.add(0, serde_json::from_str(line).unwrap());
        assert_eq!(said, "FRR 8.4.4: BFD: FAILED in 30.0 s: not up");
        assert_eq!(report.failures(), ["failed: BFD with FRR 8.4.4"]);
        assert!(report.to_string().contains("FAILED"));
    }
}
