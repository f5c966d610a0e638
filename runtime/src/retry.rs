//! Requests to the API server that wait and try again: when it says so, and when the way to it breaks.
//!
//! What fails all the same is noted for the reconcile that asked, which then comes back soon, whatever it made of the
//! error: an API server that was away must not cost an object a whole interval.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use kube::{Client, Config};

use crate::term::TERM;

/// How often a request is sent at most when the server says when to come again.
const TRIES_ON_DEMAND: u32 = 10;
/// How often it is sent at most when nothing says when.
const TRIES: u32 = 6;
/// The longest wait that a server may demand.
const LONGEST_DEMAND: Duration = Duration::from_secs(30);
/// The first pause when nothing says how long; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

tokio::task_local! {
    /// Whether a request of this task has failed for reasons that have nothing to do with it.
    static FAILED: Arc<AtomicBool>;
}

/// Does some work, and tells whether the API server failed meanwhile: it could not be reached, or had no answer.
pub async fn observed<T>(work: impl Future<Output = T>) -> (T, bool) {
    let failed = Arc::new(AtomicBool::new(false));
    let done = FAILED.scope(failed.clone(), work).await;
    (done, failed.load(Ordering::Relaxed))
}

/// Notes that the server failed the work that is under way.
pub(crate) fn note_failure() {
    // Work that nobody observes has a loop of its own.
    let _ = FAILED.try_with(|failed| failed.store(true, Ordering::Relaxed));
}

/// A client for a cluster whose requests wait and try again.
pub(crate) fn client(mut config: Config) -> kube::Result<Client> {
    // Its own policy tries for many minutes and never after a broken connection.
    config.default_retry = false;
    Client::try_from(config).map(patient)
}

/// A client on the connections of another one whose requests wait and try again.
fn patient(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move { send(&client, request).await }
    });
    Client::new(service, namespace)
}

async fn send(client: &Client, mut request: Request<Body>) -> kube::Result<Response<Body>> {
    let kind = Kind::of(&request);
    let mut pause = FIRST_PAUSE;
    let mut tries = 0;
    loop {
        tries += 1;
        // Each time anew: a pause may have been longer than it was to be.
        if let Err(over) = TERM.check(&request) {
            note_failure();
            return Err(kube::Error::Service(over.into()));
        }
        let copy = copy(&request);
        let outcome = complete(kind, client.send(request).await).await;
        let Some(trouble) = trouble(kind, &outcome) else { return outcome };
        let (delay, most) = match trouble {
            Trouble::Demand(delay) => (delay.min(LONGEST_DEMAND), TRIES_ON_DEMAND),
            Trouble::Passing => (pause, TRIES),
            Trouble::Lasting => (pause, 0),
        };
        match copy {
            Some(copy) if tries < most => request = copy,
            _ => {
                note_failure();
                return outcome;
            }
        }
        tokio::time::sleep(delay).await;
        pause *= 2;
    }
}

/// How the messages of API servers begin that answer 500 although it is the object that is wrong, such as text where a
/// number belongs.
const BLAMES: [&str; 2] = ["failed to create typed patch object", "failed to convert new object"];

/// Marks such an answer.
#[derive(Clone, Copy)]
struct OfTheContent;

fn blames_the_content(content: &[u8]) -> bool {
    let status: Result<kube::core::Status, _> = serde_json::from_slice(content);
    status.is_ok_and(|status| BLAMES.iter().any(|begin| status.message.starts_with(begin)))
}

/// An answer with all of its content, unless it is a stream: connections break in the middle as well.
async fn complete(kind: Kind, outcome: kube::Result<Response<Body>>) -> kube::Result<Response<Body>> {
    let answer = outcome?;
    if kind == Kind::Watch {
        return Ok(answer);
    }
    let (mut parts, body) = answer.into_parts();
    let content = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await;
    let content = content.map_err(|error| kube::Error::Service(error.into_inner()))?;
    if kind == Kind::Apply && parts.status.is_server_error() && blames_the_content(&content) {
        parts.extensions.insert(OfTheContent);
    }
    Ok(Response::from_parts(parts, Body::from(content)))
}

