//! Which names a release may have.

use sluice_gotemplate::{Ctx, Error, Functions, Limits, SystemHost, TemplateSet, Value};

/// What messages call the template of a name.
const TEMPLATE: &str = "name-template";

/// Longest name of a release: labels hold 63 characters and charts add to them.
const MAX_LENGTH: usize = 53;

/// Why a name cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseNameError {
    /// Empty.
    #[error("no name provided")]
    Missing,
    /// Too long, or with characters that DNS does not take.
    #[error(
        "invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ \
         and the length must not be longer than 53"
    )]
    Invalid,
}

/// Checks the name of a release.
pub fn validate(name: &str) -> Result<(), ReleaseNameError> {
    if name.is_empty() {
        return Err(ReleaseNameError::Missing);
    }
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        label.bytes().next().is_some_and(inner)
            && label.bytes().next_back().is_some_and(inner)
            && label.bytes().all(|byte| inner(byte) || byte == b'-')
    };
    if name.len() > MAX_LENGTH || !name.split('.').all(label) {
        return Err(ReleaseNameError::Invalid);
    }
    Ok(())
}

/// The name that a template makes, for `--name-template`. It sees no values.
pub fn from_template(template: &str) -> Result<String, Error> {
    let mut set = TemplateSet::new(TEMPLATE, Functions::helm());
    set.parse(TEMPLATE, template)?;
    let mut host = SystemHost;
    let name = Ctx::new(&set, &mut host, Limits::default()).execute(TEMPLATE, &Value::Nil)?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{from_template, validate};

    #[test]
    fn templates_make_names() {
        assert_eq!(from_template("x-{{ \"ABC\" | lower }}").expect("a name"), "x-abc");
        assert_eq!(from_template("x{{ .Foo }}").expect("a name"), "x<no value>");
        let error = from_template("{{ foo }}").expect_err("no such function");
        assert_eq!(error.to_string(), "template: name-template:1: function \"foo\" not defined");
    }

    #[test]
    fn names_are_those_that_dns_takes() {
        for good in ["a", "a-b.c1", "0"] {
            assert!(validate(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", &"a".repeat(54)] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
