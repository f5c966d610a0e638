//! What errors of buckets mean for the object.

use sluice_api::source::BucketSpec;
use sluice_bucket::Error;
use sluice_cloud::Error as CloudError;
use sluice_runtime::errors::chain;

use crate::source::Failure;
use sluice_access::SecretError;

const OPERATION: &str = "BucketOperationFailed";
const AUTHENTICATION: &str = "AuthenticationFailed";

pub(super) fn listing(spec: &BucketSpec, error: &Error) -> Failure {
    let name = &spec.bucket_name;
    match error {
        Error::Cloud(CloudError::Credentials(_)) => authentication(chain(error)),
        Error::NoBucket(_) | Error::Cloud(CloudError::Options(_)) => Failure::fetch(OPERATION, chain(error)),
        error => {
            let message = format!("indexation of objects from bucket '{name}' failed: {}", chain(error));
            Failure::fetch(OPERATION, message)
        }
    }
}

pub(super) fn fetching(spec: &BucketSpec, error: &Error) -> Failure {
    let message = format!("fetch from bucket '{}' failed: {}", spec.bucket_name, chain(error));
    Failure::fetch(OPERATION, message)
}

pub(super) fn timeout(spec: &BucketSpec) -> Failure {
    let timeout = sluice_duration::format_std(spec.timeout().to_std());
    let message = format!("fetch from bucket '{}' failed: it took longer than {timeout}", spec.bucket_name);
    Failure::fetch(OPERATION, message)
}

pub(super) fn secret(error: &SecretError) -> Failure {
    authentication(chain(error))
}

pub(super) fn authentication(message: impl Into<String>) -> Failure {
    Failure::fetch(AUTHENTICATION, message)
}

/// The entries of a Secret are not what is needed.
pub(super) fn data(name: &str, problem: impl std::fmt::Display) -> Failure {
    authentication(format!("invalid '{name}' secret data: {problem}"))
}