/// What a request is, as far as it decides whether to send it twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Whoever watches has pauses of his own.
    Watch,
    /// A second one changes nothing more.
    Repeatable,
    /// A server-side apply, which is repeatable, and whose conflicts pass, since ours are forced.
    Apply,
    /// Others.
    Single,
}

/// Marks a request, as an extension of it, that changes nothing more when it is sent twice, although its method does not
/// tell: whoever makes it knows what an answer to the second one means.
#[derive(Clone, Copy, Debug)]
pub struct Repeatable;

impl Kind {
    fn of(request: &Request<Body>) -> Self {
        if request.extensions().get::<Repeatable>().is_some() {
            return Self::Repeatable;
        }
        let query = request.uri().query().unwrap_or_default();
        let content = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match *request.method() {
            Method::GET if query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")) => {
                Self::Watch
            }
            Method::GET | Method::HEAD => Self::Repeatable,
            Method::PATCH => match content.unwrap_or_default() {
                kind if kind.starts_with("application/apply-patch") => Self::Apply,
                kind if kind.starts_with("application/merge-patch") => Self::Repeatable,
                // Operations of a JSON patch may add up.
                _ => Self::Single,
            },
            _ => Self::Single,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    /// The server asks to come again after this time.
    Demand(Duration),
    /// It may pass within moments.
    Passing,
    /// It is not worth waiting for here.
    Lasting,
}

/// What went wrong that has nothing to do with the content of the request.
fn trouble(kind: Kind, outcome: &kube::Result<Response<Body>>) -> Option<Trouble> {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(_) if matches!(kind, Kind::Repeatable | Kind::Apply) => return Some(Trouble::Passing),
        Err(_) => return Some(Trouble::Lasting),
    };
    if answer.extensions().get::<OfTheContent>().is_some() {
        return None;
    }
    let status = answer.status();
    let passing = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::CONFLICT => return (kind == Kind::Apply).then_some(Trouble::Passing),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            matches!(kind, Kind::Repeatable | Kind::Apply)
        }
        status if status.is_server_error() => false,
        _ => return None,
    };
    if kind == Kind::Watch {
        return Some(Trouble::Lasting);
    }
    let header = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    match header.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => Some(Trouble::Demand(Duration::from_secs(seconds))),
        None if passing => Some(Trouble::Passing),
        None => Some(Trouble::Lasting),
    }
}

