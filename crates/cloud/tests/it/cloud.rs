//! A stand-in for services of the clouds, under their own names and with TLS: the client is told where they are and
//! whose certificates they have.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use sluice_reference::exchange;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// Gives one answer after another and keeps what it was asked.
pub(crate) struct Stand {
    pub(crate) client: reqwest::Client,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    /// In the place of `hosts`. `tls`: whether they are asked by HTTPS.
    pub(crate) async fn start(hosts: &[&str], tls: bool, answers: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut builder = reqwest::Client::builder().no_proxy().http1_only();
        for host in hosts {
            builder = builder.resolve(host, address);
        }
        let mut acceptor = None;
        if tls {
            let (ca, config) = certificates(hosts);
            builder = builder.tls_certs_only([reqwest::Certificate::from_der(&ca).unwrap()]);
            acceptor = Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)));
        } else {
            builder = builder.tls_certs_only(Vec::new());
        }
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answers) =
            (requests.clone(), answers.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        tokio::spawn(async move {
            for answer in answers {
                let (stream, _) = listener.accept().await.unwrap();
                match &acceptor {
                    Some(acceptor) => serve(acceptor.accept(stream).await.unwrap(), &answer, &seen).await,
                    None => serve(stream, &answer, &seen).await,
                }
            }
        });
        Stand { client: builder.build().unwrap(), requests }
    }

    /// Head and body of each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn certificates(hosts: &[&str]) -> (Vec<u8>, rustls::ServerConfig) {
    let ca_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(authority, ca_key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_single_cert(vec![server.der().clone()], key).unwrap();
    (ca.der().to_vec(), config)
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, seen: &Mutex<Vec<String>>) {
    let request = exchange::request(&mut stream).await.unwrap();
    seen.lock().unwrap().push(request);
    let (status, body) = answer.split_once(' ').unwrap();
    exchange::answer(stream, status, body).await.unwrap();
}
