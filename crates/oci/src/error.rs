//! What can go wrong with a registry.

/// An error of a registry or of what it sent. The texts never hold a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A reference does not parse.
    #[error("could not parse reference '{reference}': {problem}")]
    Reference {
        /// The text.
        reference: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Docker's configuration does not parse.
    #[error("invalid docker config: {0}")]
    DockerConfig(String),
    /// A setting of the client does not make sense.
    #[error("{0}")]
    Options(String),
    /// The registry was not reached.
    #[error("{method} {url}: {cause}")]
    Transport {
        /// The method of the request.
        method: String,
        /// The URL, without its query.
        url: String,
        /// What happened.
        cause: String,
    },
    /// The registry refused.
    #[error("{method} {url}: {}", describe(*status, message))]
    Status {
        /// The method of the request.
        method: String,
        /// The URL, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The registry's own words, where it has some.
        message: String,
        /// The wait that it asks for.
        retry_after: Option<std::time::Duration>,
    },
    /// The registry's answer makes no sense.
    #[error("{url}: unexpected answer of the registry: {problem}")]
    Answer {
        /// The URL, without its query.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Content is not what its digest or size says.
    #[error("content of {digest} does not match: {problem}")]
    Content {
        /// The digest that was asked for.
        digest: String,
        /// What differs.
        problem: String,
    },
    /// Writing the content somewhere failed.
    #[error("cannot write the content of {digest}")]
    Write {
        /// The digest of the content.
        digest: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

fn describe(status: u16, message: &str) -> String {
    let code = reqwest::StatusCode::from_u16(status).ok();
    let reason = code.and_then(|code| code.canonical_reason()).unwrap_or_default();
    if message.is_empty() {
        format!("unexpected status code {status} {reason}").trim_end().to_owned()
    } else {
        format!("{status} {reason}: {message}")
    }
}

impl Error {
    /// The HTTP status, where the registry answered with one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the registry does not know what was asked for.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }
}
