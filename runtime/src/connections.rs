//! The connections of a server: how long one may be silent, how many there may be, and who gives way when there are more.
//!
//! Everybody on the network can connect. Whoever opens connections and says nothing, or one byte a minute, must neither
//! use up memory and file descriptors nor keep others out: a silent connection ends after a while, and when there are too
//! many, the one that has been silent for longest makes room.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// A request's line and headers together have at most so many bytes.
const MAX_HEAD: usize = 64 << 10;
/// When no connection can be accepted, such as for want of file descriptors, the next try comes after this time.
const AGAIN: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many there are at most.
    pub(crate) connections: usize,
    /// How long one may take for the head of its next request. Longer than clients keep idle connections, or they would
    /// send into one that is just being closed.
    pub(crate) silence: Duration,
    /// When all are busy, one that has been at its request for this long gives way too.
    pub(crate) patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 512, silence: Duration::from_secs(100), patience: Duration::from_mins(1) }
    }
}

/// Serves until `stop`; then what is under way ends.
pub(crate) async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let (crowd, tasks) = (Arc::new(Crowd::default()), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                // Not a wait for something that would tell: file descriptors become free without a word.
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = crowd.make_room(limits) => {}
        }
        let guest = crowd.enter();
        tasks.spawn(attend(stream, routes.clone(), limits, guest, stop.clone()));
    }
    tasks.close();
    tasks.wait().await;
}

/// Serves one connection.
async fn attend(
    stream: TcpStream,
    routes: Router,
    limits: Limits,
    guest: Arc<Guest>,
    stop: CancellationToken,
) {
    let leave = guest.leave.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (routes, busy) = (routes.clone(), Busy::begin(guest.clone()));
        async move {
            let Ok(response) = routes.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(response.map(|body| Sending { body, _busy: busy }))
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.silence).max_buf_size(MAX_HEAD);
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What a client does wrong is its own affair.
        _ = &mut connection => return,
        () = leave.cancelled() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = leave.cancelled() => {}
    }
}

/// A body whose connection is busy until the last byte is handed over.
struct Sending {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All connections of a server.
#[derive(Default)]
struct Crowd {
    guests: Mutex<Guests>,
    /// Somebody left, or has nothing to do any more.
    moved: Notify,
}

#[derive(Default)]
struct Guests {
    next: u64,
    all: BTreeMap<u64, Place>,
}

/// What is known of a connection.
struct Place {
    leave: CancellationToken,
    busy: bool,
    /// Since when it is busy, or silent.
    since: Instant,
}

impl Place {
    /// Whether it can be asked to leave.
    fn may_go(&self, limits: Limits) -> bool {
        !self.busy || self.since.elapsed() >= limits.patience
    }
}

impl Crowd {
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>) -> Arc<Guest> {
        let leave = CancellationToken::new();
        let mut guests = self.guests();
        let number = guests.next;
        guests.next += 1;
        guests.all.insert(number, Place { leave: leave.clone(), busy: false, since: Instant::now() });
        Arc::new(Guest { crowd: self.clone(), number, leave })
    }

    /// Waits until there is a place for one more; somebody may have to leave for it.
    async fn make_room(&self, limits: Limits) {
        loop {
            let moved = self.moved.notified();
            {
                let mut guests = self.guests();
                if guests.all.len() < limits.connections {
                    return;
                }
                let leaves = guests.all.iter().filter(|(_, place)| place.may_go(limits));
                let leaves = leaves.min_by_key(|(_, place)| (place.busy, place.since)).map(|(at, _)| *at);
                if let Some(place) = leaves.and_then(|number| guests.all.remove(&number)) {
                    place.leave.cancel();
                    return;
                }
            }
            // All are busy: until one is done, or has been at it for too long.
            let _ = tokio::time::timeout(limits.patience, moved).await;
        }
    }

    fn mark(&self, number: u64, busy: bool) {
        if let Some(place) = self.guests().all.get_mut(&number) {
            (place.busy, place.since) = (busy, Instant::now());
        }
        if !busy {
            self.moved.notify_one();
        }
    }
}

/// A connection among the others.
struct Guest {
    crowd: Arc<Crowd>,
    number: u64,
    /// Told when it must make room.
    leave: CancellationToken,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.crowd.guests().all.remove(&self.number);
        self.crowd.moved.notify_one();
    }
}

/// A request is under way.
struct Busy(Arc<Guest>);

impl Busy {
    fn begin(guest: Arc<Guest>) -> Self {
        guest.crowd.mark(guest.number, true);
        Self(guest)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.crowd.mark(self.0.number, false);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const FEW: Limits =
        Limits { connections: 4, silence: Duration::from_mins(5), patience: Duration::from_mins(5) };

    async fn start(limits: Limits) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let routes = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/body", post(|body: Bytes| async move { body.len().to_string() }));
        (address, stop.clone(), tokio::spawn(serve(listener, routes, limits, stop)))
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Whether the other side has closed it.
    async fn ended(stream: &mut TcpStream) -> bool {
        matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn silent_connections_give_way_to_who_has_something_to_say() {
        let (address, stop, server) = start(FEW).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
            silent.push(stream);
        }
        assert!(ask(address).await.ends_with("here"));
        for stream in &mut silent[..16] {
            assert!(ended(stream).await);
        }
        stop.cancel();
        drop(silent);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn who_is_silent_for_too_long_or_never_ends_its_head_goes() {
        let (address, _stop, _server) = start(Limits { silence: Duration::from_millis(50), ..FEW }).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(ended(&mut silent).await);
        let (address, _stop, _server) = start(FEW).await;
        let mut endless = TcpStream::connect(address).await.unwrap();
        let head = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'a'; 4 * MAX_HEAD]].concat();
        // It may be closed while we are at it.
        let _ = endless.write_all(&head).await;
        let mut answer = Vec::new();
        let _ = endless.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test]
    async fn who_is_busy_is_left_alone_until_it_has_been_at_it_for_too_long() {
        let busy = async |address| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = b"POST /body HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
            stream.write_all(head).await.unwrap();
            // The handler reads the body: it is at work.
            let mut answer = [0; 25];
            stream.read_exact(&mut answer).await.unwrap();
            stream
        };
        let (address, _stop, _server) = start(FEW).await;
        let mut working = Vec::new();
        for _ in 0..4 {
            working.push(busy(address).await);
        }
        let next = tokio::spawn(ask(address));
        working[2].write_all(b"body").await.unwrap();
        assert!(next.await.unwrap().ends_with("here"), "one that is done makes room");
        for index in [0, 1, 3] {
            working[index].write_all(b"body").await.unwrap();
            let mut answer = vec![0; 15];
            working[index].read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, b"HTTP/1.1 200 OK");
        }

        let (address, _stop, _server) = start(Limits { patience: Duration::from_millis(50), ..FEW }).await;
        let mut working = Vec::new();
        for _ in 0..4 {
            working.push(busy(address).await);
        }
        assert!(ask(address).await.ends_with("here"));
        assert!(ended(&mut working[0]).await);
    }

    #[tokio::test]
    async fn what_is_under_way_ends_before_the_server_does() {
        let (address, stop, server) = start(FEW).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"POST /body HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream.read_exact(&mut [0; 25]).await.unwrap();
        stop.cancel();
        stream.write_all(b"body").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with('4'), "{answer}");
        server.await.unwrap();
    }
}
