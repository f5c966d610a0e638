//! Signatures of what is in registries.

use sluice_api::source::OCIRepository;
use sluice_oci::{Client, Reference};
use tokio::time::Instant;

use crate::Shared;
use crate::source::Failure;

/// Verifies an OCI artifact as its object asks. Returns what to say of it.
pub(crate) async fn oci(
    _shared: &Shared,
    object: &OCIRepository,
    _client: &Client,
    _reference: &Reference,
    _revision: &str,
    _deadline: Instant,
) -> Result<String, Failure> {
    let provider = object.spec.verify.as_ref().map(|verify| verify.provider.as_str()).unwrap_or_default();
    let message = format!(
        "failed to verify the signature using provider '{provider}': it is not supported yet by Sluice"
    );
    Err(Failure::verification(message))
}
