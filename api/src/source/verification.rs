use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{LocalObjectReference, string_enum};

string_enum! {
    /// What made a signature.
    #[derive(Default)]
    pub enum VerificationProvider {
        /// Sigstore's cosign.
        #[default]
        Cosign = "cosign",
        /// The Notary Project's notation.
        Notation = "notation",
    }
}

/// Which signatures of an OCI artifact must be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciVerification {
    /// Who may have signed without a key, by cosign. Any of them will do; everybody when empty.
    #[serde(default, rename = "matchOIDCIdentity", skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OidcIdentityMatch>,
    /// What made the signatures.
    #[serde(default)]
    #[schemars(!default, extend("default" = "cosign"))]
    pub provider: VerificationProvider,
    /// A Secret with the public keys (cosign: *.pub) or the trust policy and certificates (notation) to
    /// verify with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// A Secret with a trusted root (trusted_root.json) that stands in for the public Sigstore instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root_secret_ref: Option<LocalObjectReference>,
}

/// Who may have signed, as an OpenID Connect provider knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcIdentityMatch {
    /// A regular expression for the issuer.
    pub issuer: String,
    /// A regular expression for the subject.
    pub subject: String,
}

string_enum! {
    /// Whose identity is used to authenticate.
    #[derive(Default)]
    pub enum CloudProvider {
        /// None: credentials come from a Secret.
        #[default]
        Generic = "generic",
        /// Amazon Web Services.
        Aws = "aws",
        /// Microsoft Azure.
        Azure = "azure",
        /// Google Cloud.
        Gcp = "gcp",
    }
}
