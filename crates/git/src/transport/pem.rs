//! Certificates as reqwest takes them.

use reqwest::{Certificate, Identity};

use crate::auth::Tls;
use crate::error::Error;

pub(super) fn authorities(tls: &Tls) -> Result<Vec<Certificate>, Error> {
    let Some(pem) = &tls.authorities else { return Ok(Vec::new()) };
    let unusable = || Error::Configuration("the CA holds no certificate in PEM format".to_owned());
    let certificates = Certificate::from_pem_bundle(pem).map_err(|_| unusable())?;
    if certificates.is_empty() { Err(unusable()) } else { Ok(certificates) }
}

pub(super) fn identity(tls: &Tls) -> Result<Option<Identity>, Error> {
    let Some((certificate, key)) = &tls.identity else { return Ok(None) };
    let both = [certificate.as_slice(), b"\n", key.as_slice()].concat();
    let unusable = |_| {
        Error::Configuration("the client certificate and its key are not a pair in PEM format".to_owned())
    };
    Identity::from_pem(&both).map(Some).map_err(unusable)
}
