//! What the user wrote, turned into what it means: API objects into core values. An object
//! that means nothing becomes an [`ObjectError`], never a silent gap.

pub mod advertisement;
pub mod bfd_profile;
pub mod bgp_advertisement;
pub mod bgp_peer;
pub mod claim;
pub mod community;
pub mod conflict;
pub mod duration;
pub mod endpoints;
pub mod node;
pub mod occupied;
pub mod peering;
pub mod pool;
pub mod service;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};

use crate::config::Guarded;

/// What is wrong with one object, told at that object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectError {
    /// The object.
    pub object: Box<ObjectReference>,
    /// Stable name of the cause: condition reason, log field and metric label.
    pub reason: &'static str,
    /// What is wrong, where in the object, and what to do.
    pub message: String,
}

impl ObjectError {
    /// An error at `object`.
    pub fn at<K: Resource<DynamicType = ()>>(object: &K, reason: &'static str, message: String) -> Self {
        Self { object: Box::new(reference(object)), reason, message }
    }
}

/// `object` as Events name it, with the resourceVersion that was read: whether it has changed since.
pub fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    ObjectReference { resource_version: object.meta().resource_version.clone(), ..object.object_ref(&()) }
}

/// The object cannot be read at all: its shape is not the kind's.
pub const UNREADABLE: &str = "Unreadable";
/// A field of the object's `spec` means nothing.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The object names another that there is not, yet.
pub const UNKNOWN_REFERENCE: &str = "UnknownReference";

/// Splits guarded objects into readable objects, sorted by name, and errors for the others.
#[must_use]
pub fn readable<K>(all: &[Guarded<K>]) -> (Vec<K>, Vec<ObjectError>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for guarded in all {
        match &guarded.0 {
            Ok(object) => objects.push(object.clone()),
            Err(invalid) => errors.push(ObjectError::at(
                guarded.as_ref(),
                UNREADABLE,
                format!(
                    "the object is ignored because it does not have the shape of its kind: {}",
                    invalid.error
                ),
            )),
        }
    }
    objects.sort_by_key(|object| (object.name_any(), object.namespace()));
    (objects, errors)
}
