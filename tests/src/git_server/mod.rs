//! Git over HTTP(S): git's own `http-backend` behind a small server on loopback, which asks for logins, keeps a log and
//! can be told to misbehave.

mod backend;
mod repository;

pub use repository::Repository;

use crate::certificates::Certificates;
use crate::connections::Connections;
use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Who may read and push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    #[default]
    Open,
    /// User name and password.
    Basic(String, String),
    /// A bearer token.
    Bearer(String),
    /// Who gives this user name, with any password.
    User(String),
    /// Who has one of these.
    AnyOf(Vec<Access>),
}

impl Access {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let expected = match self {
            Self::Open => return true,
            Self::Basic(user, password) => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::User(name) => return user(headers).as_deref() == Some(name),
            Self::AnyOf(several) => return several.iter().any(|access| access.admits(headers)),
        };
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes())
    }
}

/// The user name of a request.
fn user(headers: &HeaderMap) -> Option<String> {
    let login = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let login = String::from_utf8(STANDARD.decode(login).ok()?).ok()?;
    login.split_once(':').map(|(user, _)| user.to_owned())
}

/// How the server misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status.
    Status(u16),
    /// Waits before it answers.
    Delay(Duration),
    /// Closes the connection in the middle of the answer.
    Cut,
    /// Says nothing more in the middle of the answer, and keeps the connection.
    Hang,
    /// Sends the client to this server.
    Redirect(String),
}

/// What a request asked git for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The first request of a session: what the server can do; with the old protocol the list of references too.
    Advertise,
    /// `ls-refs`: the list of references.
    ListReferences,
    /// Objects.
    Fetch,
    /// A push.
    Push,
    /// Anything else.
    Other,
}

/// One request that the server has answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path without the query.
    pub path: String,
    /// What it asked for.
    pub operation: Operation,
    /// The status of the answer.
    pub status: u16,
    /// Whether it carried a login.
    pub authorized: bool,
    /// What the client calls itself.
    pub agent: String,
}

/// Settings of a [`GitServer`].
#[derive(Clone, Debug, Default)]
pub struct GitServerBuilder {
    access: Access,
    tls: bool,
    client_certificates: bool,
    names: Vec<String>,
    beside: Router,
    old_protocol: bool,
}

impl GitServerBuilder {
    /// Speaks no protocol version 2, so that only tips of references can be asked for.
    pub fn old_protocol(mut self) -> Self {
        self.old_protocol = true;
        self
    }

    /// Serves something else too, such as the API of a host. What it has no route for is asked of git.
    pub fn beside(mut self, router: Router) -> Self {
        self.beside = router;
        self
    }

    /// Who may read and push.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// HTTPS with a certificate of a CA of its own, see [`GitServer::ca`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// HTTPS whose certificate is for these names too: where a proxy leads here for them.
    pub fn names(mut self, names: &[&str]) -> Self {
        self.tls = true;
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// HTTPS that also asks for the client certificate of [`GitServer::client_certificate`].
    pub fn client_certificates(mut self) -> Self {
        self.tls = true;
        self.client_certificates = true;
        self
    }

    /// Starts the server on a free port of loopback. It ends with the value.
    pub async fn start(self) -> Result<GitServer> {
        let root = tempfile::Builder::new().prefix("sluice-git-").tempdir()?;
        let identity = if self.tls { Some(Certificates::for_names(&self.names)?) } else { None };
        let listener = Connections::bind(identity.as_ref(), self.client_certificates).await?;
        let address = listener.address();
        let shared = Arc::new(Shared {
            root: root.path().join("served"),
            access: Mutex::new(self.access),
            faults: Mutex::default(),
            habit: Mutex::default(),
            requests: Mutex::default(),
            old_protocol: self.old_protocol,
        });
        std::fs::create_dir(&shared.root)?;
        let router = self.beside.merge(Router::new().fallback(answer).with_state(shared.clone()));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(GitServer { root, address, identity, shared, task })
    }
}

/// A git server on loopback.
#[derive(Debug)]
pub struct GitServer {
    root: tempfile::TempDir,
    address: SocketAddr,
    identity: Option<Certificates>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Open to everybody, over plain HTTP.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// For other kinds of servers.
    pub fn builder() -> GitServerBuilder {
        GitServerBuilder::default()
    }

