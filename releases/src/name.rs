//! Names of releases.

use sluice_api::helm::HelmRelease;
use sluice_artifact::Algorithm;

/// How long the name of a release may be.
const MAX_NAME: usize = 53;

/// The name of the release of an object, short enough for helm.
pub fn release_name(object: &HelmRelease) -> String {
    shortened(&object.release_name())
}

fn shortened(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let digest = Algorithm::Sha256.digest(name.as_bytes());
    format!("{}-{}", name.get(..40).unwrap_or(name), &digest.hex()[..12])
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_names_are_cut_and_told_apart_by_a_digest() {
        assert_eq!(shortened("podinfo"), "podinfo");
        let long = "a".repeat(54);
        let short = shortened(&long);
        assert_eq!(short.len(), 53);
        assert!(short.starts_with(&format!("{}-", "a".repeat(40))));
        assert_ne!(short, shortened(&"a".repeat(55)));
    }
}
