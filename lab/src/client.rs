//! The client of the failover benchmark: counts what a fault costs somebody outside the cluster.
//!
//! Every millisecond it opens a new connection, asks and waits for the answer, without waiting for those
//! before; other connections stay open and exchange a few octets all the time. What fails is a line of
//! JSON on standard output, what it comes to is the last line. All times are microseconds.

mod arp;
mod connection;
mod tally;

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use connection::Connection;
pub use tally::Summary;
use tally::Tally;

/// From the start of one new connection to the start of the next.
const INTERVAL: Duration = Duration::from_millis(1);
/// A new connection without an answer for so long has failed. Below the second after which TCP repeats
/// its first segment: one lost segment is a failure.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two exchanges of an established connection.
const EXCHANGE_INTERVAL: Duration = Duration::from_millis(10);
/// The client ends once nothing has failed for so long; an established connection that is silent for so
/// long is broken.
const QUIET: Duration = Duration::from_secs(1);
/// And so long after it was told to end at the latest.
const END_MAX: Duration = Duration::from_secs(30);
/// How long the address may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(10);

/// Whom the client asks.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ClientArgs {
    /// Address and port of the Service
    target: SocketAddr,
    /// Connections that stay open
    #[arg(long, default_value_t = 10)]
    established: usize,
}

/// A line of what the client writes.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
enum Line {
    /// Everything is connected; from now on it counts.
    Ready,
    /// Something failed.
    #[serde(rename_all = "camelCase")]
    Failure { at_us: u64, connection: Kind, error: String },
    /// What it comes to.
    Summary(Summary),
}

/// Which connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    /// It could not be established.
    New,
    /// It was established and got no answer.
    Interrupted,
    /// One of those that stay open.
    Established,
}

/// Counts until standard input ends, and then until all is quiet.
///
/// # Errors
/// When the address does not answer at the start, or standard output is closed.
pub async fn run(args: ClientArgs) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_MAX;
    while let Err((_, error)) = ask_once(args.target).await {
        ensure!(Instant::now() < deadline, "{} does not answer: {error}", args.target);
        tokio::time::sleep(EXCHANGE_INTERVAL).await;
    }
    let tally = Shared::new();
    let mut established = JoinSet::new();
    for _ in 0..args.established {
        let connection = tokio::time::timeout(PATIENCE, Connection::open(args.target)).await;
        let connection = connection.context("connect in time")?.context("connect")?;
        established.spawn(converse(connection, tally.clone()));
    }
    let asker = arp::Asker::start(args.target.ip())?;
    say(&Line::Ready)?;
    tally.lock().start();
    let attempts = open_connections(args.target, &tally).await;
    finish(attempts).await;
    established.shutdown().await;
    let resolution = asker.finish()?;
    let summary = tally.lock().summary(args.established, resolution);
    say(&Line::Summary(summary))
}

/// Opens a connection every [`INTERVAL`], until it is told to end.
async fn open_connections(target: SocketAddr, tally: &Shared) -> JoinSet<()> {
    let mut attempts = JoinSet::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = tokio::task::spawn_blocking(input_ends);
    let mut end = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                tally.lock().attempt();
                attempts.spawn(attempt(target, tally.clone()));
                // Those that have ended.
                while attempts.try_join_next().is_some() {}
            }
            _ = &mut told, if end.is_none() => end = Some(Instant::now() + END_MAX),
        }
        if end.is_some_and(|end| Instant::now() >= end || tally.lock().is_quiet(QUIET)) {
            return attempts;
        }
    }
}

/// Waits for the last connections, which have a deadline each.
async fn finish(mut attempts: JoinSet<()>) {
    while attempts.join_next().await.is_some() {}
}

fn input_ends() {
    let mut octets = [0; 64];
    // An error ends the input too.
    while std::io::stdin().read(&mut octets).is_ok_and(|read| read > 0) {}
}

async fn attempt(target: SocketAddr, tally: Shared) {
    match ask_once(target).await {
        Ok(()) => tally.lock().answered(),
        Err((connection, error)) => {
            let at_us = match connection {
                Kind::New => tally.lock().failed(),
                Kind::Interrupted | Kind::Established => tally.lock().interrupted(),
            };
            tally.report(&Line::Failure { at_us, connection, error: error.to_string() });
        }
    }
}

/// One new connection and one answer.
async fn ask_once(target: SocketAddr) -> Result<(), (Kind, std::io::Error)> {
    let mut kind = Kind::New;
    let ask = async {
        let mut connection = Connection::open(target).await?;
        kind = Kind::Interrupted;
        connection.exchange().await
    };
    let result = tokio::time::timeout(PATIENCE, ask).await;
    let result = result.unwrap_or_else(|_elapsed| Err(ErrorKind::TimedOut.into()));
    result.map_err(|error| (kind_of(kind, &error), error))
}

/// A reset that answers the first segment is "refused". One that the client finds as soon as it is
/// connected came after the handshake (RFC 9293 §3.10.7.3 and 3.10.7.4).
fn kind_of(kind: Kind, error: &std::io::Error) -> Kind {
    match (kind, error.kind()) {
        (Kind::New, ErrorKind::ConnectionReset) => Kind::Interrupted,
        _ => kind,
    }
}

/// Exchanges on one connection until it breaks.
async fn converse(mut connection: Connection, tally: Shared) {
    let number = tally.lock().established();
    loop {
        if let Err(error) = connection.exchange().await {
            let at_us = tally.lock().broken(number);
            tally.report(&Line::Failure { at_us, connection: Kind::Established, error: error.to_string() });
            return;
        }
        tally.lock().exchanged(number);
        tokio::time::sleep(EXCHANGE_INTERVAL).await;
    }
}

/// The tally that all connections share.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Tally>>);

impl Shared {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Tally::new())))
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line. Nobody to read it is found out at the next line of the main task.
    fn report(&self, line: &Line) {
        drop(say(line));
    }
}

fn say(line: &Line) -> anyhow::Result<()> {
    let text = serde_json::to_string(line).context("write a line of JSON")? + "\n";
    std::io::stdout().lock().write_all(text.as_bytes()).context("write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_after_the_handshake_is_no_failure_to_connect() {
        let kind_of = |kind, error: ErrorKind| kind_of(kind, &error.into());
        assert_eq!(kind_of(Kind::New, ErrorKind::ConnectionReset), Kind::Interrupted);
        assert_eq!(kind_of(Kind::New, ErrorKind::ConnectionRefused), Kind::New);
        assert_eq!(kind_of(Kind::New, ErrorKind::TimedOut), Kind::New);
        assert_eq!(kind_of(Kind::Interrupted, ErrorKind::TimedOut), Kind::Interrupted);
    }
}
