//! The identity under which the status of a commit is kept.

use serde_json::{Value, to_value};
use sluice_api::notification::{Alert, Provider};
use sluice_cel::{Expression, Type};

use crate::event::Event;
use crate::memo::Memo;

/// Compiled expressions, or what is wrong with them.
pub(crate) type Expressions = Memo<String, Result<Expression, String>>;

/// What `spec.commitStatusExpr` yields, or `kind/name/` and the first part of the Provider's UID in lower case.
pub(crate) fn of(
    event: &Event,
    alert: &Alert,
    provider: &Provider,
    expressions: &Expressions,
) -> Result<String, String> {
    let text = &provider.spec.commit_status_expr;
    if !text.is_empty() {
        let compiled = expressions.get_or_insert(text.as_str(), || compile(text));
        let id = compiled.as_ref().as_ref().map_err(Clone::clone);
        return id.and_then(|compiled| evaluate(compiled, event, alert, provider)).map_err(|problem| {
            format!("failed to evaluate the spec.commitStatusExpr CEL expression for the event: {problem}")
        });
    }
    let uid = provider.metadata.uid.as_deref().unwrap_or_default();
    let first = uid.split('-').next().unwrap_or_default();
    Ok(format!("{}/{}/{first}", event.kind(), event.name()).to_lowercase())
}

fn compile(text: &str) -> Result<Expression, String> {
    let checked = Expression::parse(text)
        .and_then(|parsed| parsed.check(&["event", "alert", "provider"], Type::String));
    checked.map_err(|error| error.to_string())
}

fn evaluate(
    expression: &Expression,
    event: &Event,
    alert: &Alert,
    provider: &Provider,
) -> Result<String, String> {
    let json = |value: serde_json::Result<Value>| value.map_err(|error| error.to_string());
    let (event, alert, provider) =
        (json(to_value(event))?, json(to_value(alert))?, json(to_value(provider))?);
    let variables = |name: &str| match name {
        "event" => Some(&event),
        "alert" => Some(&alert),
        "provider" => Some(&provider),
        _ => None,
    };
    match expression.evaluate(&variables).map_err(|error| error.to_string())? {
        Some(Value::String(id)) => Ok(id),
        _ => Err("the result is no string".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    fn id(expression: &str) -> Result<String, String> {
        let metadata = serde_json::json!({"name": "x", "namespace": "apps", "uid": "AB12-34"});
        let alert = serde_json::from_value(
            serde_json::json!({"metadata": metadata, "apiVersion": "a", "kind": "b",
            "spec": {"providerRef": {"name": "x"}, "eventSources": [], "eventMetadata": {"cluster": "one"}}}),
        );
        let provider =
            serde_json::from_value(serde_json::json!({"metadata": metadata, "apiVersion": "a", "kind": "b",
            "spec": {"type": "github", "commitStatusExpr": expression}}));
        of(
            &event("info", &[("cluster", "one")]),
            &alert.unwrap(),
            &provider.unwrap(),
            &Expressions::default(),
        )
    }

    #[test]
    fn an_expression_chooses_the_id_and_the_default_is_that_of_flux() {
        assert_eq!(id("").unwrap(), "kustomization/webapp/ab12");
        // The example of Flux's documentation.
        let expression =
            "(event.involvedObject.kind + '/' + event.involvedObject.name + '/' + event.metadata.cluster)";
        assert_eq!(id(&format!("{expression}.lowerAscii()")).unwrap(), "kustomization/webapp/one");
        let expression = "event.involvedObject.kind + '/' + provider.metadata.uid.split('-').first().value() + '/' + alert.metadata.name";
        assert_eq!(id(expression).unwrap(), "Kustomization/AB12/x");
        let error = id("event.metadata.missing + ''").unwrap_err();
        assert!(
            error.starts_with("failed to evaluate the spec.commitStatusExpr CEL expression for the event:"),
            "{error}"
        );
        assert!(id("1 + 1").is_err() && id("(").is_err() && id("secrets.x").is_err());
    }
}
