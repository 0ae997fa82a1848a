//! The key of a session.

use alloc::boxed::Box;
use core::fmt;

/// The key of TCP-MD5 (RFC 2385). It shows itself to nobody who does not ask for its octets.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// The longest key that Linux takes, in octets (`TCP_MD5SIG_MAXKEYLEN`).
    pub const LENGTH_MAX: usize = 80;

    /// The key of these octets; `None` if there is none of them, or more than [`Self::LENGTH_MAX`].
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        (1..=Self::LENGTH_MAX).contains(&octets.len()).then(|| Self(octets.into()))
    }

    /// The octets, for the socket.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_password_has_up_to_80_octets_and_is_never_printed() {
        assert_eq!(Password::new(b""), None);
        assert_eq!(Password::new(&[b'x'; 81]), None);
        assert!(Password::new(&[b'x'; 80]).is_some());
        let password = Password::new(b"hunter2").unwrap();
        assert_eq!(password.octets(), b"hunter2");
        assert_eq!(format!("{password:?} {:?}", Some(&password)), "*** Some(***)");
        assert_ne!(Some(password), Password::new(b"hunter3"), "a new one is noticed");
    }
}
