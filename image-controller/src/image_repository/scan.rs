//! One look at a registry.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use sluice_api::image::ImageRepository;
use sluice_oci::{Error, Reference};
use sluice_regexp::Regexp;
use sluice_runtime::errors::chain;

use super::options;
use crate::Shared;
use crate::progress::Failure;
use crate::registries::SharedClient;

/// The waits between tries of a registry that has a moment of weakness.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// The tags of an image that no exclusion matches, in descending order.
pub(super) async fn scan(
    shared: &Arc<Shared>,
    object: &ImageRepository,
    image: &Reference,
    exclusions: &[String],
) -> Result<Vec<String>, Failure> {
    let exclusions = exclusions.iter().map(|pattern| {
        Regexp::new(pattern).map_err(|error| failure(&format!("failed to compile regex {pattern}: {error}")))
    });
    let exclusions = exclusions.collect::<Result<Vec<_>, _>>()?;
    let namespace = object.namespace().unwrap_or_default();
    let work = async {
        let client = options::client(shared, &namespace, &object.spec, image).await?;
        if let Some(wait) = client.wait() {
            let host = &image.registry;
            let message = format!("the registry {host} asks to be left alone for {}", seconds(wait));
            return Err(failure(&message).after(wait));
        }
        list(&client, &image.repository).await
    };
    let listed = tokio::time::timeout(object.spec.timeout().to_std(), work).await;
    let mut tags = listed.unwrap_or_else(|_| {
        let timeout = sluice_duration::format_std(object.spec.timeout().to_std());
        Err(failure(&format!("the registry {} did not answer within {timeout}", image.registry)))
    })?;
    tags.retain(|tag| !exclusions.iter().any(|exclusion| exclusion.is_match(tag)));
    tags.sort_unstable_by(|a, b| b.cmp(a));
    tags.dedup();
    Ok(tags)
}

async fn list(client: &SharedClient, repository: &str) -> Result<Vec<String>, Failure> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let error = match client.client.tags(repository).await {
            Ok(tags) => return Ok(tags),
            Err(error) => error,
        };
        if let Some(wait) = client.heed(&error) {
            let message = format!("{}; the next try is in {}", chain(&error), seconds(wait));
            return Err(failure(&message).after(wait));
        }
        match pauses.next().filter(|_| is_transient(&error)) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(failure(&chain(&error))),
        }
    }
}

fn is_transient(error: &Error) -> bool {
    matches!(error.status(), Some(408 | 500 | 502 | 503 | 504))
}

fn seconds(wait: Duration) -> String {
    sluice_duration::format_std(Duration::from_secs(wait.as_secs().max(1)))
}

fn failure(message: &str) -> Failure {
    Failure::new("ReadOperationFailed", format!("scan failed: {message}"))
}
