//! `ferrolb dump`: what the speaker of a node was told and did last, one JSON object a line.
//!
//! What the lines say is at [`crate::speaker`]'s `inspect::lines`, and in the guide.

use ferrolb_peering::inspection::{self, Question, Topic};

/// Asks this node's speaker for what it has written down.
///
/// # Errors
/// No speaker runs here, or it gives no answer.
pub async fn run() -> anyhow::Result<String> {
    Ok(inspection::ask(inspection::NAME, &Question { topic: Topic::Recording, peer: None }).await?)
}
