//! An impatient client: one URL, asked at a steady pace, each answer a line of JSON.
//!
//! It runs inside the lab's client and speaks plain HTTP to an address, so that a request costs
//! one connection and nothing else; each one is a new connection, as from a new visitor.

use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// `http://ADDRESS[:PORT][/PATH]`; an IPv6 address stands in brackets
    url: Url,
    /// How many requests to send
    #[arg(long, default_value_t = 100)]
    count: u32,
    /// From the start of one request to the start of the next
    #[arg(long, default_value_t = 20)]
    interval_ms: u64,
    /// How long to wait for a connection, and for an answer on it
    #[arg(long, default_value_t = 100)]
    timeout_ms: u64,
}

/// One request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// When it was sent, milliseconds since 1970 began.
    pub(crate) at_ms: u64,
    /// When it ended, milliseconds since 1970 began.
    pub(crate) until_ms: u64,
    /// The body of the answer, without its last newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<String>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Sends the requests.
///
/// # Errors
/// When the samples cannot be written. A request that fails is a sample.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let interval = Duration::from_millis(options.interval_ms);
    let mut next = Instant::now();
    for _ in 0..options.count {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        // A request that took longer than the interval delays the next; none are sent in a burst.
        next = (next + interval).max(Instant::now());
        let sample = sample(&options.url, Duration::from_millis(options.timeout_ms));
        serde_json::to_writer(&mut out, &sample)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

fn sample(url: &Url, timeout: Duration) -> Sample {
    let at_ms = now_ms();
    let answer = get(url, timeout);
    let until_ms = now_ms();
    match answer {
        Ok(answer) => Sample { at_ms, until_ms, answer: Some(answer), error: None },
        Err(error) => Sample { at_ms, until_ms, answer: None, error: Some(format!("{error:#}")) },
    }
}

/// Milliseconds since 1970 began.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Octets of an answer that are looked at.
const ANSWER_MAX: u64 = 64 * 1024;

fn get(url: &Url, timeout: Duration) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&url.address, timeout).context("connect")?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", url.path, url.authority);
    stream.write_all(request.as_bytes()).context("send")?;
    let mut octets = Vec::new();
    match stream.take(ANSWER_MAX).read_to_end(&mut octets) {
        // What came before a reset may be the whole answer.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => return Err(error).context("receive"),
        Ok(_) | Err(_) => {}
    }
    body(&String::from_utf8_lossy(&octets))
}

fn body(answer: &str) -> Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status.starts_with('2'), "the answer's status is {status}");
    Ok(body.trim_end().to_owned())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    address: SocketAddr,
    authority: String,
    path: String,
}

impl std::str::FromStr for Url {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("expected http://ADDRESS[:PORT][/PATH]")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let with_port = authority.parse::<SocketAddr>().or_else(|_| format!("{authority}:80").parse());
        let address =
            with_port.with_context(|| format!("`{authority}` is no IP address, with or without a port"))?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { address, authority: authority.to_owned(), path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Answers one connection with `answer`; returns its URL.
    fn serve(answer: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/ip", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            assert!(String::from_utf8_lossy(&request[..read]).starts_with("GET /ip HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[test]
    fn an_answer_is_a_sample_with_its_body() {
        let sample = sample(&serve("HTTP/1.1 200 OK\r\n\r\nYou've hit a\n"), PATIENCE);
        assert_eq!((sample.answer.as_deref(), sample.error), (Some("You've hit a"), None));
        assert!(sample.at_ms <= sample.until_ms);
    }

    #[test]
    fn a_refused_connection_and_an_error_status_are_samples_with_their_cause() {
        let refused =
            { format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()) };
        let error = sample(&refused.parse().unwrap(), PATIENCE).error.unwrap();
        assert!(error.starts_with("connect: "), "{error}");
        let error = sample(&serve("HTTP/1.1 503 Service Unavailable\r\n\r\n"), PATIENCE).error.unwrap();
        assert_eq!(error, "the answer's status is 503");
    }

    #[test]
    fn a_sample_survives_its_line_of_json() {
        let sample = Sample { at_ms: 1, until_ms: 2, answer: Some("a".into()), error: None };
        let line = serde_json::to_string(&sample).unwrap();
        assert_eq!(line, r#"{"at_ms":1,"until_ms":2,"answer":"a"}"#);
        assert_eq!(serde_json::from_str::<Sample>(&line).unwrap(), sample);
    }

    #[test]
    fn a_url_is_an_address_with_an_optional_port_and_path() {
        let url = |text: &str| text.parse::<Url>().map(|url| (url.address.to_string(), url.path));
        assert_eq!(url("http://192.168.100.240").unwrap(), ("192.168.100.240:80".into(), "/".into()));
        assert_eq!(url("http://[fd00::1]:8080/ip").unwrap(), ("[fd00::1]:8080".into(), "/ip".into()));
        assert_eq!(url("http://[fd00::1]").unwrap(), ("[fd00::1]:80".into(), "/".into()));
        assert!(url("https://192.168.100.240").is_err());
        assert!(url("http://example.org").is_err());
    }
}
