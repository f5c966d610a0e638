//! A private CA for servers on loopback.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A CA, and what it has signed: a server on loopback and one client. All texts are PEM.
pub(crate) struct Certificates {
    pub(crate) ca: String,
    /// Certificate and key.
    pub(crate) client: (String, String),
    /// Certificate and key.
    pub(crate) server: (String, String),
    ca_der: CertificateDer<'static>,
    server_der: (CertificateDer<'static>, Vec<u8>),
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Certificates")
    }
}

impl Certificates {
    pub(crate) fn new() -> Result<Self> {
        Self::for_names(&[])
    }

    /// The server's certificate is for these names too.
    pub(crate) fn for_names(names: &[String]) -> Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca = authority.self_signed(&ca_key)?;
        let issuer = Issuer::new(authority, ca_key);

        let key = KeyPair::generate()?;
        let own = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut server = CertificateParams::new([&own, names].concat())?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&key, &issuer)?;

        let client_key = KeyPair::generate()?;
        let mut client = CertificateParams::new(vec!["client".into()])?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = client.signed_by(&client_key, &issuer)?;
        Ok(Self {
            ca: ca.pem(),
            ca_der: ca.der().clone(),
            client: (client.pem(), client_key.serialize_pem()),
            server: (server.pem(), key.serialize_pem()),
            server_der: (server.der().clone(), key.serialize_der()),
        })
    }

    /// For a server of our own.
    pub(crate) fn acceptor(&self, client_certificates: bool) -> Result<TlsAcceptor> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let config = if client_certificates {
            let mut roots = RootCertStore::empty();
            roots.add(self.ca_der.clone())?;
            config.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        } else {
            config.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(self.server_der.1.clone()).map_err(anyhow::Error::msg)?;
        Ok(TlsAcceptor::from(Arc::new(config.with_single_cert(vec![self.server_der.0.clone()], key)?)))
    }
}