/// The same request once more, if its content is at hand.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let body = request.body().try_clone()?;
    let mut copy = Request::new(body);
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    *copy.version_mut() = request.version();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    type Answer = Result<(u16, Option<u32>), ()>;

    /// A client whose server gives these answers, and 200 after them; and how many requests came.
    fn server(answers: &[Answer]) -> (Client, Arc<Mutex<Vec<tokio::time::Instant>>>) {
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let times = seen.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            times.lock().unwrap().push(tokio::time::Instant::now());
            let answer = answers.lock().unwrap().pop_front().unwrap_or(Ok((200, None)));
            async move {
                let (status, after) =
                    answer.map_err(|()| std::io::Error::other("the connection is refused"))?;
                let mut response = Response::builder().status(status);
                if let Some(seconds) = after {
                    response = response.header(RETRY_AFTER, seconds);
                }
                Ok::<_, std::io::Error>(response.body(Body::empty()).unwrap())
            }
        });
        (patient(Client::new(service, "default")), seen)
    }

    fn request(method: &str, uri: &str, content: &str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(uri)
            .header(CONTENT_TYPE, content)
            .body(Body::from(b"{}".to_vec()))
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_demands_is_heeded_for_any_request() {
        for method in ["GET", "POST", "DELETE", "PATCH", "PUT"] {
            let (client, seen) = server(&[Ok((429, Some(3))), Ok((503, Some(2)))]);
            let (answer, failed) = observed(client.send(request(method, "/x", "application/json"))).await;
            assert_eq!((answer.unwrap().status().as_u16(), failed), (200, false), "{method}");
            let seen = seen.lock().unwrap();
            assert_eq!((seen[1] - seen[0]).as_secs(), 3);
            assert_eq!((seen[2] - seen[1]).as_secs(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn broken_connections_are_tried_again_where_nothing_can_happen_twice() {
        for (method, uri, content, tries) in [
            ("GET", "/x", "", 3),
            ("GET", "/x?watch=true", "", 1),
            ("PATCH", "/x", "application/apply-patch+yaml", 3),
            ("PATCH", "/x", "application/merge-patch+json", 3),
            ("PATCH", "/x", "application/json-patch+json", 1),
            ("POST", "/x", "", 1),
            ("DELETE", "/x", "", 1),
        ] {
            let (client, seen) = server(&[Err(()), Ok((503, None))]);
            let (answer, failed) = observed(client.send(request(method, uri, content))).await;
            assert_eq!(seen.lock().unwrap().len(), tries, "{method} {content}");
            assert_eq!((answer.is_ok(), failed), (tries > 1, tries == 1), "{method} {content}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_marked_as_repeatable_is_repeated() {
        let (client, seen) = server(&[Err(()), Ok((503, None))]);
        let mut marked = request("POST", "/x", "");
        marked.extensions_mut().insert(Repeatable);
        let (answer, failed) = observed(client.send(marked)).await;
        assert_eq!((answer.is_ok(), failed, seen.lock().unwrap().len()), (true, false, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn in_the_end_the_error_is_told_and_noted() {
        let (client, seen) = server(&[Err(()); 20]);
        let (answer, failed) = observed(client.send(request("GET", "/x", ""))).await;
        assert!(answer.is_err() && failed);
        assert_eq!(seen.lock().unwrap().len(), TRIES as usize);
        let (client, _) = server(&[Ok((429, Some(1))); 20]);
        let (answer, failed) = observed(client.send(request("POST", "/x", ""))).await;
        assert_eq!((answer.unwrap().status().as_u16(), failed), (429, true));
        // Such as a webhook that is away.
        let (client, seen) = server(&[Ok((500, None))]);
        let (answer, failed) = observed(client.send(request("GET", "/x", ""))).await;
        assert_eq!((answer.unwrap().status().as_u16(), failed, seen.lock().unwrap().len()), (500, true, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_to_the_content_are_nobodys_failure() {
        for (status, content) in [(404, ""), (403, ""), (422, ""), (409, "application/merge-patch+json")] {
            let (client, seen) = server(&[Ok((status, None))]);
            let (answer, failed) = observed(client.send(request("PATCH", "/x", content))).await;
            assert_eq!((answer.unwrap().status().as_u16(), failed), (status, false));
            assert_eq!(seen.lock().unwrap().len(), 1);
        }
        let (client, seen) = server(&[Ok((409, None)); 2]);
        let (answer, _) = observed(client.send(request("PATCH", "/x", "application/apply-patch+yaml"))).await;
        assert_eq!((answer.unwrap().status().as_u16(), seen.lock().unwrap().len()), (200, 3));
    }

    #[tokio::test]
    async fn an_object_that_does_not_fit_its_kind_is_nobodys_failure_although_the_server_says_so() {
        let of_the_content =
            "failed to create typed patch object (a/b; v1, Kind=ConfigMap): .data.a: expected string";
        for (message, content, nobodys) in [
            (of_the_content, "application/apply-patch+yaml", true),
            (of_the_content, "application/merge-patch+json", false),
            ("failed calling webhook", "application/apply-patch+yaml", false),
        ] {
            let service = tower::service_fn(move |_: Request<Body>| {
                let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "message": message});
                let answer =
                    Response::builder().status(500).body(Body::from(status.to_string().into_bytes()));
                std::future::ready(Ok::<_, std::io::Error>(answer.unwrap()))
            });
            let client = patient(Client::new(service, "default"));
            let (answer, failed) = observed(client.send(request("PATCH", "/x", content))).await;
            assert_eq!((answer.unwrap().status().as_u16(), failed), (500, !nobodys), "{message} {content}");
        }
    }
}
