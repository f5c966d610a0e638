//! The policies that count for an automation, and what they have chosen.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::core::{Selector, SelectorExt as _};
use sluice_api::image::{ImagePolicy, ImageRef, ImageUpdateAutomation};
use sluice_runtime::Cache;

use crate::progress::Failure;

/// What the policies of the namespace that the selector accepts have chosen, by their names.
pub(super) fn chosen(
    policies: &Cache<ImagePolicy>,
    object: &ImageUpdateAutomation,
) -> Result<BTreeMap<String, ImageRef>, Failure> {
    let invalid = |error: String| {
        Failure::stalled("InvalidPolicySelector", format!("failed to parse policy selector: {error}"))
    };
    let selector = match &object.spec.policy_selector {
        Some(selector) => Selector::try_from(selector.clone()).map_err(|error| invalid(error.to_string()))?,
        None => Selector::default(),
    };
    let namespace = object.namespace().unwrap_or_default();
    let own = policies.filter(|policy| {
        policy.metadata.namespace.as_deref() == Some(&namespace) && selector.matches(policy.labels())
    });
    let chosen = own.iter().filter_map(|policy| {
        let latest = policy.status.as_ref()?.latest_ref.clone()?;
        Some((policy.name_any(), latest))
    });
    Ok(chosen.collect())
}
