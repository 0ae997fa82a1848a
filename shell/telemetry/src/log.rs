//! Structured logs on standard error.

use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for log collectors.
    #[default]
    Json,
    /// One line of text, for people.
    Text,
}

/// The text names no log format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log format {0:?} does not exist; use json or text")]
pub struct ParseLogFormatError(String);

impl FromStr for LogFormat {
    type Err = ParseLogFormatError;

    fn from_str(text: &str) -> Result<Self, ParseLogFormatError> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(ParseLogFormatError(other.to_owned())),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter does not parse.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The process logs already.
    #[error("logging was started twice in this process")]
    Started(#[source] TryInitError),
}

/// What is wrong with a log filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A word that is neither a level nor `target=level`.
    #[error(
        "log filter: {0:?} is no level; use error, warn, info, debug, trace or off, or target=level like ferrolb_l2=debug"
    )]
    NotALevel(String),
    /// The directives do not parse.
    #[error(
        "log filter {filter:?} does not parse; write levels and target=level directives separated by commas, like info,ferrolb_l2=debug"
    )]
    Syntax {
        /// The filter as given.
        filter: String,
        /// What the parser says.
        #[source]
        source: ParseError,
    },
}

/// Starts logging to standard error, in `format`, what `filter` lets through.
///
/// `filter` is a list separated by commas: a level (`info`), and `target=level` directives that
/// override it for one module (`ferrolb_l2=debug`).
///
/// # Errors
/// The filter does not parse, or logging was started before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), InitError> {
    let filter = parse_filter(filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).finish().try_init(),
        LogFormat::Text => lines.with_ansi(false).finish().try_init(),
    }
    .map_err(InitError::Started)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, FilterError> {
    // The parser takes a bare word that is no level for a target and logs nothing else, so that
    // `--log-level=inof` would silence the process.
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    for directive in &directives {
        let is_target = directive.contains(['=', '[']);
        if !is_target && (directive.is_empty() || directive.parse::<LevelFilter>().is_err()) {
            return Err(FilterError::NotALevel((*directive).to_owned()));
        }
    }
    EnvFilter::builder()
        .with_regex(false)
        .parse(directives.join(","))
        .map_err(|source| FilterError::Syntax { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_accepted() {
        for filter in ["info", "off", "warn,ferrolb_l2=debug", "info, kube=warn", "INFO"] {
            assert!(parse_filter(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn a_misspelt_level_is_an_error_not_a_target() {
        for filter in ["inof", "", "info,", "info,verbose"] {
            assert!(matches!(parse_filter(filter), Err(FilterError::NotALevel(_))), "{filter}");
        }
        let error = parse_filter("inof").unwrap_err().to_string();
        assert!(error.contains("\"inof\" is no level; use error, warn, info"), "{error}");
    }

    #[test]
    fn a_bad_level_of_a_target_is_an_error() {
        let error = parse_filter("info,ferrolb_l2=loud").unwrap_err();
        assert!(matches!(error, FilterError::Syntax { .. }));
        assert!(error.to_string().contains("\"info,ferrolb_l2=loud\""), "{error}");
    }

    #[test]
    fn logging_starts_once() {
        init(LogFormat::Json, "off").unwrap();
        assert!(matches!(init(LogFormat::Text, "off"), Err(InitError::Started(_))));
    }

    #[test]
    fn formats_round_trip() {
        for format in [LogFormat::Json, LogFormat::Text] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("yaml".parse::<LogFormat>().unwrap_err().to_string().contains("use json or text"));
    }
}
