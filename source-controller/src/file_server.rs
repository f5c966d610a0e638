//! The artifacts over HTTP: static files with ranges, dates and directory listings.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::io::{self, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MODIFIED_SINCE, IF_RANGE, LAST_MODIFIED,
    LOCATION, RANGE,
};
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use sluice_artifact::Storage;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

const BUFFER: usize = 64 * 1024;
/// A listing ends here; no object has so many artifacts.
const MAX_LISTING: usize = 10_000;

/// Routes that serve the files of a storage.
pub(crate) fn routes(storage: Arc<Storage>) -> Router {
    Router::new().fallback(serve).with_state(storage)
}

async fn serve(State(storage): State<Arc<Storage>>, request: Request<Body>) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(http::header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri().path();
    let Some(relative) = relative_path(path) else { return not_found() };
    let answer = answer(&storage, &relative, path, request.method() == Method::HEAD, request.headers()).await;
    answer.unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => not_found(),
        io::ErrorKind::PermissionDenied => StatusCode::FORBIDDEN.into_response(),
        _ => {
            tracing::error!(%error, path, "cannot serve an artifact");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    })
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// The path below the root; `None` for one that would leave it or that names a file in the making.
fn relative_path(path: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    if bytes.contains(&0) {
        return None;
    }
    let mut relative = PathBuf::new();
    for component in Path::new(std::ffi::OsStr::from_bytes(&bytes)).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) if !name.as_bytes().starts_with(b".") => relative.push(name),
            _ => return None,
        }
    }
    Some(relative)
}

async fn answer(
    storage: &Arc<Storage>,
    relative: &Path,
    path: &str,
    head: bool,
    headers: &HeaderMap,
) -> io::Result<Response> {
    let root = storage.root();
    let full = root.join(relative);
    // Links point at absolute paths: they may lead anywhere below the root.
    let resolved = tokio::fs::canonicalize(&full).await?;
    if !resolved.starts_with(root) {
        return Ok(not_found());
    }
    let mut file = File::open(&resolved).await?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        if !path.ends_with('/') {
            let name = path.rsplit('/').next().unwrap_or_default();
            return Ok((StatusCode::MOVED_PERMANENTLY, [(LOCATION, format!("{name}/"))]).into_response());
        }
        return listing(&resolved).await;
    }
    if !metadata.is_file() {
        return Ok(not_found());
    }
    let (keeper, place, state) = (storage.clone(), resolved.clone(), metadata.clone());
    let intact = tokio::task::spawn_blocking(move || keeper.may_serve(&place, &state)).await;
    if !intact.map_err(io::Error::other)?? {
        tracing::error!(path, "an artifact on disk is not what was stored there, and is not served");
        return Ok(not_found());
    }
    let modified = http_date(&metadata);
    let unchanged = |name| {
        headers
            .get(name)
            .is_some_and(|value| Some(value.as_bytes()) == modified.as_deref().map(str::as_bytes))
    };
    let mut response = Response::builder().header(ACCEPT_RANGES, "bytes");
    if let Some(modified) = &modified {
        response = response.header(LAST_MODIFIED, modified);
    }
    if unchanged(IF_MODIFIED_SINCE) {
        return response.status(StatusCode::NOT_MODIFIED).body(Body::empty()).map_err(io::Error::other);
    }
    response = response.header(CONTENT_TYPE, content_type(relative));
    let size = metadata.len();
    let wanted = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let wanted = wanted.filter(|_| !headers.contains_key(IF_RANGE) || unchanged(IF_RANGE));
    let (status, start, length) = match wanted.map(|range| parse_range(range, size)) {
        None | Some(Range::Whole) => (StatusCode::OK, 0, size),
        Some(Range::Part(start, length)) => {
            response = response.header(CONTENT_RANGE, format!("bytes {start}-{}/{size}", start + length - 1));
            (StatusCode::PARTIAL_CONTENT, start, length)
        }
        Some(Range::Unsatisfiable) => {
            let response = response.status(StatusCode::RANGE_NOT_SATISFIABLE);
            let response = response.header(CONTENT_RANGE, format!("bytes */{size}"));
            return response.body(Body::empty()).map_err(io::Error::other);
        }
    };
    response = response.status(status).header(CONTENT_LENGTH, length);
    let body = if head {
        Body::empty()
    } else {
        file.seek(SeekFrom::Start(start)).await?;
        Body::from_stream(ReaderStream::with_capacity(file.take(length), BUFFER))
    };
    response.body(body).map_err(io::Error::other)
}

