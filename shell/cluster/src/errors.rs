//! The API client's errors, short enough for a log line.

use ferrolb_telemetry::chain;
use kube::runtime::watcher;

/// What the API server answered, or why it did not: kube's own text repeats the whole status.
#[must_use]
pub fn brief(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({} {})", status.message, status.code, status.reason);
    }
    chain(error).to_string()
}

/// As [`brief`], for a watch.
#[must_use]
pub fn brief_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => brief(error),
        watcher::Error::WatchError(status) => {
            format!("{} ({} {})", status.message, status.code, status.reason)
        }
        watcher::Error::NoResourceVersion => chain(error).to_string(),
    }
}

/// Whether the object was not there (any more).
#[must_use]
pub fn is_absent(error: &kube::Error) -> bool {
    has_code(error, 404)
}

/// Whether the object changed since it was read, or was there already.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    has_code(error, 409)
}

fn has_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
