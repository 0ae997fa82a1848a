//! The webhook's certificates: an authority of its own, and a server certificate signed by it.
//!
//! Both replicas serve what one Secret holds, so nothing here is kept: a [`Bundle`] is read,
//! judged at a time that is passed in, and replaced as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, RootCertStore};
use x509_parser::parse_x509_certificate;

/// How long an authority is valid: API servers are told to trust it, so it changes rarely.
pub const AUTHORITY_VALIDITY: Duration = Duration::from_secs(10 * 365 * DAY);
/// How long a server certificate is valid.
pub const SERVER_VALIDITY: Duration = Duration::from_secs(365 * DAY);
/// So long before its end a certificate is replaced: a cluster may be off for weeks.
pub const RENEW_AHEAD: Duration = Duration::from_secs(90 * DAY);
/// How often certificates are judged.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(12 * 3600);
/// Certificates are valid from so long before they are made: clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
const DAY: u64 = 24 * 3600;

/// Keys of a Secret's data.
const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
/// The server certificate, under the name that every tool expects.
pub const CERTIFICATE: &str = "tls.crt";
/// The key of [`CERTIFICATE`].
pub const KEY: &str = "tls.key";

/// An authority and a server certificate with their keys, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The authority's certificate, to be trusted by API servers.
    pub ca_certificate: String,
    ca_key: String,
    /// What the server shows.
    pub certificate: String,
    /// The key of `certificate`.
    pub key: String,
}

/// What has to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The authority, and with it all that it signed.
    Authority,
    /// The server certificate alone; who trusts the authority need not be told.
    Server,
}

/// A certificate cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Making one failed.
    #[error("a certificate for the webhook cannot be made")]
    Make(#[source] rcgen::Error),
    /// The text holds no certificate, or no key.
    #[error(
        "the webhook's certificate or key is not PEM; put a certificate under tls.crt and its key under tls.key"
    )]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The TLS library refuses the pair.
    #[error("the webhook's certificate and key cannot be served together; check that they belong together")]
    Pair(#[source] rustls::Error),
}

impl Bundle {
    /// Makes an authority and a server certificate for the DNS names `names`, both valid from now.
    ///
    /// # Errors
    /// A name is not a DNS name, or the system gives no randomness.
    pub fn create(names: &[String], now: SystemTime) -> Result<Self, CertificateError> {
        let key = KeyPair::generate().map_err(CertificateError::Make)?;
        let mut params = params("ferrolb-webhook-ca", now, AUTHORITY_VALIDITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = params.self_signed(&key).map_err(CertificateError::Make)?;
        Self::sign(authority.pem(), key.serialize_pem(), names, now)
    }

    /// The bundle in which everything that is due at `now` has been replaced; none when nothing is.
    ///
    /// # Errors
    /// As for [`Bundle::create`].
    pub fn renewed(&self, names: &[String], now: SystemTime) -> Result<Option<Self>, CertificateError> {
        match self.due(names, now) {
            None => Ok(None),
            Some(Due::Authority) => Self::create(names, now).map(Some),
            Some(Due::Server) => {
                Self::sign(self.ca_certificate.clone(), self.ca_key.clone(), names, now).map(Some)
            }
        }
    }

    /// What has to be replaced at `now`, because it ends within [`RENEW_AHEAD`] or is no good for `names`.
    #[must_use]
    pub fn due(&self, names: &[String], now: SystemTime) -> Option<Due> {
        let Some(authority) = self.usable_authority(now) else { return Some(Due::Authority) };
        let serves = serving(&self.certificate, &self.key)
            .is_ok_and(|serving| is_trusted(&serving, &authority, names, now));
        (!serves).then_some(Due::Server)
    }

    /// The bundle in a Secret's data; none if a key is missing.
    #[must_use]
    pub fn from_data(data: &BTreeMap<String, Vec<u8>>) -> Option<Self> {
        let text = |key: &str| String::from_utf8(data.get(key)?.clone()).ok();
        Some(Self {
            ca_certificate: text(CA_CERTIFICATE)?,
            ca_key: text(CA_KEY)?,
            certificate: text(CERTIFICATE)?,
            key: text(KEY)?,
        })
    }

    /// The bundle as a Secret's data.
    #[must_use]
    pub fn to_data(&self) -> BTreeMap<String, Vec<u8>> {
        let entry = |key: &str, text: &String| (key.to_owned(), text.clone().into_bytes());
        [
            entry(CA_CERTIFICATE, &self.ca_certificate),
            entry(CA_KEY, &self.ca_key),
            entry(CERTIFICATE, &self.certificate),
            entry(KEY, &self.key),
        ]
        .into()
    }

    /// Adds a new server certificate to an authority.
    fn sign(
        ca_certificate: String,
        ca_key: String,
        names: &[String],
        now: SystemTime,
    ) -> Result<Self, CertificateError> {
        let made = || {
            let authority = Issuer::from_ca_cert_pem(&ca_certificate, KeyPair::from_pem(&ca_key)?)?;
            let key = KeyPair::generate()?;
            let mut params = params("ferrolb-webhook", now, SERVER_VALIDITY);
            params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            Ok((params.signed_by(&key, &authority)?.pem(), key.serialize_pem()))
        };
        let (certificate, key) = made().map_err(CertificateError::Make)?;
        Ok(Self { ca_certificate, ca_key, certificate, key })
    }

    /// The authority, if it outlasts [`RENEW_AHEAD`] and its key is there to sign with.
    fn usable_authority(&self, now: SystemTime) -> Option<CertificateDer<'static>> {
        let certificate = CertificateDer::from_pem_slice(self.ca_certificate.as_bytes()).ok()?;
        let (_, parsed) = parse_x509_certificate(&certificate).ok()?;
        let key = KeyPair::from_pem(&self.ca_key).ok()?;
        let validity = parsed.validity();
        let lasts = validity.not_before.timestamp() <= seconds(now)
            && validity.not_after.timestamp() >= seconds(now + RENEW_AHEAD);
        let is_pair = parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw();
        (lasts && is_pair && parsed.is_ca()).then_some(certificate)
    }
}

