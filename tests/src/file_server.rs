//! A web server for static files, such as those of a Helm repository.

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use base64::Engine as _;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How the server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It never stops sending.
    Endless,
    /// It says that it will send more than it does.
    Short,
    /// It answers with this status.
    Status(u16),
}

/// A web server on loopback. It ends with this value.
#[derive(Debug)]
pub struct FileServer {
    url: String,
    folder: tempfile::TempDir,
    state: Arc<Mutex<Settings>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Settings {
    root: PathBuf,
    login: Option<(String, String)>,
    misbehaviour: Option<(String, Misbehaviour)>,
    requests: Vec<(String, u16, bool)>,
}

impl FileServer {
    /// Starts it.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let state = Arc::new(Mutex::new(Settings { root: folder.path().to_owned(), ..Settings::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(serve).with_state(state.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, folder, state, task })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder that it serves.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Who may read, from now on.
    pub fn set_login(&self, username: &str, password: &str) {
        self.lock().login = Some((username.to_owned(), password.to_owned()));
    }

    /// How it answers for a path, from now on.
    pub fn misbehave(&self, path: &str, how: Option<Misbehaviour>) {
        self.lock().misbehaviour = how.map(|how| (path.to_owned(), how));
    }

    /// What was answered for a path so far.
    pub fn answers(&self, path: &str) -> Vec<u16> {
        self.lock().requests.iter().filter(|request| request.0 == path).map(|request| request.1).collect()
    }

    /// Whether somebody sent credentials for a path.
    pub fn got_credentials(&self, path: &str) -> bool {
        self.lock().requests.iter().any(|request| request.0 == path && request.2)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Settings> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(State(state): State<Arc<Mutex<Settings>>>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let allowed = state.login.as_ref().is_none_or(|(username, password)| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        authorization == Some(&format!("Basic {pair}"))
    });
    let response = if allowed {
        let how = state.misbehaviour.as_ref().filter(|(of, _)| *of == path).map(|(_, how)| *how);
        answer(&state.root.join(path.trim_start_matches('/')), &request, how)
    } else {
        empty(StatusCode::UNAUTHORIZED)
    };
    state.requests.push((path, response.status().as_u16(), authorization.is_some()));
    response
}

fn answer(file: &Path, request: &Request<Body>, how: Option<Misbehaviour>) -> Response<Body> {
    let Ok(content) = std::fs::read(file) else { return empty(StatusCode::NOT_FOUND) };
    match how {
        Some(Misbehaviour::Status(status)) => {
            return empty(StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT));
        }
        Some(Misbehaviour::Endless) => {
            let piece = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b'#'; 1 << 16]));
            return Response::new(Body::from_stream(futures::stream::iter(piece)));
        }
        Some(Misbehaviour::Short) => {
            let half = content[..content.len() / 2].to_vec();
            let stream = futures::stream::iter([Ok(half), Err(std::io::Error::other("cut off"))]);
            let mut response = Response::new(Body::from_stream(stream));
            response.headers_mut().insert(CONTENT_LENGTH, content.len().into());
            return response;
        }
        None => {}
    }
    let tag = format!(
        "\"{:x}\"",
        Sha256::digest(&content)[..8].iter().fold(0_u64, |sum, b| sum << 8 | u64::from(*b))
    );
    if request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes()) {
        return empty(StatusCode::NOT_MODIFIED);
    }
    let mut response = Response::new(Body::from(content));
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
