/// Why a signature was not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are signatures of others, or none.
    #[error("no matching signatures were found for '{reference}'{}", because(.problems))]
    NoMatch {
        /// The artifact.
        reference: String,
        /// What was wrong with those that there are.
        problems: Vec<String>,
    },
    /// A public key that cannot be used.
    #[error("the public key cannot be read: {0}")]
    Key(String),
    /// A pattern of identities that is none.
    #[error("the identity cannot be matched: {0}")]
    Identity(String),
    /// A trusted root that cannot be used.
    #[error("the trusted root cannot be used: {0}")]
    Root(String),
    /// A trust policy that cannot be used, or none that applies.
    #[error("the trust policy cannot be used: {0}")]
    TrustPolicy(String),
    /// A certificate of a trust store that cannot be used.
    #[error("the certificate '{name}' cannot be used: {problem}")]
    Certificate {
        /// Where it is from.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The digest of the artifact is none that signatures are made for.
    #[error("'{0}' is no sha256 digest")]
    Digest(String),
    /// The registry.
    #[error("cannot fetch signatures")]
    Registry(#[from] sluice_oci::Error),
}

fn because(problems: &[String]) -> String {
    if problems.is_empty() { String::new() } else { format!(": {}", problems.join("; ")) }
}
