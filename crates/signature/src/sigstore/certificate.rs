//! Certificates of signers.

use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

use crate::PublicKey;

const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// The issuer, as bare text in the older form and as DER in the newer one.
const OLD_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
/// Names that are neither addresses nor URLs.
const OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
/// Extensions that may be critical: what they say is heeded.
const KNOWN: [&str; 4] = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"];

/// A signer's certificate. Nothing in it is believed yet.
pub(super) struct Leaf {
    pub(super) certificate: Certificate,
    pub(super) key: PublicKey,
    /// Who vouched for the signer.
    pub(super) issuer: String,
    /// The signer's names.
    pub(super) subjects: Vec<String>,
}

impl Leaf {
    pub(super) fn parse(der: &[u8]) -> Result<Self, String> {
        let unread = |error| format!("the certificate cannot be read: {error}");
        let certificate = Certificate::from_der(der).map_err(unread)?;
        let tbs = &certificate.tbs_certificate;
        let key = PublicKey::from_info(&tbs.subject_public_key_info).map_err(|error| error.to_string())?;
        let usage = tbs.get::<ExtendedKeyUsage>().map_err(unread)?;
        if !usage.is_some_and(|(_, usage)| usage.0.contains(&CODE_SIGNING)) {
            return Err("the certificate is not for signing code".to_owned());
        }
        let extensions = tbs.extensions.as_deref().unwrap_or_default();
        let unknown = |oid: &ObjectIdentifier| !KNOWN.contains(&oid.to_string().as_str());
        if let Some(other) = extensions.iter().find(|entry| entry.critical && unknown(&entry.extn_id)) {
            return Err(format!("the certificate's critical extension {} is not known", other.extn_id));
        }
        let value = |oid: ObjectIdentifier| {
            extensions.iter().find(|entry| entry.extn_id == oid).map(|entry| entry.extn_value.as_bytes())
        };
        let issuer = match (value(ISSUER), value(OLD_ISSUER)) {
            (Some(der), _) => Utf8StringRef::from_der(der).map_err(unread)?.as_str().to_owned(),
            (None, Some(text)) => String::from_utf8_lossy(text).into_owned(),
            (None, None) => String::new(),
        };
        let names = tbs.get::<SubjectAltName>().map_err(unread)?.map(|(_, names)| names.0);
        let subjects: Vec<_> = names.unwrap_or_default().iter().filter_map(name).collect();
        Ok(Leaf { certificate, key, issuer, subjects })
    }
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(text) => Some(text.to_string()),
        GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        GeneralName::DnsName(text) => Some(text.to_string()),
        GeneralName::OtherName(other) if other.type_id == OTHER_NAME => {
            let der = other.value.to_der().ok()?;
            Utf8StringRef::from_der(&der).ok().map(|text| text.as_str().to_owned())
        }
        _ => None,
    }
}
