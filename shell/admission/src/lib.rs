//! The webhook's HTTPS server and its certificates: what the API server asks comes in as values,
//! what is answered goes out.
//!
//! What is absent: policy, and Kubernetes objects. Whether a write is good, and what an object
//! looks like in another version, says the [`Reviewer`]; where certificates are kept, and who is
//! told to trust them, is the caller's.
//!
//! # Layout
//! [`server`] listens and bounds what a client can cost; [`review`] is the form of questions and
//! answers; [`certificate`] makes certificates and says when they are due.

pub mod certificate;
pub mod review;
pub mod server;

pub use certificate::{Bundle, CertificateError, Due};
pub use review::{AdmissionRequest, Operation, Reviewer, Verdict};
pub use server::{BindError, ServingCertificate, WebhookServer};
