//! A Provider with what its Secrets hold, ready to be sent to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::{Client, ResourceExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sluice_api::notification::Provider;
use sluice_runtime::errors;

use super::secret::{Credentials, Data, old_proxy, proxy};
use super::{AddressPolicy, Class, Logins, Target, class, identity};

/// Reads the Provider's Secrets.
pub(crate) async fn open(
    client: &Client,
    provider: &Provider,
    policy: &AddressPolicy,
    logins: &Logins,
) -> Result<Target, String> {
    let spec = &provider.spec;
    let namespace = provider.namespace().unwrap_or_default();
    if !spec.service_account_name.is_empty() && !logins.identities.gate() {
        return Err(identity::GATE.to_owned());
    }
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let read = async |name: &str| {
        let secret = secrets.get(name).await.map_err(|error| errors::describe(&error))?;
        let data = secret.data.unwrap_or_default();
        Ok::<Data, String>(data.into_iter().map(|(key, value)| (key, value.0)).collect::<BTreeMap<_, _>>())
    };
    let invalid = |name: &str| {
        let name = name.to_owned();
        move |problem: String| format!("secret '{name}' is invalid: {problem}")
    };
    let type_ = spec.type_.as_str().to_owned();
    let mut credentials = Credentials::default();
    if let Some(reference) = &spec.secret_ref {
        let data = read(&reference.name).await?;
        credentials = Credentials::read(&data).map_err(invalid(&reference.name))?;
        let takes_certificates = class(&type_) == Class::CommitStatus && spec.cert_secret_ref.is_none();
        if takes_certificates && Credentials::has_certificates(&data) {
            credentials
                .read_certificates(&data)
                .map_err(|problem| format!("failed to get TLS config: {problem}"))?;
        }
    }
    if let Some(reference) = &spec.cert_secret_ref {
        let data = read(&reference.name).await?;
        credentials.read_certificates(&data).map_err(invalid(&reference.name))?;
    }
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => Some(proxy(&read(&reference.name).await?).map_err(invalid(&reference.name))?),
        None => {
            let old = credentials.proxy.clone().or_else(|| Some(spec.proxy.clone()));
            old.filter(|url| !url.is_empty()).map(old_proxy)
        }
    };
    let or_spec = |secret: &Option<String>, spec: &str| secret.clone().unwrap_or_else(|| spec.to_owned());
    let address = or_spec(&credentials.address, &spec.address);
    let (account, timeout) = (&spec.service_account_name, spec.timeout().to_std());
    if identity::is_meant(&type_, &address, credentials.token.as_deref(), account)? {
        if let Some(proxy) = &proxy {
            policy.check_proxy(proxy)?;
        }
        let authorities = credentials.tls.authorities.is_some();
        logins.identities.refuse_middlemen(account, proxy.is_some(), authorities)?;
        if logins.identities.is_own(account) {
            identity::refuse_strangers(&type_, &address, &spec.channel)?;
        }
        let token = identity::token(logins, &type_, &namespace, account, proxy.clone(), timeout).await?;
        credentials.access_token = Some(token);
    }
    Ok(Target {
        address,
        channel: spec.channel.clone(),
        username: or_spec(&credentials.username, &spec.username),
        timeout,
        uid: provider.uid().unwrap_or_default(),
        type_,
        credentials,
        proxy,
        policy: policy.clone(),
        #[cfg(test)]
        via: None,
    })
}

/// TLS with the Provider's certificates, for what is not HTTP.
pub(super) fn tls(credentials: &Credentials) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    match &credentials.tls.authorities {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate =
                    certificate.map_err(|error| format!("the CA certificate cannot be read: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("the CA certificate cannot be used: {error}"))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    match &credentials.tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
            let chain = chain.map_err(|error| format!("the client certificate cannot be read: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| format!("the key of the client certificate cannot be read: {error}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
        }
    }
}
