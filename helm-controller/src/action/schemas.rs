//! Schemas on the web, for one chart that is rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use sluice_helm::schema::{FetchSchema, NoFetch};
use sluice_releases::{SchemaText, Schemas};
use tokio::time::Instant;

/// How long all of them may take together.
const PATIENCE: Duration = Duration::from_secs(45);
/// How many there may be.
const MAX_SCHEMAS: usize = 64;
/// How large they may be together, in bytes.
const LIMIT: usize = 8 << 20;
/// So many are asked for at once.
const AT_ONCE: usize = 4;

/// Those that were fetched. Others are noted, to be fetched before the chart is rendered again.
#[derive(Debug, Default)]
pub(super) struct Known {
    texts: BTreeMap<String, SchemaText>,
    took: Duration,
    missing: Mutex<BTreeSet<String>>,
}

impl FetchSchema for Known {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        if !url.starts_with("http:") && !url.starts_with("https:") {
            return NoFetch.fetch(url);
        }
        match self.texts.get(url) {
            Some(Ok(text)) => Ok(text.to_vec()),
            Some(Err(reason)) => Err(format!(
                "{reason}. Where schemas on the web cannot be had, leave them out: \
                 spec.install.disableSchemaValidation, spec.upgrade.disableSchemaValidation"
            )),
            None => {
                self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned());
                Err("not fetched yet".to_owned())
            }
        }
    }

    fn is_shown(&self) -> bool {
        false
    }
}

impl Known {
    /// The addresses that were asked for and are not known.
    pub(super) fn missing(&self) -> BTreeSet<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known with these addresses.
    pub(super) async fn with(&self, schemas: &Schemas, missing: BTreeSet<String>) -> Self {
        let begun = Instant::now();
        let deadline = begun + PATIENCE.saturating_sub(self.took);
        let texts: Vec<(String, SchemaText)> = futures::stream::iter(missing)
            .map(async |url| {
                let late = || {
                    let patience = PATIENCE.as_secs();
                    format!("schemas on the web took more than {patience} seconds together")
                };
                let text = tokio::time::timeout_at(deadline, schemas.get(&url)).await;
                (url, text.unwrap_or_else(|_| Err(late())))
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut next =
            Self { texts: self.texts.clone(), took: self.took + begun.elapsed(), ..Self::default() };
        let mut size: usize = next.texts.values().flatten().map(|text| text.len()).sum();
        for (url, mut text) in texts {
            size += text.as_ref().map_or(0, |text| text.len());
            if next.texts.len() >= MAX_SCHEMAS {
                text = Err(format!("the chart refers to more than {MAX_SCHEMAS} schemas on the web"));
            } else if size > LIMIT {
                text = Err(format!("the schemas on the web are larger than {} MiB together", LIMIT >> 20));
            }
            next.texts.insert(url, text);
        }
        next
    }
}
