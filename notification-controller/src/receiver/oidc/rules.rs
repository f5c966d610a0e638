//! What a spec demands of the claims of tokens.

use std::collections::HashSet;

use reqwest::Url;
use serde_json::{Value, json};
use sluice_api::notification::{OidcProvider, ReceiverSpec};
use sluice_cel::{Error as CelError, Expression, Type};

/// What is wrong with a spec.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::receiver) enum Invalid {
    /// A rule of the spec.
    Spec(String),
    /// An expression.
    Expression(String),
}

/// The compiled rules of one provider.
pub(super) struct Rules {
    variables: Vec<(String, Expression)>,
    validations: Vec<(Expression, String)>,
}

impl Rules {
    pub(super) fn compile(provider: &OidcProvider) -> Result<Self, String> {
        let scope = ["claims", "vars"];
        let variables = provider.variables.iter().enumerate().map(|(index, variable)| {
            let fault = |error: &dyn std::fmt::Display| {
                format!("invalid variables[{index}] (name=\"{}\") expression: {error}", variable.name)
            };
            let parsed = Expression::parse(&variable.expression).map_err(|error| fault(&error))?;
            match parsed.clone().check(&scope, Type::Dyn) {
                // A variable may be of any type.
                Ok(_) | Err(CelError::OutputType { .. }) => Ok((variable.name.clone(), parsed)),
                Err(error) => Err(fault(&error)),
            }
        });
        let validations = provider.validations.iter().enumerate().map(|(index, validation)| {
            let checked =
                Expression::parse(&validation.expression).and_then(|parsed| parsed.check(&scope, Type::Bool));
            let checked =
                checked.map_err(|error| format!("invalid validations[{index}] expression: {error}"))?;
            Ok((checked, validation.message.clone()))
        });
        Ok(Self {
            variables: variables.collect::<Result<_, String>>()?,
            validations: validations.collect::<Result<_, String>>()?,
        })
    }

    /// Judges claims: all validations must be true.
    pub(super) fn judge(&self, claims: &Value) -> Result<(), String> {
        let mut values = json!({});
        for (name, expression) in &self.variables {
            let value = {
                let scope = |name: &str| match name {
                    "claims" => Some(claims),
                    "vars" => Some(&values),
                    _ => None,
                };
                expression.evaluate(&scope)
            };
            let value =
                value.map_err(|error| format!("failed to evaluate the variable '{name}': {error}"))?;
            values[name] = value.unwrap_or_default();
        }
        let scope = |name: &str| match name {
            "claims" => Some(claims),
            "vars" => Some(&values),
            _ => None,
        };
        let mut failed = Vec::new();
        for (expression, message) in &self.validations {
            match expression.evaluate_bool(&scope) {
                Ok(true) => {}
                Ok(false) => failed.push(message.clone()),
                Err(error) => failed.push(format!("{message} ({error})")),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}

/// Checks the providers of a spec: first all rules, then all expressions.
pub(in crate::receiver) fn validate(spec: &ReceiverSpec) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    for (index, provider) in spec.oidc_providers.iter().enumerate() {
        let url = &provider.issuer_url;
        let place = format!("oidcProviders[{index}]");
        let fault = |problem: String| Err(Invalid::Spec(problem));
        if url.is_empty() {
            return fault(format!("{place}: issuerURL is required"));
        }
        let parsed =
            Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if parsed.is_none() {
            return fault(format!("{place}: issuerURL \"{url}\" must be a valid HTTP or HTTPS URL"));
        }
        if !seen.insert(url) {
            return fault(format!("{place}: duplicate issuerURL \"{url}\""));
        }
        let place = format!("{place} (issuerURL=\"{url}\")");
        if provider.validations.is_empty() {
            return fault(format!("{place}: at least one validation is required"));
        }
        let mut names = HashSet::new();
        for variable in &provider.variables {
            let legal = variable.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && variable.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !legal || !names.insert(&variable.name) {
                return fault(format!(
                    "{place}: variable name \"{}\" is not an identifier of its own",
                    variable.name
                ));
            }
        }
    }
    for (index, provider) in spec.oidc_providers.iter().enumerate() {
        Rules::compile(provider).map_err(|problem| {
            let url = &provider.issuer_url;
            Invalid::Expression(format!("oidcProviders[{index}] (issuerURL=\"{url}\"): {problem}"))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_checked() {
        let fault = |change: Value| {
            let mut provider = json!({"issuerURL": "https://issuer.test", "validations": [{"expression": "vars.owner == 'org'", "message": "wrong owner"}], "variables": [{"name": "owner", "expression": "claims.x"}]});
            for (key, value) in change.as_object().unwrap() {
                provider[key] = value.clone();
            }
            validate(
                &serde_json::from_value(
                    json!({"type": "generic-oidc", "resources": [], "oidcProviders": [provider]}),
                )
                .unwrap(),
            )
        };
        assert_eq!(fault(json!({})), Ok(()));
        assert!(
            matches!(fault(json!({"issuerURL": "ftp://x"})), Err(Invalid::Spec(text)) if text.starts_with("oidcProviders[0]: "))
        );
        assert!(matches!(fault(json!({"validations": []})), Err(Invalid::Spec(_))));
        let text =
            "oidcProviders[0] (issuerURL=\"https://issuer.test\"): invalid validations[0] expression: ";
        assert!(
            matches!(fault(json!({"validations": [{"expression": "claims.x", "message": ""}]})), Err(Invalid::Expression(found)) if found.starts_with(text))
        );
        assert!(matches!(
            fault(json!({"variables": [{"name": "x", "expression": "req.x"}]})),
            Err(Invalid::Expression(_))
        ));
    }
}
