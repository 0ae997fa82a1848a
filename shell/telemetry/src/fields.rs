//! The dictionary of log field names. One thing has one name in every crate, so that a search
//! for `service=default/web` finds every line about it.
//!
//! In a `tracing` macro write the name itself (`info!(%service, …)`); a field that is not in
//! this list does not belong in a log line until it is.

macro_rules! dictionary {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal;)+) => {
        $($(#[doc = $doc])+ pub const $constant: &str = $name;)+

        /// Every field name with its meaning, in the order of this file.
        pub const ALL: &[(&str, &str)] = &[$(($name, concat!($($doc),+))),+];
    };
}

dictionary! {
    /// A Service, as `namespace/name`.
    SERVICE = "service";
    /// A Node object's name.
    NODE = "node";
    /// The node whose speaker is meant, where it differs from the node that logs.
    SPEAKER = "speaker";
    /// One address.
    IP = "ip";
    /// An address and its length, as in CIDR notation.
    PREFIX = "prefix";
    /// An `IPAddressPool`'s name.
    POOL = "pool";
    /// A network interface of this host.
    INTERFACE = "interface";
    /// The address of a BGP or BFD peer, or of another speaker.
    PEER = "peer";
    /// A BGP peer's autonomous system number.
    PEER_ASN = "peer_asn";
    /// A BFD session's local discriminator.
    SESSION = "session";
    /// An external address of a Service, where traffic for it is meant.
    VIP = "vip";
    /// An endpoint's address and port.
    BACKEND = "backend";
    /// A state machine's state before a change.
    FROM = "from";
    /// A state machine's state after a change.
    TO = "to";
    /// The reason of a decision, in the same word as in conditions and metrics.
    REASON = "reason";
    /// An error with its causes, printed by `chain`.
    ERROR = "error";
    /// How long something took, in seconds.
    ELAPSED = "elapsed";
    /// `metadata.generation` of the object in question.
    GENERATION = "generation";
    /// A Kubernetes object's kind.
    KIND = "kind";
    /// A Kubernetes object, as `namespace/name`, or its name where it has no namespace.
    OBJECT = "object";
    /// A link-layer address.
    MAC = "mac";
    /// A local address and port that is listened on or sent from.
    ADDRESS = "address";
    /// How many of something, where the message says of what.
    COUNT = "count";
    /// How many occurrences of this message were left out since it was last logged.
    SUPPRESSED = "suppressed";
    /// How many of something were given up.
    DROPPED = "dropped";
    /// What is spoken on a socket, such as `arp` or `ndp`.
    PROTOCOL = "protocol";
    /// FerroLB's own version.
    VERSION = "version";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_in_snake_case() {
        let names: BTreeSet<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), ALL.len());
        for (name, meaning) in ALL {
            assert!(name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'), "{name}");
            assert!(meaning.trim().ends_with('.'), "{name}: {meaning}");
        }
    }
}
