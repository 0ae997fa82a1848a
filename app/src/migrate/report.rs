//! What is told about a migration: what became of each item, or what is wrong where.

use std::fmt;

/// What cannot be kept, each with its place; one line each.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Tells what is wrong at `place`.
    pub(super) fn at(&mut self, place: impl fmt::Display, message: impl fmt::Display) {
        self.0.push(format!("{place}: {message}"));
    }

    /// The value, or `None` and its error told at `place`.
    pub(super) fn take<T, E: fmt::Display>(
        &mut self,
        place: impl fmt::Display,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.at(place, error)).ok()
    }

    /// Whether nothing is wrong.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// What became of everything.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Item by item, in the order of the objects.
    pub(super) items: Vec<Item>,
    /// What concerns them all.
    pub(super) notes: Vec<String>,
}

/// What became of one item.
#[derive(Debug)]
pub(super) struct Item {
    place: String,
    objects: Vec<String>,
    notes: Vec<String>,
}

impl Item {
    /// The item at `place`, called `name` by the user if it has a name.
    pub(super) fn new(place: &str, name: Option<&str>) -> Self {
        let name = name.map(|name| format!(" {name:?}")).unwrap_or_default();
        Self { place: format!("{place}{name}"), objects: Vec::new(), notes: Vec::new() }
    }

    /// It became this object (too).
    pub(super) fn became(&mut self, kind: &str, name: &str) {
        self.objects.push(format!("{kind} {name}"));
    }

    /// What became of it, where it did not become another object.
    pub(super) fn is(&mut self, what: String) {
        self.objects.push(what);
    }

    /// What changes for whoever relied on it.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl Report {
    /// Notes something about the object called `place`, which may not have been mentioned yet.
    pub(super) fn note_at(&mut self, place: &str, note: String) {
        if let Some(item) = self.items.iter_mut().find(|item| item.place == place) {
            item.note(note);
            return;
        }
        let mut item = Item::new(place, None);
        item.note(note);
        self.items.push(item);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            let became =
                if item.objects.is_empty() { String::new() } else { format!(" {}", item.objects.join(", ")) };
            writeln!(f, "{}:{became}", item.place)?;
            item.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}
