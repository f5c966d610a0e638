//! Logins at Azure from the entries of a Secret.

use sluice_bucket::{AzureCredentials, AzureLogin};
use sluice_cloud::AzureIdentity;

use super::failure;
use crate::source::Failure;
use sluice_access::SecretData;

/// The login that a Secret holds. Without one, that of the surroundings.
pub(super) fn login(secret: Option<&SecretData>, endpoint: &str) -> Result<AzureLogin, Failure> {
    let Some(secret) = secret else { return Ok(AzureLogin::As(AzureIdentity::Ambient)) };
    let text = |key| {
        let text = secret.text(key).map_err(|error| failure::secret(&error))?;
        Ok::<_, Failure>(text.filter(|text| !text.is_empty()))
    };
    let authority = text("authorityHost")?.unwrap_or_default();
    let client = text("clientId")?;
    if let (Some(tenant), Some(client)) = (text("tenantId")?, client.clone()) {
        if let Some(application_secret) = text("clientSecret")? {
            let secret = application_secret;
            return Ok(AzureLogin::As(AzureIdentity::Secret { authority, tenant, client, secret }));
        }
        if let Some(pem) = text("clientCertificate")? {
            if text("clientCertificatePassword")?.is_some() {
                let problem = "a certificate with a password is not supported yet by Sluice";
                return Err(failure::data(&secret.name, problem));
            }
            let send_chain = text("clientCertificateSendChain")?;
            let send_chain = matches!(send_chain.as_deref(), Some("1" | "true"));
            let identity = AzureIdentity::Certificate { authority, tenant, client, pem, send_chain };
            return Ok(AzureLogin::As(identity));
        }
    }
    if client.is_some() {
        return Ok(AzureLogin::As(AzureIdentity::Managed(client)));
    }
    if let Some(key) = text("accountKey")? {
        let account = account(endpoint);
        let problem = "the endpoint does not name the account that 'accountKey' is for";
        let account = account.ok_or_else(|| failure::data(&secret.name, problem))?;
        return Ok(AzureLogin::Given(AzureCredentials::Key { account, key }));
    }
    if let Some(signature) = text("sasKey")? {
        return Ok(AzureLogin::Given(AzureCredentials::Signature(signature)));
    }
    let problem = "requires a 'clientId', an 'accountKey' or a 'sasKey', alone or with what belongs to it";
    Err(failure::data(&secret.name, problem))
}

/// The first label of the host, if it has at least three.
fn account(endpoint: &str) -> Option<String> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    (labels.len() >= 3 && host.parse::<std::net::IpAddr>().is_err()).then(|| labels[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_secret_is_told_apart() {
        let endpoint = "https://account.blob.core.windows.net";
        let of = |entries: &[(&str, &str)]| login(Some(&SecretData::example("Opaque", entries)), endpoint);
        let application = [("tenantId", "t"), ("clientId", "c"), ("clientSecret", "s")];
        assert!(matches!(of(&application), Ok(AzureLogin::As(AzureIdentity::Secret { .. }))));
        let certificate = [("tenantId", "t"), ("clientId", "c"), ("clientCertificate", "p")];
        assert!(matches!(
            of(&certificate),
            Ok(AzureLogin::As(AzureIdentity::Certificate { send_chain: false, .. }))
        ));
        assert!(matches!(of(&[("clientId", "c")]), Ok(AzureLogin::As(AzureIdentity::Managed(Some(_))))));
        let Ok(AzureLogin::Given(AzureCredentials::Key { account, .. })) = of(&[("accountKey", "k")]) else {
            panic!("no key")
        };
        assert_eq!(account, "account");
        assert!(matches!(of(&[("sasKey", "?sig=x")]), Ok(AzureLogin::Given(AzureCredentials::Signature(_)))));
        let message = of(&[("password", "s3cret")]).err().map(|failure| failure.message).unwrap_or_default();
        assert!(message.starts_with("invalid 'ns/auth' secret data: requires a 'clientId'"), "{message}");
        assert!(!message.contains("s3cret"));
        let none = login(
            Some(&SecretData::example("Opaque", &[("accountKey", "k")])),
            "http://127.0.0.1:10000/account",
        );
        assert!(none.is_err() && matches!(login(None, endpoint), Ok(AzureLogin::As(AzureIdentity::Ambient))));
    }
}
