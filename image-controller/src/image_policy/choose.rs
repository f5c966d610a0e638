//! From spec to a tag: pure.

use sluice_api::image::{self, ImagePolicySpec};
use sluice_policy::{Filter, Order, Policy};

use crate::progress::Failure;

/// How to choose.
pub(super) fn policy(spec: &ImagePolicySpec) -> Result<Policy, Failure> {
    let order = |order: Option<image::Order>| match order.unwrap_or_default() {
        image::Order::Asc => Order::Ascending,
        image::Order::Desc => Order::Descending,
    };
    let choice = &spec.policy;
    let invalid = |error: String| Failure::stalled("InvalidPolicy", format!("invalid policy: {error}"));
    if let Some(semver) = &choice.semver {
        return Policy::semver(&semver.range).map_err(invalid);
    }
    if let Some(alphabetical) = &choice.alphabetical {
        return Ok(Policy::Alphabetical(order(alphabetical.order)));
    }
    match &choice.numerical {
        Some(numerical) => Ok(Policy::Numerical(order(numerical.order))),
        None => Err(invalid("given ImagePolicyChoice object is invalid".to_owned())),
    }
}

/// The chosen tag.
pub(super) fn choose<'t>(
    spec: &ImagePolicySpec,
    policy: &Policy,
    tags: &'t [String],
) -> Result<&'t str, Failure> {
    let filter = spec.filter_tags.as_ref().map(|filter| Filter::new(&filter.pattern, &filter.extract));
    let filter = filter
        .transpose()
        .map_err(|error| Failure::stalled("InvalidPolicy", format!("failed to filter tags: {error}")))?;
    sluice_policy::latest(tags, filter.as_ref(), policy)
        .map_err(|error| Failure::new("Failure", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Retry;

    fn chosen(spec: serde_json::Value) -> Result<String, Failure> {
        let mut spec = spec;
        spec["imageRepositoryRef"] = serde_json::json!({"name": "app"});
        let spec = serde_json::from_value(spec).unwrap();
        let tags = ["v2.0.0-rc.1", "v1.1.0", "v1.0.0", "latest"].map(str::to_owned);
        choose(&spec, &policy(&spec)?, &tags).map(str::to_owned)
    }

    #[test]
    fn the_first_of_several_choices_counts() {
        let both = serde_json::json!({"policy": {"alphabetical": {}, "semver": {"range": ">=1.0.0"}}});
        assert_eq!(chosen(both).unwrap(), "v1.1.0");
        assert_eq!(
            chosen(serde_json::json!({"policy": {"alphabetical": {"order": "desc"}}})).unwrap(),
            "latest"
        );
    }

    #[test]
    fn a_policy_that_can_never_work_stalls() {
        for (spec, message) in [
            (serde_json::json!({"policy": {}}), "invalid policy: given ImagePolicyChoice object is invalid"),
            (
                serde_json::json!({"policy": {"semver": {"range": "newest"}}}),
                "invalid policy: improper constraint: \"newest\"",
            ),
            (
                serde_json::json!({"policy": {"alphabetical": {}}, "filterTags": {"pattern": "("}}),
                "failed to filter tags: invalid regular expression pattern '(': error parsing regexp: missing \
                 closing ): `(`",
            ),
        ] {
            let failure = chosen(spec).unwrap_err();
            assert_eq!((failure.message.as_str(), failure.retry), (message, Retry::Never));
        }
        let none = chosen(serde_json::json!({"policy": {"semver": {"range": ">3"}}})).unwrap_err();
        assert_eq!(
            (none.reason, none.message.as_str(), none.retry),
            ("Failure", "unable to determine latest version from provided list", Retry::Backoff)
        );
    }
}
