//! Names of namespaced objects.

use std::fmt;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of<K: kube::Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectKey {
    /// `namespace/name`, or the bare name of a cluster-scoped object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Refuses what cannot be the name of an object or namespace, such as `../other/secret`: names become parts of paths.
/// `subject` says in the error whose name it is.
pub fn check_name(subject: &str, name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let valid = !name.is_empty() && name.len() <= 253 && name.bytes().all(plain) && !name.starts_with('.');
    if valid { Ok(()) } else { Err(format!("{name:?} is not a valid name of a {subject}")) }
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for name in ["app", "app-1.example.com", "0"] {
            assert_eq!(check_name("Secret", name), Ok(()), "{name}");
        }
        for name in ["", "..", "../b/secrets/x", "a/b", "a%2Fb", "a?watch=true", "a b", "a\r\nX: y", ".a"] {
            assert!(check_name("Secret", name).is_err(), "{name}");
        }
        assert_eq!(check_name("Secret", "a/b").unwrap_err(), "\"a/b\" is not a valid name of a Secret");
    }
}