fn http_date(metadata: &Metadata) -> Option<String> {
    let time = Timestamp::try_from(metadata.modified().ok()?).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz" | "tgz") => "application/gzip",
        Some("yaml" | "yml") => "application/yaml",
        _ => "application/octet-stream",
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part(u64, u64),
    Unsatisfiable,
}

/// Reads a `Range`. Several ranges, or a malformed one, are answered with the whole.
fn parse_range(text: &str, size: u64) -> Range {
    let parse = || {
        let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number =
            |text: &str| if text.is_empty() { Some(None) } else { text.parse::<u64>().ok().map(Some) };
        Some(match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(count)) => (size - count.min(size), size),
            (Some(first), None) => (first, size),
            (Some(first), Some(last)) if last >= first => (first, size.min(last.saturating_add(1))),
            (Some(_), Some(_)) => return None,
        })
    };
    match parse() {
        None => Range::Whole,
        Some((start, end)) if start >= end => Range::Unsatisfiable,
        Some((start, end)) => Range::Part(start, end - start),
    }
}

async fn listing(directory: &Path) -> io::Result<Response> {
    let mut names = Vec::new();
    let mut entries = tokio::fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        if name.as_bytes().starts_with(b".") || names.len() >= MAX_LISTING {
            continue;
        }
        let slash = if entry.file_type().await?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", name.to_string_lossy()));
    }
    names.sort();
    let mut page =
        String::from("<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n");
    for name in names {
        let shown = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
        // A name with a colon would be read as a scheme.
        let _ = writeln!(page, "<a href=\"./{}\">{shown}</a>", shown.replace('%', "%25"));
    }
    page.push_str("</pre>\n");
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use axum::body::to_bytes;
    use sluice_artifact::Algorithm;
    use sluice_artifact::storage::{Integrity, Location, Retention};
    use tower::ServiceExt as _;

    use super::*;

    fn open(root: &Path) -> Arc<Storage> {
        let retention = Retention { ttl: Duration::from_mins(1), records: 2 };
        Arc::new(Storage::open(root, "localhost", Algorithm::Sha256, retention).unwrap())
    }

    async fn get(root: &Path, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        get_from(open(root), path, headers).await
    }

    async fn get_from(
        storage: Arc<Storage>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = routes(storage).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn storage() -> (tempfile::TempDir, PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().canonicalize().unwrap().join("root");
        let directory = root.join("ocirepository/ns/name");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        std::fs::write(directory.join("sha256:00.tar.gz"), "0123456789").unwrap();
        std::fs::write(directory.join(".sha256:01.tar.gz.x.tmp"), "half").unwrap();
        std::os::unix::fs::symlink(directory.join("sha256:00.tar.gz"), directory.join("latest.tar.gz"))
            .unwrap();
        std::os::unix::fs::symlink(outer.path().join("secret"), directory.join("escape")).unwrap();
        (outer, root)
    }

    #[tokio::test]
    async fn files_are_served_with_size_and_date() {
        let (_outer, root) = storage();
        for path in ["sha256:00.tar.gz", "sha256%3A00.tar.gz", "latest.tar.gz"] {
            let (status, headers, body) = get(&root, &format!("/ocirepository/ns/name/{path}"), &[]).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "0123456789"), "{path}");
            assert_eq!(
                (&headers[CONTENT_LENGTH], &headers[CONTENT_TYPE]),
                (&"10".parse().unwrap(), &"application/gzip".parse().unwrap())
            );
            let modified = headers[LAST_MODIFIED].to_str().unwrap();
            assert!(modified.ends_with(" GMT") && modified.len() == 29, "{modified}");
            let (status, _, body) =
                get(&root, &format!("/ocirepository/ns/name/{path}"), &[("if-modified-since", modified)])
                    .await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        }
    }

    #[tokio::test]
    async fn ranges_are_served() {
        let (_outer, root) = storage();
        for (range, status, body) in [
            ("bytes=2-4", 206, "234"),
            ("bytes=7-", 206, "789"),
            ("bytes=-3", 206, "789"),
            ("bytes=0-99", 206, "0123456789"),
            ("bytes=10-", 416, ""),
            ("bytes=-0", 416, ""),
            ("bytes=4-2", 200, "0123456789"),
            ("bytes=0-1,3-4", 200, "0123456789"),
            ("lines=1-2", 200, "0123456789"),
        ] {
            let answer = get(&root, "/ocirepository/ns/name/latest.tar.gz", &[("range", range)]).await;
            assert_eq!((answer.0.as_u16(), answer.2.as_str()), (status, body), "{range}");
        }
    }

    #[tokio::test]
    async fn directories_are_listed_and_nothing_else_is_shown() {
        let (_outer, root) = storage();
        let (status, _, body) = get(&root, "/ocirepository/ns/name/", &[]).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("<a href=\"./sha256:00.tar.gz\">") && !body.contains(".tmp"), "{body}");
        assert_eq!(get(&root, "/", &[]).await.0, StatusCode::OK);
        let (status, headers, _) = get(&root, "/ocirepository/ns", &[]).await;
        assert_eq!((status, &headers[LOCATION]), (StatusCode::MOVED_PERMANENTLY, &"ns/".parse().unwrap()));
        for path in [
            "/nope",
            "/ocirepository/ns/name/escape",
            "/ocirepository/ns/name/.sha256:01.tar.gz.x.tmp",
            "/%2e%2e/secret",
            "/ocirepository/../../secret",
            "/%zz",
            "/a%00b",
            "/ocirepository/ns/name/latest.tar.gz/x",
        ] {
            assert_eq!(get(&root, path, &[]).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_damaged_on_disk_is_not_served() {
        let (_outer, root) = storage();
        let storage = open(&root);
        let location = Location::new("GitRepository", "ns", "name", "a.tar.gz").unwrap();
        let write = |content: &'static [u8]| {
            storage.publish(&location, |sink| sink.write_all(content)).unwrap().digest
        };
        let first = write(b"good");
        let path = format!("/{}", location.relative());
        let ask = || get_from(storage.clone(), &path, &[]);
        assert_eq!(ask().await.2, "good");
        std::fs::write(storage.path(&location), "evil").unwrap();
        assert_eq!(ask().await.0, StatusCode::NOT_FOUND);
        assert!(matches!(storage.verify(&location, &first).unwrap(), Integrity::Corrupt(_)));
        assert_eq!(ask().await.0, StatusCode::NOT_FOUND, "still not, when that has been noticed");
        write(b"next");
        assert_eq!(ask().await.2, "next");
        // A process that is new knows it as well, where the file system keeps attributes.
        let storage = open(&root);
        assert_eq!(get_from(storage.clone(), &path, &[]).await.2, "next");
        std::fs::write(storage.path(&location), "evil").unwrap();
        assert_eq!(get_from(storage, &path, &[]).await.0, StatusCode::NOT_FOUND);
        let storage = open(&root);
        assert!(matches!(storage.verify(&location, &first).unwrap(), Integrity::Corrupt(_)));
        assert_eq!(get_from(storage, &path, &[]).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn only_reading_is_allowed() {
        let (_outer, root) = storage();
        let request =
            |method: &str| Request::builder().method(method).uri("/ocirepository/ns/name/latest.tar.gz");
        let response =
            routes(open(&root)).oneshot(request("PUT").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let response =
            routes(open(&root)).oneshot(request("HEAD").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_LENGTH]),
            (StatusCode::OK, &"10".parse().unwrap())
        );
    }
}
