//! Fetching from a real socket.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sluice_artifact::fetch::{FetchError, Fetcher, Options};
use sluice_artifact::{Algorithm, Archive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Serves one canned answer after the other, the last one for ever; `None` hangs.
async fn serve(answers: Vec<Option<Vec<u8>>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/artifact.tar.gz", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let turn = counted.fetch_add(1, Ordering::SeqCst);
            match answers[turn.min(answers.len() - 1)].clone() {
                Some(answer) => {
                    let _ = socket.write_all(&answer).await;
                }
                None => {
                    tokio::spawn(async move {
                        let _ = socket.read(&mut request).await;
                    });
                }
            }
        }
    });
    (url, count)
}

fn ok(body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    Some([head.as_bytes(), body].concat())
}

fn status(line: &str) -> Option<Vec<u8>> {
    Some(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes())
}

fn archive() -> Vec<u8> {
    let mut archive = Archive::new(Vec::new());
    archive.directory(b".").unwrap();
    archive.file(b"dir/a.yaml", false, 5, &b"hello"[..]).unwrap();
    archive.finish().unwrap()
}

fn fetcher(retries: u32) -> Fetcher {
    let mut options = Options::default();
    options.retries = retries;
    options.min_wait = Duration::from_millis(1);
    options.read_timeout = Duration::from_millis(300);
    Fetcher::new(options).unwrap()
}

#[tokio::test]
async fn a_verified_artifact_is_unpacked() {
    let bytes = archive();
    let (url, _) = serve(vec![ok(&bytes)]).await;
    let target = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha1, Algorithm::Blake3, Algorithm::Sha512] {
        let digest = algorithm.digest(&bytes).to_string();
        let size = fetcher(0).fetch(&url, &digest, target.path()).await.unwrap();
        assert_eq!(size, bytes.len() as u64);
        assert_eq!(std::fs::read_to_string(target.path().join("dir/a.yaml")).unwrap(), "hello");
    }
    let mut file = fetcher(0).fetch_file(&url, Algorithm::Sha256.digest(&bytes).hex()).await.unwrap();
    let mut copy = Vec::new();
    file.read_to_end(&mut copy).unwrap();
    assert_eq!(copy, bytes);
}

#[tokio::test]
async fn other_bytes_than_promised_are_not_unpacked() {
    let (url, count) = serve(vec![ok(&archive())]).await;
    let target = tempfile::tempdir().unwrap();
    let digest = Algorithm::Sha256.digest(b"something else").to_string();
    let error = fetcher(3).fetch(&url, &digest, target.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::DigestMismatch { .. }), "{error}");
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(matches!(fetcher(0).fetch(&url, "md5:1", target.path()).await, Err(FetchError::Digest(_))));
}

#[tokio::test]
async fn an_absent_artifact_is_told_at_once() {
    let (url, count) = serve(vec![status("404 Not Found")]).await;
    let target = tempfile::tempdir().unwrap();
    let digest = Algorithm::Sha256.digest(b"").to_string();
    let error = fetcher(5).fetch(&url, &digest, target.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::NotFound(_)));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn errors_that_may_pass_are_tried_again() {
    let bytes = archive();
    let half = ok(&bytes).map(|answer| answer[..answer.len() - 10].to_vec());
    let answers = vec![status("503 Service Unavailable"), half, Some(Vec::new()), None, ok(&bytes)];
    let (url, count) = serve(answers).await;
    let target = tempfile::tempdir().unwrap();
    let digest = Algorithm::Sha256.digest(&bytes).to_string();
    fetcher(4).fetch(&url, &digest, target.path()).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_server_that_is_away_is_not_waited_for() {
    let (url, count) = serve(vec![status("503 Service Unavailable"), ok(&archive())]).await;
    let digest = Algorithm::Sha256.digest(&archive()).to_string();
    let target = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.patience = Duration::ZERO;
    let fetcher = Fetcher::new(options).unwrap();
    assert_eq!(fetcher.silent_for(&url), Duration::ZERO);
    let error = fetcher.fetch(&url, &digest, target.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 503, .. }) && error.is_transient());
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(fetcher.silent_for(&url) > Duration::ZERO);
    fetcher.fetch(&url, &digest, target.path()).await.unwrap();
    assert_eq!(fetcher.silent_for(&url), Duration::ZERO);
}

#[tokio::test]
async fn a_fetch_that_is_dropped_ends() {
    let (url, _) = serve(vec![None]).await;
    let target = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let (fetcher, digest) = (fetcher(9), Algorithm::Sha256.digest(b"").to_string());
    let fetch = fetcher.fetch(&url, &digest, target.path());
    assert!(tokio::time::timeout(Duration::from_millis(50), fetch).await.is_err());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_host_can_be_replaced_and_the_size_limited() {
    let bytes = archive();
    let (url, _) = serve(vec![ok(&bytes)]).await;
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut options = Options::default();
    options.host = Some(host);
    let target = tempfile::tempdir().unwrap();
    let digest = Algorithm::Sha256.digest(&bytes).to_string();
    let elsewhere = "http://source-controller.flux-system.svc.cluster.local./artifact.tar.gz";
    Fetcher::new(options.clone()).unwrap().fetch(elsewhere, &digest, target.path()).await.unwrap();
    options.max_bytes = Some(10);
    let error = Fetcher::new(options).unwrap().fetch(elsewhere, &digest, target.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit: 10, .. }));
    let error = fetcher(0).fetch("file:///etc/passwd", &digest, target.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::Url { .. }));
}
