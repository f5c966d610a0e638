/// What went wrong. Texts show no credentials: URLs are without their query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused.
    #[error("{method} {url}: {}", refusal(*.status, .code, .message))]
    Status {
        /// The request's method.
        method: &'static str,
        /// Its URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The server's code, such as `AccessDenied`.
        code: String,
        /// The server's words.
        message: String,
        /// The region that the server named instead of ours.
        region: Option<String>,
    },
    /// The server was not reached, or the connection broke.
    #[error("{method} {url}: {cause}")]
    Transport {
        /// The request's method.
        method: &'static str,
        /// Its URL.
        url: String,
        /// Why.
        cause: String,
    },
    /// The server's answer makes no sense.
    #[error("{url}: {problem}")]
    Answer {
        /// The request's URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The endpoint or another option cannot be used.
    #[error("{0}")]
    Options(String),
    /// There are no usable credentials.
    #[error("{0}")]
    Credentials(String),
}

impl Error {
    /// Whether the server says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Status { status: 404, .. })
    }

    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Status { status, .. } => *status == 429 || (*status >= 500 && *status != 501),
            Error::Transport { .. } => true,
            _ => false,
        }
    }
}

fn refusal(status: u16, code: &str, message: &str) -> String {
    let mut text = format!("status {status}");
    for part in [code, message] {
        if !part.is_empty() {
            text.push_str(": ");
            text.push_str(part);
        }
    }
    text
}

impl From<sluice_jwt::Error> for Error {
    fn from(error: sluice_jwt::Error) -> Self {
        Self::Credentials(format!("the private key cannot be used: {error}"))
    }
}
