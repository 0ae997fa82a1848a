//! What containers print: files of lines `TIME STREAM F TEXT`, as container runtimes write them.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio::process::{ChildStderr, ChildStdout};

/// A longer line is cut into several, each marked as partial but the last.
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// A log beyond this starts over; the part before it is kept once, as `.log.1`.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The log of a container's current run.
pub(super) fn path(pod_dir: &Path, container: &str) -> PathBuf {
    pod_dir.join(format!("{container}.log"))
}

/// The log of the run before.
pub(super) fn previous_path(pod_dir: &Path, container: &str) -> PathBuf {
    pod_dir.join(format!("{container}.previous.log"))
}

/// Logs that are being written: a reader that follows one stops when it no longer is.
#[derive(Debug, Default)]
pub(super) struct OpenLogs(Mutex<BTreeSet<PathBuf>>);

impl OpenLogs {
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn open(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    fn close(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// A log being written.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, bytes: 0 })
    }

    fn append(&mut self, stream: &str, line: &[u8]) -> std::io::Result<()> {
        let (tag, text) = match line.strip_suffix(b"\n") {
            Some(text) => ("F", text),
            None => ("P", line),
        };
        let mut record = format!("{:.9} {stream} {tag} ", Timestamp::now()).into_bytes();
        record.extend_from_slice(text);
        record.push(b'\n');
        self.bytes += record.len() as u64;
        if self.bytes > LOG_BYTES_MAX {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *self = Self::create(&self.path)?;
            self.bytes = record.len() as u64;
        }
        self.file.write_all(&record)
    }
}

/// Moves the log of the run before aside, and copies what a container prints until it closes its output.
pub(super) async fn record(open_logs: &OpenLogs, path: &Path, stdout: ChildStdout, stderr: ChildStderr) {
    let previous = path.with_extension("previous.log");
    if path.exists()
        && let Err(error) = std::fs::rename(path, &previous)
    {
        tracing::warn!(path = %path.display(), %error, "previous log not kept");
    }
    let log = match Log::create(path) {
        Ok(log) => Mutex::new(log),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "container runs without a log");
            return;
        }
    };
    open_logs.open(path);
    tokio::join!(copy(&log, "stdout", stdout), copy(&log, "stderr", stderr));
    open_logs.close(path);
}

async fn copy(log: &Mutex<Log>, stream: &str, output: impl AsyncRead + Unpin) {
    let mut reader = tokio::io::BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        // An error means that the other end is gone, as the end of the file does.
        match (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let Err(error) = log.lock().unwrap_or_else(PoisonError::into_inner).append(stream, &line) {
            tracing::warn!(%error, "log line lost");
        }
    }
}

/// What a reader wants, from the query of `GET /containerLogs`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogOptions {
    pub(super) follow: bool,
    pub(super) previous: bool,
    pub(super) timestamps: bool,
    tail_lines: Option<usize>,
    since_seconds: Option<i64>,
    since_time: Option<Time>,
    limit_bytes: Option<usize>,
}

/// A log being read.
#[derive(Debug)]
pub(super) struct LogReader {
    file: File,
    options: LogOptions,
    since: Option<Timestamp>,
    position: u64,
}

impl LogReader {
    pub(super) fn open(path: &Path, options: LogOptions) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open log {}", path.display()))?;
        let ago =
            options.since_seconds.map(|seconds| Timestamp::now() - jiff::SignedDuration::from_secs(seconds));
        let since = options.since_time.as_ref().map(|time| time.0).or(ago);
        Ok(Self { file, options, since, position: 0 })
    }

    /// What is there already, as far as the options want it.
    pub(super) fn existing(&mut self) -> std::io::Result<Vec<u8>> {
        let mut lines: VecDeque<Vec<u8>> = self.lines()?.into();
        if let Some(tail) = self.options.tail_lines {
            lines.drain(..lines.len().saturating_sub(tail));
        }
        let mut text = lines.into_iter().flatten().collect::<Vec<u8>>();
        if let Some(limit) = self.options.limit_bytes {
            text.truncate(limit);
        }
        Ok(text)
    }

    /// What was added since the last look.
    pub(super) fn added(&mut self) -> std::io::Result<Vec<u8>> {
        Ok(self.lines()?.into_iter().flatten().collect())
    }

    fn lines(&mut self) -> std::io::Result<Vec<Vec<u8>>> {
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut reader = BufReader::new(&self.file).take(LOG_BYTES_MAX);
        let mut lines = Vec::new();
        loop {
            let mut record = Vec::new();
            let read = reader.read_until(b'\n', &mut record)?;
            if !record.ends_with(b"\n") {
                // The end, or a record that is being written.
                return Ok(lines);
            }
            self.position += read as u64;
            lines.extend(render(&record, self.since, self.options.timestamps));
        }
    }
}

/// The text of a record, unless it is older than wanted.
fn render(record: &[u8], since: Option<Timestamp>, timestamps: bool) -> Option<Vec<u8>> {
    let mut fields = record.splitn(4, |byte| *byte == b' ');
    let (time, _stream, tag, text) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if let Some(since) = since {
        let written: Timestamp = std::str::from_utf8(time).ok()?.parse().ok()?;
        if written < since {
            return None;
        }
    }
    let mut line = Vec::new();
    if timestamps {
        line.extend_from_slice(time);
        line.push(b' ');
    }
    line.extend_from_slice(if tag == b"P" { text.strip_suffix(b"\n")? } else { text });
    Some(line)
}

/// The last lines of a log, for a termination message that falls back to it.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let options = LogOptions { tail_lines: Some(lines), ..LogOptions::default() };
    let text = LogReader::open(path, options).ok().and_then(|mut reader| reader.existing().ok());
    String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Log, LogOptions, LogReader, tail};

    #[test]
    fn a_log_is_read_from_any_point_and_followed() {
        let path = std::env::temp_dir().join(format!("ferrolb-lab-log-{}.log", std::process::id()));
        let mut log = Log::create(&path).unwrap();
        log.append("stdout", b"one\n").unwrap();
        log.append("stderr", b"tw").unwrap();
        log.append("stderr", b"o\n").unwrap();
        let text = |options: LogOptions| {
            String::from_utf8(LogReader::open(&path, options).unwrap().existing().unwrap()).unwrap()
        };
        assert_eq!(text(LogOptions::default()), "one\ntwo\n");
        assert_eq!(text(LogOptions { tail_lines: Some(1), ..LogOptions::default() }), "o\n");
        assert_eq!(text(LogOptions { since_seconds: Some(-60), ..LogOptions::default() }), "");
        assert!(text(LogOptions { timestamps: true, ..LogOptions::default() }).contains("Z one\n"));
        assert_eq!(tail(&path, 5), "one\ntwo\n");

        let mut reader = LogReader::open(&path, LogOptions::default()).unwrap();
        reader.existing().unwrap();
        assert_eq!(reader.added().unwrap(), b"");
        log.append("stdout", b"three\n").unwrap();
        assert_eq!(reader.added().unwrap(), b"three\n");
        std::fs::remove_file(&path).unwrap();
    }
}
