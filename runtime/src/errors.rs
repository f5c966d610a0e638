//! Errors of the Kubernetes client as text for people.

use kube::config::KubeconfigError;
use kube::runtime::watcher;
pub use sluice_http::chain;

/// The text of an API error: the server's own message, or the chain of causes of a failed request.
///
/// The `Display` of [`kube::Error`] ends in a debug dump of the answer.
pub fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) if !status.reason.is_empty() => status.reason.clone(),
        kube::Error::Api(status) => format!("the API server answered with status {}", status.code),
        kube::Error::Service(cause) => chain(&**cause),
        other => chain(other),
    }
}

/// The text of an error of a watch.
pub fn describe_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(cause) => format!("could not list: {}", describe(cause)),
        watcher::Error::WatchStartFailed(cause) => format!("could not start the watch: {}", describe(cause)),
        watcher::Error::WatchFailed(cause) => format!("the watch ended: {}", describe(cause)),
        watcher::Error::WatchError(status) => format!("the API server ended the watch: {}", status.message),
        other @ watcher::Error::NoResourceVersion => other.to_string(),
    }
}

/// What is wrong with a kubeconfig. Of one that cannot be read it tells no more than where: the text around may be a token.
pub fn describe_kubeconfig(error: &KubeconfigError) -> String {
    let KubeconfigError::Parse(error) = error else { return chain(error) };
    match error.location() {
        Some(place) => {
            format!("it is no kubeconfig in YAML: line {}, column {}", place.line(), place.column())
        }
        None => "it is no kubeconfig in YAML".to_owned(),
    }
}

/// Whether the object of the request does not exist.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
