//! Which objects a webhook is about: CEL over the request and the object.

use serde_json::{Map, Value, json};
use sluice_api::notification::{ReceiverSpec, ReceiverType};
use sluice_cel::{Expression, Type};

/// The compiled filters of a Receiver.
pub(crate) struct Filters {
    all: Option<Expression>,
    each: Vec<Option<Expression>>,
}

/// What filters see of a request.
pub(super) struct Request {
    /// The body, or what the type makes of it.
    pub(super) body: Value,
    /// The claims of a token, for types that have one.
    pub(super) claims: Value,
}

impl Filters {
    /// Compiles the filters of a spec. The error says which is wrong.
    pub(super) fn compile(spec: &ReceiverSpec) -> Result<Self, String> {
        let variables: &[&str] = match spec.type_ {
            ReceiverType::GenericOidc => &["req", "res", "claims"],
            _ => &["req", "res"],
        };
        let compile = |text: &str| match text {
            "" => Ok(None),
            text => Expression::parse(text).and_then(|parsed| parsed.check(variables, Type::Bool)).map(Some),
        };
        let all = compile(&spec.resource_filter)
            .map_err(|error| format!("invalid resourceFilter expression: {error}"))?;
        let each = spec.resources.iter().enumerate().map(|(index, resource)| {
            compile(&resource.filter).map_err(|error| {
                let (kind, name) = (&resource.kind, &resource.name);
                format!("invalid filter expression for resources[{index}] (kind=\"{kind}\", name=\"{name}\"): {error}")
            })
        });
        Ok(Self { all, each: each.collect::<Result<_, _>>()? })
    }

    /// Whether there is any filter at all: only then the body is read.
    pub(super) fn any(&self) -> bool {
        self.all.is_some() || self.each.iter().any(Option::is_some)
    }

    /// Whether an entry of `spec.resources` has a filter.
    pub(super) fn concerns(&self, entry: usize) -> bool {
        self.all.is_some() || self.each.get(entry).is_some_and(Option::is_some)
    }

    /// Whether an object of an entry is meant: by both filters.
    pub(super) fn passes(&self, entry: usize, request: &Request, object: &Value) -> Result<bool, String> {
        let variables = |name: &str| match name {
            "req" => Some(&request.body),
            "res" => Some(object),
            "claims" => Some(&request.claims),
            _ => None,
        };
        for filter in [&self.all, self.each.get(entry).unwrap_or(&None)].into_iter().flatten() {
            if !filter.evaluate_bool(&variables).map_err(|error| error.to_string())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A body as filters see it: an object, where the content type says that it is JSON, else an empty one.
pub(super) fn body(content_type: &str, body: &[u8]) -> Result<Value, String> {
    if content_type.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Ok(json!({}));
    }
    let parsed: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no JSON object that a filter could see: {error}"))?;
    Ok(Value::Object(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(type_: &str, all: &str, each: &str) -> ReceiverSpec {
        let resource = json!({"kind": "GitRepository", "name": "app", "filter": each});
        serde_json::from_value(json!({"type": type_, "resourceFilter": all, "resources": [resource]}))
            .unwrap()
    }

    #[test]
    fn both_filters_must_pass() {
        let filters = Filters::compile(&spec(
            "generic",
            "req.tag.contains(res.metadata.name)",
            r#"has(res.metadata.annotations) && req.tag.split('/').last().value().split(":").first().value() == res.metadata.annotations['image']"#,
        ));
        let filters = filters.unwrap();
        let request = |tag: &str| Request { body: json!({"tag": tag}), claims: Value::Null };
        let object =
            |name: &str, image: &str| json!({"metadata": {"name": name, "annotations": {"image": image}}});
        assert_eq!(filters.passes(0, &request("reg.test/app/api:1.0"), &object("app", "api")), Ok(true));
        assert_eq!(filters.passes(0, &request("reg.test/app/api:1.0"), &object("app", "web")), Ok(false));
        assert_eq!(filters.passes(0, &request("reg.test/app/api:1.0"), &object("web", "api")), Ok(false));
        assert_eq!(
            filters.passes(0, &request("reg.test/app/api:1.0"), &json!({"metadata": {"name": "app"}})),
            Ok(false)
        );
        let other = Request { body: json!({}), claims: Value::Null };
        assert!(filters.passes(0, &other, &object("app", "api")).is_err(), "a missing field is an error");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let error =
            |all: &str, each: &str| Filters::compile(&spec("generic", all, each)).err().unwrap_or_default();
        assert!(error("req.tag ==", "").starts_with("invalid resourceFilter expression: "));
        assert!(error("", "'x'").starts_with(
            r#"invalid filter expression for resources[0] (kind="GitRepository", name="app"): "#
        ));
        assert!(error("res.metadata.labels.ok", "").contains("expected bool, got dyn"));
        assert!(error("claims.sub == 'x'", "").contains("claims"), "only generic-oidc has claims");
        assert!(Filters::compile(&spec("generic-oidc", "claims.sub == 'x'", "")).is_ok());
    }

    #[test]
    fn only_json_is_seen() {
        assert_eq!(body("application/json; charset=utf-8", br#"{"a":1}"#), Ok(json!({"a": 1})));
        assert_eq!(body("text/plain", br#"{"a":1}"#), Ok(json!({})));
        assert!(body("application/json", b"[1]").is_err() && body("application/json", b"{").is_err());
    }
}