    /// An empty repository, whose default branch is `main`.
    pub fn repository(&self, name: &str) -> Result<Repository> {
        let url = format!("{}/{name}.git", self.url());
        Repository::create(
            &self.shared.root.join(format!("{name}.git")),
            &self.root.path().join("work").join(name),
            url,
        )
    }

    /// The URL of the server, with no slash at the end.
    pub fn url(&self) -> String {
        // The certificate is for this name and for the address.
        let scheme = if self.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The CA of an HTTPS server, in PEM.
    pub fn ca(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| identity.ca.as_str())
    }

    /// A certificate that an HTTPS server takes from clients, and its key, in PEM.
    pub fn client_certificate(&self) -> Option<(&str, &str)> {
        self.identity.as_ref().map(|identity| (identity.client.0.as_str(), identity.client.1.as_str()))
    }

    /// Changes who may read and push from now on.
    pub fn set_access(&self, access: Access) {
        *lock(&self.shared.access) = access;
    }

    /// Misbehaves at the next request, after the faults that were given before.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// Misbehaves at all requests for this operation from now on; `None` ends that.
    pub fn misbehave(&self, habit: Option<(Operation, Fault)>) {
        *lock(&self.shared.habit) = habit;
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// How many requests so far asked for this.
    pub fn count(&self, operation: Operation) -> usize {
        lock(&self.shared.requests).iter().filter(|request| request.operation == operation).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.shared.requests).clear();
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    access: Mutex<Access>,
    faults: Mutex<VecDeque<Fault>>,
    habit: Mutex<Option<(Operation, Fault)>>,
    requests: Mutex<Vec<Request>>,
    old_protocol: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    if shared.old_protocol {
        headers.remove("git-protocol");
    }
    let operation = operation(&uri, &headers, &body);
    let habit = lock(&shared.habit).clone().filter(|(of, _)| *of == operation).map(|(_, fault)| fault);
    let fault = lock(&shared.faults).pop_front().or(habit);
    if let Some(Fault::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let admitted = lock(&shared.access).admits(&headers);
    let response = if let Some(Fault::Status(status)) = fault {
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "told to fail\n")
            .into_response()
    } else if let Some(Fault::Redirect(server)) = &fault {
        let target = format!("{server}{}", uri.path_and_query().map_or("/", |path| path.as_str()));
        (StatusCode::FOUND, [(header::LOCATION, target)]).into_response()
    } else if admitted {
        let end = match fault {
            Some(Fault::Cut) => backend::End::Cut,
            Some(Fault::Hang) => backend::End::Hang,
            _ => backend::End::Whole,
        };
        serve(&shared.root, &method, &uri, &headers, &body, end).await
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        (StatusCode::UNAUTHORIZED, challenge, "who are you?\n").into_response()
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    lock(&shared.requests).push(Request {
        path: uri.path().into(),
        operation,
        status: response.status().as_u16(),
        authorized: headers.contains_key(header::AUTHORIZATION),
        agent: text(header::USER_AGENT).into(),
    });
    response
}

async fn serve(
    root: &Path,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
    end: backend::End,
) -> Response {
    match backend::run(root, method, uri, headers, body, end).await {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

fn operation(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Operation {
    let path = uri.path();
    if path.ends_with("/info/refs") {
        Operation::Advertise
    } else if path.ends_with("/git-receive-pack") {
        Operation::Push
    } else if path.ends_with("/git-upload-pack") {
        let body = plain(headers, body).unwrap_or_default();
        // The second protocol names its command in the first line; the first one only fetches.
        if body.windows(15).any(|window| window == b"command=ls-refs") {
            Operation::ListReferences
        } else {
            Operation::Fetch
        }
    } else {
        Operation::Other
    }
}

fn plain(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body).take(1 << 24).read_to_end(&mut plain).context("not gzip")?;
        return Ok(plain);
    }
    Ok(body.to_vec())
}

#[cfg(test)]
mod tests;
