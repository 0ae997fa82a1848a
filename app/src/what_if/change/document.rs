//! The documents of a file.

use std::fmt;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use super::{Kind, Target, kinds};

/// An object to apply.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it was read: the file and the number of the document in it, from 1.
    pub place: String,
    /// The object's name.
    pub target: Target,
    /// The whole of it.
    pub object: Value,
}

/// The objects in `text`, in order. Documents that are empty are passed over, and a `List` counts
/// as its items.
pub(super) fn parse(file: &str, text: &str) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for (index, text) in split(text).iter().enumerate() {
        if is_blank(text) {
            continue;
        }
        let place = format!("{file}, document {}", index + 1);
        let value: Value = serde_saphyr::from_str(text).map_err(|error| {
            // The lines after the first draw the place.
            let told = error.to_string();
            let first = told.lines().next().unwrap_or_default();
            anyhow!("{place} does not parse: {}", first.trim_start_matches("error: "))
        })?;
        let is_list = value.get("kind").and_then(Value::as_str) == Some("List");
        match value.get("items").and_then(Value::as_array) {
            Some(items) if is_list => {
                for (index, item) in items.iter().enumerate() {
                    documents.push(document(format!("{place}, items[{index}]"), item.clone())?);
                }
            }
            Some(_) | None => documents.push(document(place, value)?),
        }
    }
    Ok(documents)
}

/// The texts between the lines that separate documents. What precedes the first such line is no
/// document when it is blank.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        let after = line.strip_prefix("---");
        let after = after.filter(|after| after.is_empty() || after.starts_with(char::is_whitespace));
        if after.is_some() {
            if documents.len() == 1 && documents.iter().all(|text| is_blank(text)) {
                documents.clear();
            }
            documents.push(String::new());
        }
        if let Some(last) = documents.last_mut() {
            last.push_str(after.unwrap_or(line));
            last.push('\n');
        }
    }
    documents
}

/// Whether nothing but comments is in it.
fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

fn document(place: String, object: Value) -> anyhow::Result<Document> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = |field: &str| text(object.get("metadata").and_then(|metadata| metadata.get(field)));
    let (api_version, kind) = (text(object.get("apiVersion")), text(object.get("kind")));
    let (namespace, name) = (metadata("namespace"), metadata("name"));
    let required = [("apiVersion", &api_version), ("kind", &kind), ("metadata.name", &name)];
    if let Some((field, _)) = required.into_iter().find(|(_, value)| value.is_empty()) {
        bail!("{place}: no Kubernetes object, because it has no {field} (kind: {kind:?}, name: {name:?})");
    }
    let is = |known: &Kind| known.api_version() == api_version && known.as_str() == kind;
    let Some(kind) = Kind::ALL.into_iter().find(is) else {
        let known = kinds();
        bail!(
            "{place}: {kind} {name} ({api_version}) decides on no address; leave it out, the kinds are {known}"
        );
    };
    let namespace = (!namespace.is_empty()).then_some(namespace);
    Ok(Document { place, target: Target { kind, namespace, name }, object })
}

impl Document {
    /// Makes the object one of `namespace`.
    pub(super) fn set_namespace(&mut self, namespace: Option<String>) {
        if let Some(metadata) = self.object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".into(), json!(namespace));
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.target)
    }
}
