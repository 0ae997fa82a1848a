//! The form of what the API server asks and is answered: `AdmissionReview`
//! (`admission.k8s.io/v1`) and `ConversionReview` (`apiextensions.k8s.io/v1`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const ADMISSION: (&str, &str) = ("admission.k8s.io/v1", "AdmissionReview");
const CONVERSION: (&str, &str) = ("apiextensions.k8s.io/v1", "ConversionReview");

/// Who decides.
pub trait Reviewer: Send + Sync + 'static {
    /// Whether a write may happen.
    fn validate(&self, request: &AdmissionRequest) -> Verdict;

    /// `object` as it is in `api_version` (group and version).
    ///
    /// # Errors
    /// There is no such version, or the object has none of the shapes that can be converted.
    fn convert(&self, object: Value, api_version: &str) -> Result<Value, String>;
}

/// The answer about a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// It may happen, because nobody could judge it; the user is warned and told why.
    Unchecked(String),
    /// It must not happen, and the user is told why.
    Deny(String),
}

/// A write that is about to happen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest {
    uid: String,
    /// What kind of object it is about.
    pub kind: Kind,
    /// What happens to it.
    pub operation: Operation,
    /// The object's namespace, empty for one that has none.
    #[serde(default)]
    pub namespace: String,
    /// The object after the write; null when it is deleted.
    #[serde(default)]
    pub object: Value,
    /// The object before the write; null when it is created.
    #[serde(default)]
    pub old_object: Value,
}

/// A kind of object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Kind {
    /// Its API group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its name.
    pub kind: String,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is created.
    Create,
    /// It is replaced or patched.
    Update,
    /// It is deleted.
    Delete,
    /// Somebody connects to it, as to a Pod.
    Connect,
}

/// A body that is not the review expected.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is not JSON, or lacks a field.
    #[error("the body is no {1} of {0}", expected.0, expected.1)]
    Shape {
        /// API version and kind of the review expected.
        expected: (&'static str, &'static str),
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// It is another kind of object.
    #[error("expected {} of {}, found {kind} of {api_version}", expected.1, expected.0)]
    Kind {
        /// API version and kind of the review expected.
        expected: (&'static str, &'static str),
        /// What was found.
        api_version: String,
        /// What was found.
        kind: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<R> {
    api_version: String,
    kind: String,
    request: R,
}

#[derive(Deserialize)]
struct ConversionRequest {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired_api_version: String,
    objects: Vec<Value>,
}

/// Answers an `AdmissionReview`.
pub(crate) fn validate(body: &[u8], reviewer: &dyn Reviewer) -> Result<Value, ReviewError> {
    let request: AdmissionRequest = request(body, ADMISSION)?;
    let uid = &request.uid;
    let response = match reviewer.validate(&request) {
        Verdict::Allow => json!({"uid": uid, "allowed": true}),
        Verdict::Unchecked(why) => json!({"uid": uid, "allowed": true, "warnings": [why]}),
        Verdict::Deny(why) => {
            json!({"uid": uid, "allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": why}})
        }
    };
    Ok(answer(ADMISSION, &response))
}

/// Answers a `ConversionReview`: all objects, or none.
pub(crate) fn convert(body: &[u8], reviewer: &dyn Reviewer) -> Result<Value, ReviewError> {
    let request: ConversionRequest = request(body, CONVERSION)?;
    let convert = |object| reviewer.convert(object, &request.desired_api_version);
    let response = match request.objects.into_iter().map(convert).collect::<Result<Vec<_>, _>>() {
        Ok(objects) => {
            json!({"uid": request.uid, "result": {"status": "Success"}, "convertedObjects": objects})
        }
        Err(why) => json!({"uid": request.uid, "result": {"status": "Failed", "message": why}}),
    };
    Ok(answer(CONVERSION, &response))
}

fn request<R: for<'de> Deserialize<'de>>(
    body: &[u8],
    expected: (&'static str, &'static str),
) -> Result<R, ReviewError> {
    let review: Review<R> =
        serde_json::from_slice(body).map_err(|source| ReviewError::Shape { expected, source })?;
    if (review.api_version.as_str(), review.kind.as_str()) == expected {
        return Ok(review.request);
    }
    Err(ReviewError::Kind { expected, api_version: review.api_version, kind: review.kind })
}

fn answer((api_version, kind): (&str, &str), response: &impl Serialize) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "response": response})
}
