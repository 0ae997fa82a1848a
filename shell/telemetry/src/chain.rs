//! Errors with their causes on one line.

use std::error::Error;
use std::fmt;

/// Displays `error` and its causes, outermost first, separated by `: `.
///
/// ```
/// # let error = std::io::Error::other("no route");
/// tracing::warn!(error = %ferrolb_telemetry::chain(&error), "sending was refused");
/// ```
#[must_use]
pub fn chain(error: &dyn Error) -> Chain<'_> {
    Chain(error)
}

/// The display of [`chain`].
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = self.0.to_string();
        f.write_str(&printed)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries print their source inside their own text; saying it twice helps nobody.
            if !printed.ends_with(&text) {
                write!(f, ": {text}")?;
                printed = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Self>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let (text, rest) = texts.split_first().unwrap();
        Layer { text, source: (!rest.is_empty()).then(|| Box::new(layers(rest))) }
    }

    #[test]
    fn every_cause_is_printed_once() {
        let check = |texts: &[&'static str], expected: &str| {
            assert_eq!(chain(&layers(texts)).to_string(), expected);
        };
        check(&["opening the socket"], "opening the socket");
        check(&["starting", "opening the socket", "in use"], "starting: opening the socket: in use");
        check(&["starting: in use", "in use"], "starting: in use");
        check(&["starting: tls: bad key", "tls: bad key", "bad key"], "starting: tls: bad key");
    }
}
