//! Signatures as notation makes them: a trust policy says whose count, and what else must be right.

mod cbor;
mod cose;
mod envelope;
mod jws;
mod name;
mod policy;
#[cfg(test)]
mod tests;

use sluice_oci::{Client, Descriptor, Manifest, Reference};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::{Error, pem};
use envelope::Envelope;
use policy::{Action, Document, Statement};

const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";
/// Largest envelope, in bytes.
const MAX_BLOB: u64 = 4 << 20;
/// So many signatures of one artifact are looked at.
const MAX_SIGNATURES: usize = 3;

/// Whose signatures count: a trust policy, and the certificates of its trust stores, whatever names these have.
#[derive(Clone, Debug)]
pub struct Notation {
    document: Document,
    certificates: Vec<Certificate>,
}

/// What the policy makes of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is signed by somebody who is trusted.
    Verified,
    /// The policy does not ask for that.
    Ignored,
}

impl Notation {
    /// Reads `trustpolicy.json` and certificates in PEM, each with a name for errors.
    pub fn parse<'a>(policy: &[u8], files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Self, Error> {
        let document = Document::parse(policy).map_err(Error::TrustPolicy)?;
        let mut certificates = Vec::new();
        for (name, text) in files {
            let wrong =
                |problem: &str| Error::Certificate { name: name.to_owned(), problem: problem.to_owned() };
            let text = std::str::from_utf8(text).map_err(|_| wrong("it is not in PEM format"))?;
            let blocks = pem::blocks(text, "CERTIFICATE");
            if blocks.is_empty() {
                return Err(wrong("it is not in PEM format"));
            }
            for der in blocks {
                certificates.push(Certificate::from_der(&der).map_err(|error| wrong(&error.to_string()))?);
            }
        }
        Ok(Notation { document, certificates })
    }

    /// Looks for a signature of the artifact with this digest in the repository of `reference`.
    pub async fn verify(
        &self,
        client: &Client,
        reference: &Reference,
        digest: &str,
        now: u64,
    ) -> Result<Judgement, Error> {
        let scope = format!("{}/{}", reference.registry, reference.repository);
        let statement = self.document.statement(&scope).map_err(Error::TrustPolicy)?;
        if statement.skips() {
            return Ok(Judgement::Ignored);
        }
        let artifact = client.resolve(&reference.with_digest(digest)).await?;
        let artifact =
            Artifact { digest, media_type: &artifact.media_type, size: artifact.bytes.len() as u64 };
        let mut problems = Vec::new();
        let referrers = client.referrers(&reference.repository, digest).await?;
        let typed = |entry: &&Descriptor| {
            entry.artifact_type.as_deref().is_none_or(|kind| kind.is_empty() || kind == ARTIFACT_TYPE)
        };
        for referrer in referrers.iter().filter(typed).take(MAX_SIGNATURES) {
            let manifest = client.resolve(&reference.with_digest(&referrer.digest)).await?;
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest.bytes) else { continue };
            let kind = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
            let [layer] = manifest.layers.as_slice() else { continue };
            if kind != ARTIFACT_TYPE || layer.size > MAX_BLOB {
                continue;
            }
            let mut bytes = Vec::new();
            client.blob(&reference.repository, layer, &mut bytes).await?;
            match self.judge(statement, &layer.media_type, &bytes, &artifact, now) {
                Ok(judgement) => return Ok(judgement),
                Err(problem) => {
                    let short = layer.digest.get(..19).unwrap_or(&layer.digest);
                    problems.push(format!("{short}: {problem}"));
                }
            }
        }
        Err(Error::NoMatch { reference: reference.to_string(), problems })
    }

    /// `now`: seconds since 1970.
    fn judge(
        &self,
        statement: &Statement,
        media_type: &str,
        bytes: &[u8],
        artifact: &Artifact<'_>,
        now: u64,
    ) -> Result<Judgement, String> {
        // That what is signed was signed with the certificate that comes along is always asked for.
        let envelope = Envelope::open(media_type, bytes)?;
        let mut judgement = Judgement::Verified;
        if let Err(problem) = self.authentic(statement, &envelope) {
            match statement.actions.authenticity {
                Action::Enforce => return Err(problem),
                Action::Log | Action::Skip => judgement = Judgement::Ignored,
            }
        }
        let checks = [
            (statement.actions.expiry, envelope.expired(now)),
            (statement.actions.timestamp, timely(statement, &envelope, now)),
            (statement.actions.revocation, envelope.revocable()),
        ];
        for (action, outcome) in checks {
            if action == Action::Enforce {
                outcome?;
            }
        }
        artifact.is(&envelope.target)?;
        Ok(judgement)
    }

    fn authentic(&self, statement: &Statement, envelope: &Envelope) -> Result<(), String> {
        let stores = statement.trusts(envelope.authority.is_some());
        let known = |certificate: &Certificate| self.certificates.contains(certificate);
        if !stores || !envelope.chain.iter().any(known) {
            return Err("the signature is not produced by a trusted signer".to_owned());
        }
        let subject = &envelope.chain[0].tbs_certificate.subject;
        if statement.identifies(subject)? {
            return Ok(());
        }
        Err(format!("'{subject}' is none of the trusted identities of the policy '{}'", statement.name))
    }
}

/// Whether the certificates were valid when the signature was made.
fn timely(statement: &Statement, envelope: &Envelope, now: u64) -> Result<(), String> {
    let valid =
        |time: u64| envelope.chain.iter().all(|certificate| crate::sigstore::valid(certificate, time));
    match envelope.authority {
        Some(time) if valid(time) => Ok(()),
        Some(_) => Err("a certificate was not valid when the signature was made".to_owned()),
        None if statement.wants_timestamp(valid(now)) => {
            Err("time stamps of other services are not supported by Sluice".to_owned())
        }
        None if valid(now) => Ok(()),
        None => Err("a certificate is not valid now".to_owned()),
    }
}

/// What is to be verified.
struct Artifact<'a> {
    digest: &'a str,
    media_type: &'a str,
    size: u64,
}

impl Artifact<'_> {
    fn is(&self, target: &Descriptor) -> Result<(), String> {
        if target.digest != self.digest || target.media_type != self.media_type || target.size != self.size {
            return Err(format!("the signature is for {}", target.digest));
        }
        Ok(())
    }
}
