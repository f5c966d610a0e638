//! CEL: how healthy custom resources are, and whether a dependency is ready.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use sluice_api::kustomize::CustomHealthCheck;
use sluice_cel::{Error, Expression, Type};
use sluice_kstatus::Status;

use crate::apply::{Judge, ObjectId};

/// Rules of `spec.healthCheckExprs` by group and kind; an empty kind stands for the whole group.
#[derive(Default)]
pub struct HealthRules(HashMap<(String, String), Arc<Rule>>);

struct Rule {
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Expression,
}

impl HealthRules {
    /// Compiles the rules.
    pub fn compile(checks: &[CustomHealthCheck]) -> Result<Self, String> {
        let mut rules = HashMap::new();
        for (index, check) in checks.iter().enumerate() {
            let group = check.api_version.rsplit_once('/').map_or("", |(group, _)| group);
            let key = (group.to_owned(), check.kind.clone());
            if rules.contains_key(&key) {
                let name = if check.kind.is_empty() {
                    format!(".{group}")
                } else {
                    format!("{}.{group}", check.kind)
                };
                return Err(format!(
                    "duplicate custom health check for GroupKind {name} at healthchecks[{index}]"
                ));
            }
            let rule = Rule::compile(check).map_err(|error| {
                format!("failed to create custom status evaluator for healthchecks[{index}]: {error}")
            })?;
            rules.insert(key, Arc::new(rule));
        }
        Ok(Self(rules))
    }

    /// The rule for an object, if there is one. Jobs have a rule of their own that goes first.
    pub fn judge(&self, id: &ObjectId) -> Option<Judge> {
        if id.group == "batch" && id.kind == "Job" {
            return None;
        }
        let of_kind = |kind: &str| self.0.get(&(id.group.clone(), kind.to_owned())).cloned();
        let rule = of_kind(&id.kind).or_else(|| of_kind(""))?;
        Some(Arc::new(move |object| rule.judge(object)))
    }
}

impl Rule {
    fn compile(check: &CustomHealthCheck) -> Result<Self, String> {
        if check.current.is_empty() {
            return Err("expression Current not specified".to_owned());
        }
        let parse = |name: &str, text: &str| {
            Expression::parse(text).map_err(|error| format!("failed to parse the expression {name}: {error}"))
        };
        let optional = |name: &str, text: &str| match text {
            "" => Ok(None),
            text => parse(name, text).map(Some),
        };
        Ok(Self {
            current: parse("Current", &check.current)?,
            failed: optional("Failed", &check.failed)?,
            in_progress: optional("InProgress", &check.in_progress)?,
        })
    }

    fn judge(&self, object: &Value) -> (Status, String) {
        let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
        if let (Some(observed), Some(generation)) = (observed, generation)
            && observed != generation
        {
            return (Status::InProgress, String::new());
        }
        let expressions = [
            (self.in_progress.as_ref(), Status::InProgress),
            (self.failed.as_ref(), Status::Failed),
            (Some(&self.current), Status::Current),
        ];
        for (expression, status) in expressions {
            let Some(expression) = expression else { continue };
            match expression.evaluate_bool(&|name| object.get(name)) {
                Ok(true) => return (status, String::new()),
                Ok(false) => {}
                Err(error) => return (Status::Unknown, error.to_string()),
            }
        }
        (Status::InProgress, String::new())
    }
}

/// Why a dependency cannot be judged.
pub enum ReadyError {
    /// The expression is wrong: only another one helps.
    Terminal(Error),
    /// It failed on these objects.
    Transient(Error),
}

/// Whether `readyExpr` holds for an object and its dependency.
pub fn is_ready(text: &str, own: &Value, dependency: &Value) -> Result<bool, ReadyError> {
    let expression = Expression::parse(text)
        .and_then(|expression| expression.check(&["self", "dep"], Type::Bool))
        .map_err(ReadyError::Terminal)?;
    let variables = |name: &str| match name {
        "self" => Some(own),
        "dep" => Some(dependency),
        _ => None,
    };
    expression.evaluate_bool(&variables).map_err(ReadyError::Transient)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(checks: Value) -> Result<HealthRules, String> {
        HealthRules::compile(&serde_json::from_value::<Vec<CustomHealthCheck>>(checks).unwrap())
    }

    fn id(kind: &str) -> ObjectId {
        ObjectId { namespace: "a".into(), name: "b".into(), group: "x.io".into(), kind: kind.into() }
    }

    #[test]
    fn the_first_expression_that_holds_tells_the_status() {
        let rules = rules(json!([
            {"apiVersion": "x.io/v1", "kind": "A", "inProgress": "status.p == 1", "failed": "status.p == 2", "current": "status.p == 3"},
            {"apiVersion": "x.io/v1", "current": "true"},
        ]))
        .unwrap();
        let status = |object: Value| rules.judge(&id("A")).unwrap()(&object).0;
        for (phase, wanted) in
            [(1, Status::InProgress), (2, Status::Failed), (3, Status::Current), (4, Status::InProgress)]
        {
            assert_eq!(status(json!({"status": {"p": phase}})), wanted);
        }
        assert_eq!(status(json!({})), Status::Unknown);
        let outdated = json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "p": 3}});
        assert_eq!(status(outdated), Status::InProgress);
        assert_eq!(rules.judge(&id("Other")).unwrap()(&json!({})).0, Status::Current);
    }

    #[test]
    fn wrong_rules_are_refused() {
        for (checks, text) in [
            (
                json!([{"apiVersion": "x.io/v1", "kind": "A", "current": ""}]),
                "expression Current not specified",
            ),
            (
                json!([{"apiVersion": "x.io/v1", "kind": "A", "current": "a b"}]),
                "failed to parse the expression Current",
            ),
            (
                json!([{"apiVersion": "x.io/v1", "kind": "A", "current": "true"}, {"apiVersion": "x.io/v2", "kind": "A", "current": "true"}]),
                "duplicate custom health check for GroupKind A.x.io at healthchecks[1]",
            ),
        ] {
            let error = rules(checks).err().unwrap();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_ready_expression_must_be_a_truth_value_beforehand() {
        let dependency = json!({"status": {"x": true}});
        assert!(matches!(is_ready("dep.status.x == true", &json!({}), &dependency), Ok(true)));
        assert!(matches!(is_ready("dep.status.x", &json!({}), &dependency), Err(ReadyError::Terminal(_))));
        assert!(matches!(
            is_ready("dep.status.y == 1", &json!({}), &dependency),
            Err(ReadyError::Transient(_))
        ));
    }
}