/// Keys are nobody's business, and a certificate says nothing to a reader.
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bundle(***)")
    }
}

impl Due {
    /// What is due, as a word for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Authority => "AuthorityDue",
            Self::Server => "ServerCertificateDue",
        }
    }
}

/// A certificate chain and its key, checked against each other.
pub(crate) fn serving(certificate: &str, key: &str) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(CertificateError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(CertificateError::Pem)?;
    if chain.is_empty() {
        return Err(CertificateError::Pem(rustls::pki_types::pem::Error::NoItemsFound));
    }
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(CertificateError::Pair)
}

/// Whether a client that trusts `authority` accepts the certificate under each name, at `now` and
/// for [`RENEW_AHEAD`] from then.
fn is_trusted(
    serving: &CertifiedKey,
    authority: &CertificateDer<'static>,
    names: &[String],
    now: SystemTime,
) -> bool {
    let accepted = || {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).ok()?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        let (certificate, intermediates) = serving.cert.split_first()?;
        for name in names {
            let name = ServerName::try_from(name.as_str()).ok()?;
            for time in [now, now + RENEW_AHEAD] {
                verifier.verify_server_cert(certificate, intermediates, &name, &[], unix(time)).ok()?;
            }
        }
        Some(())
    };
    accepted().is_some()
}

fn params(common_name: &str, now: SystemTime, validity: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + validity).into();
    params
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn seconds(time: SystemTime) -> i64 {
    i64::try_from(unix(time).as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> [String; 2] {
        ["hook.ferrolb-system.svc".into(), "hook.ferrolb-system.svc.cluster.local".into()]
    }

    fn after(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs((20_000 + days) * DAY)
    }

    fn bundle() -> Bundle {
        Bundle::create(&names(), after(0)).unwrap()
    }

    #[test]
    fn certificates_are_renewed_ninety_days_ahead_and_not_earlier() {
        let bundle = bundle();
        let cases = [
            (0, None),
            (365 - 90, None),
            (365 - 89, Some(Due::Server)),
            (3650 - 90, Some(Due::Server)),
            (3650 - 89, Some(Due::Authority)),
            (36_500, Some(Due::Authority)),
        ];
        for (days, expected) in cases {
            assert_eq!(bundle.due(&names(), after(days)), expected, "after {days} days");
        }
        let before = after(0) - Duration::from_secs(DAY);
        assert_eq!(bundle.due(&names(), before), Some(Due::Authority), "a clock that went back a day");
    }

    #[test]
    fn a_renewed_server_certificate_is_trusted_by_who_trusts_the_authority_and_lasts_a_year() {
        let old = bundle();
        let new = old.renewed(&names(), after(300)).unwrap().expect("the server certificate is due");
        assert_eq!(new.ca_certificate, old.ca_certificate);
        assert_ne!(new.certificate, old.certificate);
        assert_eq!(new.due(&names(), after(300 + 365 - 90)), None);
        assert_eq!(new.renewed(&names(), after(300)).unwrap(), None);
        let next = old.renewed(&names(), after(3600)).unwrap().expect("the authority is due");
        assert_ne!(next.ca_certificate, old.ca_certificate);
        assert_eq!(next.due(&names(), after(3600)), None);
    }

    #[test]
    fn other_names_need_another_certificate_and_the_same_authority() {
        let bundle = bundle();
        assert_eq!(bundle.due(&["other.ferrolb-system.svc".into()], after(0)), Some(Due::Server));
    }

    #[test]
    fn what_does_not_belong_together_is_due() {
        let (one, two) = (bundle(), bundle());
        let due = |bundle: Bundle| bundle.due(&names(), after(0));
        assert_eq!(due(Bundle { key: two.key.clone(), ..one.clone() }), Some(Due::Server));
        assert_eq!(due(Bundle { certificate: "nonsense".into(), ..one.clone() }), Some(Due::Server));
        assert_eq!(
            due(Bundle { certificate: two.certificate.clone(), key: two.key.clone(), ..one.clone() }),
            Some(Due::Server)
        );
        assert_eq!(due(Bundle { ca_key: two.ca_key.clone(), ..one.clone() }), Some(Due::Authority));
        assert_eq!(due(Bundle { ca_certificate: String::new(), ..one }), Some(Due::Authority));
    }

    #[test]
    fn a_secret_gives_back_what_was_put_in_and_debug_shows_no_key() {
        let bundle = bundle();
        let mut data = bundle.to_data();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
        assert_eq!(Bundle::from_data(&data), Some(bundle.clone()));
        data.remove(KEY);
        assert_eq!(Bundle::from_data(&data), None);
        assert_eq!(format!("{bundle:?}"), "Bundle(***)");
    }
}
