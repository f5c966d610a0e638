//! Which names a release may have.

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

#[cfg(test)]
mod tests {
    use super::validate;

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
