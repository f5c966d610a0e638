//! Services that take the event as it is.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::http::Request;
use super::{Error, Target, text};
use crate::event::Event;

/// `generic`: the event as JSON.
pub(crate) fn plain(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut request =
        Request::json(target.url()?, event)?.header("Gotk-Component", &event.reporting_controller)?;
    for (name, value) in &target.credentials.headers {
        request = request.header(name, value)?;
    }
    Ok(request)
}

/// `generic-hmac`: the event as JSON, with a signature over the exact bytes.
pub(crate) fn signed(target: &Target, event: &Event) -> Result<Request, Error> {
    let request = plain(target, event)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(target.token()?.as_bytes())
        .map_err(|error| Error::Config(format!("the token cannot sign: {error}")))?;
    mac.update(&request.body);
    let signature = crate::hex(&mac.finalize().into_bytes());
    request.header("X-Signature", &format!("sha256={signature}"))
}

/// `githubdispatch`: a repository dispatch with the event as payload.
pub(crate) fn github_dispatch(target: &Target, token: &str, event: &Event) -> Result<Request, Error> {
    let repository = super::commit_status::Repository::parse(&target.address)?;
    let url = repository.github_api(&format!("repos/{}/dispatches", repository.path))?;
    let body = serde_json::json!({ "event_type": text::object(event).replacen(
        &event.kind().to_lowercase(), event.kind(), 1), "client_payload": event });
    Request::json(url, &body)?.bearer(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::provider::tests::target;

    #[test]
    fn the_signature_covers_the_bytes_that_are_sent() {
        let request =
            signed(&target("generic-hmac", "https://sink.example.test/hook"), &event("info", &[])).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cr3t").unwrap();
        mac.update(&request.body);
        let expected = format!("sha256={}", crate::hex(&mac.finalize().into_bytes()));
        assert_eq!(request.headers["x-signature"], expected.as_str());
        assert_eq!(request.headers["gotk-component"], "kustomize-controller");
    }

    #[test]
    fn headers_of_the_secret_cannot_replace_the_signature() {
        let mut target = target("generic-hmac", "https://sink.example.test/");
        target.credentials.headers = [("X-Signature".to_owned(), "forged".to_owned())].into();
        let request = signed(&target, &event("info", &[])).unwrap();
        assert!(request.headers["x-signature"].to_str().unwrap().starts_with("sha256="));
    }

    #[test]
    fn a_dispatch_goes_to_the_api_of_the_repository() {
        let target = target("githubdispatch", "https://github.com/org/repo");
        let request = github_dispatch(&target, "s3cr3t", &event("info", &[])).unwrap();
        assert_eq!(request.url.as_str(), "https://api.github.com/repos/org/repo/dispatches");
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["event_type"], "Kustomization/webapp.gitops-system");
        assert_eq!(body["client_payload"]["involvedObject"]["name"], "webapp");
    }
}
