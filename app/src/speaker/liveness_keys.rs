//! The file with the keys that speakers know each other by, followed while it changes.
//!
//! One key per line, 16 octets or more of any text; this speaker sends with the first and accepts
//! all. A rotation writes it three times, each once the one before has reached every node: the new
//! key as the second line, as the first, and alone.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use ferrolb_liveness::{Key, KeyRing};
use ferrolb_telemetry::RateLimit;
use ferrolb_telemetry::clock;
use tokio::time::{Interval, MissedTickBehavior};

/// How often the file is read again. The kubelet needs about a minute to bring a changed Secret.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// Between two log lines about the same trouble.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The file, and what it said last.
pub(super) struct KeyFile {
    path: PathBuf,
    known: Option<String>,
    reading: Interval,
    log: RateLimit,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf) -> Self {
        let mut reading = tokio::time::interval(READ_INTERVAL);
        reading.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { path, known: None, reading, log: RateLimit::new(LOG_INTERVAL) }
    }

    /// The next keys that are not those returned before. Waits for the file if it is missing.
    /// Cancel-safe.
    pub(super) async fn changed(&mut self) -> KeyRing {
        loop {
            self.reading.tick().await;
            match self.read() {
                Ok(Some(keys)) => {
                    let ids: Vec<String> = keys.ids().map(|id| format!("{:08x}", id.0)).collect();
                    tracing::info!(
                        keys = ids.join(" "),
                        "keys of the speakers read, the first one is sent with"
                    );
                    return keys;
                }
                Ok(None) => {}
                Err(error) => {
                    if let Some(suppressed) = self.log.admit(clock::now()) {
                        let error = format!("{error:#}");
                        match self.known {
                            None => tracing::warn!(
                                error,
                                suppressed,
                                "waiting for the keys of the speakers; the controller makes Secret ferrolb-liveness"
                            ),
                            Some(_) => tracing::warn!(
                                error,
                                suppressed,
                                "the keys of the speakers cannot be read, those read before stay"
                            ),
                        }
                    }
                }
            }
        }
    }

    /// What the file says, if that is new.
    fn read(&mut self) -> anyhow::Result<Option<KeyRing>> {
        let shown = self.path.display();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => anyhow::bail!("{shown} does not exist"),
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
        };
        if self.known.as_ref() == Some(&text) {
            return Ok(None);
        }
        let keys = parse(&text).with_context(|| format!("{shown} does not parse"))?;
        self.known = Some(text);
        Ok(Some(keys))
    }
}

/// The keys of a file's text. Blank lines mean nothing.
fn parse(text: &str) -> anyhow::Result<KeyRing> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let mut keys = lines
        .map(|(index, line)| Key::new(line.as_bytes()).with_context(|| format!("line {}", index + 1)))
        .collect::<anyhow::Result<Vec<Key>>>()?
        .into_iter();
    let send = keys.next().context("it has no key; write one line of 32 random octets in base64")?;
    Ok(KeyRing::new(send, keys.collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef";
    const TWO: &str = "fedcba9876543210";

    fn ids(keys: &KeyRing) -> Vec<u32> {
        keys.ids().map(|id| id.0).collect()
    }

    fn id(secret: &str) -> u32 {
        Key::new(secret.as_bytes()).expect("it is long enough").id().0
    }

    #[test]
    fn the_first_line_is_sent_with_and_all_are_accepted() {
        let keys = parse(&format!("\n  {ONE}\r\n\n{TWO}\n")).expect("it parses");
        assert_eq!(ids(&keys), [id(ONE), id(TWO)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_never_with_the_key() {
        let text = |keys: &str| format!("{:#}", parse(keys).expect_err("it does not parse"));
        let error = text(&format!("{ONE}\nhunter2\n"));
        assert!(error.contains("line 2") && error.contains("at least 16"), "{error}");
        assert!(!error.contains("hunter2") && !error.contains(ONE), "{error}");
        assert!(text("\n \n").contains("no key"));
        assert!(text(&format!("{ONE}\n").repeat(9)).contains("at most 8"));
    }

    #[tokio::test]
    async fn a_file_is_waited_for_and_followed() {
        let directory = std::env::temp_dir().join(format!("ferrolb-keys-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("keys");
        let write = |text: &str| std::fs::write(&path, text).expect("it is written");
        let mut file = KeyFile::new(path.clone());
        assert!(file.read().expect_err("there is none").to_string().contains("does not exist"));
        write(ONE);
        assert_eq!(ids(&file.changed().await), [id(ONE)]);
        assert!(file.read().expect("it is there").is_none(), "nothing is new");
        write("short");
        assert!(file.read().is_err(), "the old ones stay");
        write(&format!("{TWO}\n{ONE}\n"));
        assert_eq!(ids(&file.changed().await), [id(TWO), id(ONE)]);
        std::fs::remove_dir_all(&directory).expect("it is removed");
    }
}
