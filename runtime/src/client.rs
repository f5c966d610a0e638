//! Clients for API servers that cannot be led astray by the names that users write into references.
//!
//! Names become parts of request paths. kube does not look at them, so that a reference to `../../other/secrets/x` would
//! be a request for something else, made with the rights of the controller. Each client made here refuses such requests.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Uri};
use kube::client::Body;
use kube::{Client, Config};
use percent_encoding::percent_decode_str;
use tower::{BoxError, Service};

use crate::retry;

/// What may follow the name of an object.
const SUBRESOURCES: [&str; 13] = [
    "approval",
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "finalize",
    "log",
    "portforward",
    "resize",
    "scale",
    "status",
    "token",
];

/// A client for what `config` says. Its requests wait and try again where that helps.
///
/// # Errors
///
/// Certificates or keys of `config` that cannot be used.
pub fn connect(config: Config) -> kube::Result<Client> {
    retry::client(config).map(guarded)
}

/// A client on the connections of another one.
fn guarded(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move { client.send(request).await }
    });
    Client::new(Guard(service), namespace)
}

/// Refuses requests that lead elsewhere, and passes on the others.
#[derive(Clone)]
struct Guard<S>(S);

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl<S, B> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Answer<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Err(refusal) = check(request.uri()) {
            return Box::pin(async move { Err(refusal.into()) });
        }
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}

/// Refuses a path that a name has changed.
fn check(uri: &Uri) -> Result<(), String> {
    let mut segments = Vec::new();
    for segment in uri.path().split('/').skip(1) {
        let plain: Cow<'_, str> = percent_decode_str(segment).decode_utf8_lossy();
        if plain.is_empty()
            || plain == "."
            || plain == ".."
            || plain.contains(['/', '\\'])
            || plain.contains(char::is_control)
        {
            return Err(format!(
                "{plain:?} is not a valid name: the request for {:?} was not made",
                uri.path()
            ));
        }
        segments.push(plain);
    }
    // kube encodes parameters as forms are, so anything else came from a name. (A parameter that a name adds to a request
    // without any can only change how that one object is shown.)
    let encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._+%&=".contains(&byte);
    if !uri.query().unwrap_or_default().bytes().all(encoded) {
        return Err(format!(
            "a name with a question mark in it is not valid: the request for {:?} was not made",
            uri.path()
        ));
    }
    let words: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let below = match words.as_slice() {
        ["api", _, below @ ..] | ["apis", _, _, below @ ..] => below,
        _ => return Ok(()),
    };
    let object = match below {
        ["namespaces", _, object @ ..] if !object.is_empty() => object,
        object => object,
    };
    let known = match object {
        [] | [_] | [_, _] => true,
        [_, _, subresource] => SUBRESOURCES.contains(subresource),
        _ => false,
    };
    if known {
        return Ok(());
    }
    Err(format!("a name with a slash in it is not valid: the request for {:?} was not made", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{Api, GetParams, ListParams, LogParams, PatchParams};
    use kube::core::Request as KubeRequest;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn get(namespace: &str, name: &str) -> Result<(), String> {
        let path = <Secret as kube::Resource>::url_path(&(), Some(namespace));
        let request = KubeRequest::new(path).get(name, &GetParams::default()).unwrap();
        check(request.uri())
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in
            ["..", "../../other/secrets/x", "%2e%2E", "a/b", "a%2Fb", "?limit=1", "a\\b", "a/../b", "%0a"]
        {
            assert!(get("own", name).is_err(), "{name}");
        }
        for namespace in ["..", "other/secrets/x?", "a/b", ".", "%2e"] {
            assert!(get(namespace, "x").is_err(), "{namespace}");
        }
        let error = get("own", "../../other/secrets/x").unwrap_err();
        assert!(error.starts_with("\"..\" is not a valid name"), "{error}");
    }

    #[test]
    fn what_kube_asks_for_is_let_through() {
        for name in ["a", "a.b-c", "system:node:x", "a%3Ab", "status"] {
            assert_eq!(get("own", name), Ok(()), "{name}");
        }
        let paths = [
            "/version",
            "/openapi/v3/apis/apps/v1?hash=ABC",
            "/api",
            "/apis/apps/v1",
            "/api/v1/namespaces",
            "/api/v1/namespaces/own",
            "/api/v1/namespaces/own/status",
            "/api/v1/namespaces/own/finalize",
            "/api/v1/namespaces/own/pods/a/log?container=b",
            "/api/v1/namespaces/own/serviceaccounts/a/token",
            "/apis/apps/v1/namespaces/own/deployments?labelSelector=a%3Db&limit=500&continue=abc%3F",
            "/apis/apps/v1/namespaces/own/deployments/a/scale",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/a",
            "/apis/example.com/v1/things/a/status",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/a",
        ];
        for path in paths {
            assert_eq!(check(&path.parse().unwrap()), Ok(()), "{path}");
        }
        let path = <Secret as kube::Resource>::url_path(&(), Some("own"));
        let list = ListParams::default().labels("a in (b,c),d!=e").fields("metadata.name=x?y");
        assert_eq!(check(KubeRequest::new(&path).list(&list).unwrap().uri()), Ok(()));
        let patch = PatchParams::apply("me?").force();
        let request = KubeRequest::new(&path).patch("a", &patch, &kube::api::Patch::Apply(())).unwrap();
        assert_eq!(check(request.uri()), Ok(()));
        let logs = KubeRequest::new("/api/v1/namespaces/own/pods").logs("a", &LogParams::default()).unwrap();
        assert_eq!(check(logs.uri()), Ok(()));
    }

    #[tokio::test]
    async fn a_client_makes_no_such_request() {
        let made = Arc::new(AtomicBool::new(false));
        let seen = made.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            seen.store(true, Ordering::Relaxed);
            std::future::ready(Ok::<_, BoxError>(http::Response::new(Body::from(b"{}".to_vec()))))
        });
        let secrets = Api::<Secret>::namespaced(guarded(Client::new(service, "default")), "own");
        let error = crate::errors::describe(&secrets.get("../../other/secrets/x").await.unwrap_err());
        assert!(error.contains("is not a valid name"), "{error}");
        assert!(!made.load(Ordering::Relaxed), "a request was made");
        secrets.get("x").await.unwrap();
        assert!(made.load(Ordering::Relaxed));
    }
}
