//! Signatures with certificates that live for minutes: who signed is in the certificate, and when is in a log.
//!
//! Nothing is asked of any service: all that is believed comes from a [`TrustedRoot`], and the proofs must be where the
//! signature is.

mod certificate;
mod chain;
mod log;
mod root;
mod sct;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use sluice_regexp::Regexp;

pub(crate) use chain::{is_authority, issued, valid};
pub(crate) use log::{Claim, Entry};
pub use root::TrustedRoot;
pub(crate) use wire::Base64;

use crate::Error;
use certificate::Leaf;

/// Whose certificates count, and who must have got them.
#[derive(Clone, Debug)]
pub struct Keyless {
    /// Who makes certificates and keeps logs.
    pub root: Arc<TrustedRoot>,
    /// One of these must be in the certificate. Without any, anybody may sign who got a certificate.
    pub identities: Vec<Identity>,
}

/// Who must have signed: regular expressions, as Go has them, that need not match the whole text.
#[derive(Clone, Debug)]
pub struct Identity {
    issuer: Regexp,
    subject: Regexp,
}

impl Identity {
    /// `issuer`: who vouched for the signer; `subject`: the signer's address or URL.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, Error> {
        let parse = |what: &str, pattern: &str| {
            Regexp::new(pattern).map_err(|error| Error::Identity(format!("{what} '{pattern}': {error}")))
        };
        Ok(Identity { issuer: parse("issuer", issuer)?, subject: parse("subject", subject)? })
    }

    fn is(&self, leaf: &Leaf) -> bool {
        self.issuer.is_match(&leaf.issuer)
            && leaf.subjects.iter().any(|subject| self.subject.is_match(subject))
    }
}

/// A signature and what goes with it, as yet unproven.
pub(crate) struct Evidence<'a> {
    /// The signer's certificate, DER.
    pub(crate) certificate: &'a [u8],
    /// Others that came along.
    pub(crate) intermediates: &'a [Vec<u8>],
    pub(crate) entries: &'a [Entry],
    pub(crate) signature: &'a [u8],
    /// What is signed.
    pub(crate) message: &'a [u8],
    /// What the log must have noted.
    pub(crate) claim: Claim<'a>,
}

impl Keyless {
    /// Proves that one of the identities signed the message while the certificate was valid.
    pub(crate) fn verify(&self, evidence: &Evidence<'_>) -> Result<(), String> {
        let leaf = Leaf::parse(evidence.certificate)?;
        if !leaf.key.verifies(evidence.message, evidence.signature) {
            return Err("the signature is not of the certificate's key".to_owned());
        }
        let time = log::time(evidence, &self.root)?;
        let issuer = chain::verify(&leaf.certificate, evidence.intermediates, &self.root, time)?;
        sct::verify(&leaf.certificate, &issuer, &self.root)?;
        if self.identities.is_empty() || self.identities.iter().any(|identity| identity.is(&leaf)) {
            return Ok(());
        }
        let subjects = leaf.subjects.join("', '");
        Err(format!("the signature is of '{subjects}', for whom '{}' vouched", leaf.issuer))
    }
}
