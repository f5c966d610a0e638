//! Names of images as `spec.image` has them.

use sluice_oci::{Reference, Registry};

/// Reads the name of an image: no scheme, no tag, no digest. The error is for people.
pub(crate) fn parse(image: &str) -> Result<Reference, String> {
    if let Some((scheme, _)) = image.split_once("://") {
        return Err(format!("image '{image}' should not include URL scheme; remove '{scheme}://'"));
    }
    let (registry, path) = match image.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) => (Some(host), path),
        _ => (None, image),
    };
    if let Some(at) = path.find([':', '@']) {
        return Err(format!("image '{image}' should not include a tag; remove '{}'", &path[at..]));
    }
    let registry = Registry::new(registry.unwrap_or("docker.io"));
    let repository = if registry.as_str() == "index.docker.io" && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-./".contains(&byte);
    if !(2..=255).contains(&path.len()) {
        return Err(format!("could not parse reference: '{image}': a repository has 2 to 255 characters"));
    }
    let parts_are_fine = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if registry.as_str().is_empty() || !path.bytes().all(allowed) || !parts_are_fine {
        return Err(format!(
            "could not parse reference: '{image}': a repository has lower case letters, digits, '_', '-', '.', in \
             parts joined by '/'"
        ));
    }
    Ok(Reference { registry, repository, tag: None, digest: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(image: &str) -> String {
        parse(image).map_or_else(|error| error, |reference| reference.context())
    }

    #[test]
    fn names_are_made_canonical() {
        for (image, name) in [
            ("alpine", "index.docker.io/library/alpine"),
            ("docker.io/org/app", "index.docker.io/org/app"),
            ("localhost/app", "index.docker.io/localhost/app"),
            ("localhost:5000/app", "localhost:5000/app"),
            ("ghcr.io/stefanprodan/podinfo", "ghcr.io/stefanprodan/podinfo"),
        ] {
            assert_eq!(parsed(image), name);
        }
    }

    #[test]
    fn what_is_too_much_is_named() {
        let digest = format!("@sha256:{}", "0".repeat(64));
        for (image, error) in [
            ("https://ghcr.io/a/b", "should not include URL scheme; remove 'https://'"),
            ("ghcr.io/a/b:v1", "should not include a tag; remove ':v1'"),
            ("localhost:5000/b:v1", "should not include a tag; remove ':v1'"),
            (&format!("alpine{digest}"), &format!("remove '{digest}'")),
            ("ghcr.io/Org/app", "lower case"),
            ("ghcr.io/", "2 to 255"),
            ("ghcr.io/a/../b", "joined by"),
        ] {
            assert!(parsed(image).contains(error), "{image}: {}", parsed(image));
        }
    }
}
