//! Signatures as cosign makes them.

pub(crate) mod bundle;
pub(crate) mod payload;
#[cfg(test)]
mod tests;

use sluice_oci::{Client, Descriptor, Manifest, Reference, Resolved};

use crate::{Error, Keyless, PublicKey};

/// Largest bundle or signed text, in bytes.
const MAX_BLOB: u64 = 4 << 20;
/// So many signatures of one artifact are looked at.
const MAX_SIGNATURES: usize = 64;

/// Whose signatures count.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Those of any of these keys.
    Keys(Vec<PublicKey>),
    /// Those of identities with a certificate, as a log has noted them.
    Keyless(Keyless),
}

/// What was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// A bundle that refers to the artifact.
    Bundle,
    /// A signature under the artifact's own tag.
    Tag,
}

/// Looks for a signature of the artifact with this digest in the repository of `reference`.
pub async fn verify(
    client: &Client,
    reference: &Reference,
    digest: &str,
    policy: &Policy,
) -> Result<Verified, Error> {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
    let hex = hex.ok_or_else(|| Error::Digest(digest.to_owned()))?;
    let mut search = Search { client, reference, digest, policy, problems: Vec::new(), looked: 0 };
    if search.bundles(hex).await? {
        return Ok(Verified::Bundle);
    }
    if search.tag(hex).await? {
        return Ok(Verified::Tag);
    }
    Err(Error::NoMatch { reference: reference.to_string(), problems: search.problems })
}

struct Search<'a> {
    client: &'a Client,
    reference: &'a Reference,
    digest: &'a str,
    policy: &'a Policy,
    problems: Vec<String>,
    looked: usize,
}

impl Search<'_> {
    /// Bundles among what refers to the artifact.
    async fn bundles(&mut self, hex: &str) -> Result<bool, Error> {
        let referrers = self.client.referrers(&self.reference.repository, self.digest).await?;
        for referrer in referrers {
            // Registries that do not tell the type make us look.
            let typed = referrer.artifact_type.as_deref();
            if typed.is_some_and(|kind| !kind.is_empty() && !bundle::is_bundle(kind)) {
                continue;
            }
            let at = self.reference.with_digest(&referrer.digest);
            let Some(manifest) = self.manifest(&at).await? else { continue };
            for layer in manifest.layers.iter().filter(|layer| bundle::is_bundle(&layer.media_type)) {
                if !self.may_look() {
                    return Ok(false);
                }
                let bytes = self.blob(layer).await?;
                match bundle::verify(&bytes, hex, self.policy) {
                    Ok(()) => return Ok(true),
                    Err(problem) => self.problem(layer, &problem),
                }
            }
        }
        Ok(false)
    }

    /// Signatures under the tag that is made of the digest.
    async fn tag(&mut self, hex: &str) -> Result<bool, Error> {
        let at = Reference { digest: None, ..self.reference.with_tag(&format!("sha256-{hex}.sig")) };
        let Some(manifest) = self.manifest(&at).await? else { return Ok(false) };
        for layer in manifest.layers.iter().filter(|layer| layer.media_type == payload::MEDIA_TYPE) {
            if !self.may_look() {
                return Ok(false);
            }
            let bytes = self.blob(layer).await?;
            match payload::verify(layer, &bytes, self.digest, self.policy) {
                Ok(()) => return Ok(true),
                Err(problem) => self.problem(layer, &problem),
            }
        }
        Ok(false)
    }

    fn may_look(&mut self) -> bool {
        self.looked += 1;
        self.looked <= MAX_SIGNATURES
    }

    fn problem(&mut self, layer: &Descriptor, problem: &str) {
        let short = layer.digest.get(..19).unwrap_or(&layer.digest);
        self.problems.push(format!("{short}: {problem}"));
    }

    async fn manifest(&self, reference: &Reference) -> Result<Option<Manifest>, Error> {
        match self.client.resolve(reference).await {
            Ok(Resolved { bytes, .. }) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn blob(&self, layer: &Descriptor) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        if layer.size <= MAX_BLOB {
            self.client.blob(&self.reference.repository, layer, &mut bytes).await?;
        }
        Ok(bytes)
    }
}
