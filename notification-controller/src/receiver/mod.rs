//! Receivers: the path that each listens on, and what a webhook on it sets off.

mod authentication;
mod cdevents;
mod filter;
#[cfg(test)]
mod fuzz;
mod oidc;
mod reconcile;
mod server;
mod trigger;

pub(crate) use oidc::Issuers;
pub(crate) use reconcile::ReceiverReconciler;
pub(crate) use server::{Compiled, Webhooks, routes};

use sha2::{Digest, Sha256};

/// `/hook/` and the SHA-256 of token, name and namespace. A token that is not known makes the path a secret.
pub(crate) fn path(token: &[u8], name: &str, namespace: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(token);
    digest.update(name);
    digest.update(namespace);
    format!("/hook/{}", crate::hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_path_is_a_digest_of_token_name_and_namespace() {
        // printf tokenwebappapps | sha256sum
        let expected = "/hook/af99445d20168c0001539d230d5b76b5b87895c0260c1f593e3c740903c31f08";
        assert_eq!(super::path(b"token", "webapp", "apps"), expected);
        assert_eq!(super::path(b"token", "webapp", "apps"), super::path(b"tokenweb", "app", "apps"));
        assert_ne!(super::path(b"token", "webapp", "apps"), super::path(b"token", "webapp", "prod"));
    }
}
