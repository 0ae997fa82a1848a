//! `ferrolb bgp`: how the BGP sessions of a node are, from the speaker that has them.
//!
//! It asks on the node's own socket ([`ferrolb_peering::inspection`]): in the speaker's Pod, by `kubectl
//! exec`, or on the node.
//!
//! # Layout
//! [`answer`] is what the speaker says, `table` the same for people.

pub mod answer;
mod table;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ferrolb_peering::inspection::{self, Question, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::what_if::Output;
use answer::{Advertised, Received, Sessions};

/// Flags of `ferrolb bgp`.
#[derive(Clone, Debug, Args)]
pub struct BgpConfig {
    /// What to show
    #[arg(value_enum, default_value_t = View::Sessions)]
    pub view: View,
    /// Only this BGPPeer
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub peer: Option<String>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// How each session is.
    Sessions,
    /// The routes that each peer has been told.
    Advertised,
    /// What each peer has told: counts, as nothing of it is kept.
    Received,
}

/// What a peer has told, as JSON.
#[derive(Serialize)]
struct ReceivedFrom<'a> {
    peer: &'a str,
    received: &'a Received,
}

/// Asks this node's speaker, and says what it answers.
///
/// # Errors
/// No speaker runs here, it gives no answer, or it knows no such peer.
pub async fn run(config: BgpConfig) -> anyhow::Result<String> {
    let topic = match config.view {
        View::Sessions | View::Received => Topic::Sessions,
        View::Advertised => Topic::Advertised,
    };
    let answer = inspection::ask(inspection::NAME, &Question { topic, peer: config.peer }).await?;
    show(&answer, config.view, config.output)
}

/// The answer in the form that was asked for. No IO.
fn show(answer: &str, view: View, output: Output) -> anyhow::Result<String> {
    match (view, output) {
        (View::Sessions, Output::Table) => Ok(table::sessions(&read(answer)?)),
        (View::Sessions, Output::Json) => json(&read::<Sessions>(answer)?),
        (View::Advertised, Output::Table) => Ok(table::advertised(&read(answer)?)),
        (View::Advertised, Output::Json) => json(&read::<Advertised>(answer)?),
        (View::Received, Output::Table) => Ok(table::received(&read(answer)?)),
        (View::Received, Output::Json) => {
            let sessions: Sessions = read(answer)?;
            let received = sessions.sessions.iter();
            let received = received.map(|of| ReceivedFrom { peer: &of.peer, received: &of.received });
            json(&received.collect::<Vec<_>>())
        }
    }
}

fn read<T: DeserializeOwned>(answer: &str) -> anyhow::Result<T> {
    serde_json::from_str(answer)
        .context("the speaker's answer is not understood; use the `ferrolb` of its own version")
}

fn json(answer: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(answer)? + "\n")
}

#[cfg(test)]
mod tests;
