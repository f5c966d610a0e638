//! What templates learn of the cluster: versions of Kubernetes and of its APIs.

use crate::go::quote;

/// The APIs that a render without a cluster claims to have.
const KNOWN_API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// `.Capabilities`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of Kubernetes.
    pub kube_version: KubeVersion,
    /// `group/version` and `group/version/Kind`.
    pub api_versions: Vec<String>,
    /// What claims to render.
    pub helm_version: HelmVersion,
}

/// `.Capabilities.HelmVersion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmVersion {
    /// Version of helm whose behaviour this is.
    pub version: String,
    /// Commit it was built from.
    pub git_commit: String,
    /// Whether there were changes since.
    pub git_tree_state: String,
    /// Version of Go.
    pub go_version: String,
    /// Version of its client.
    pub kube_client_version: String,
}

/// `.Capabilities.KubeVersion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// As the server tells it.
    pub version: String,
    /// Without suffixes; only for versions that a person gave.
    pub normalised: Option<String>,
    /// A text, since some servers add a `+`.
    pub major: String,
    /// A text, since some servers add a `+`.
    pub minor: String,
}

/// Why a text is no version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KubeVersionError {
    /// It has no numbers.
    #[error("could not parse {} as version", quote(.0))]
    NotAVersion(String),
    /// Only one number.
    #[error("illegal version string {}", quote(.0))]
    TooShort(String),
    /// A number that is too large or has a leading zero.
    #[error("illegal version component {} in {}", quote(component), quote(version))]
    Component {
        /// The part.
        component: String,
        /// The whole.
        version: String,
    },
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            kube_version: KubeVersion::known(1, 37),
            api_versions: KNOWN_API_VERSIONS.iter().map(|text| (*text).to_owned()).collect(),
            helm_version: HelmVersion::default(),
        }
    }
}

impl Default for HelmVersion {
    fn default() -> Self {
        HelmVersion {
            version: "v4.3".to_owned(),
            git_commit: String::new(),
            git_tree_state: String::new(),
            go_version: "go1.26.8".to_owned(),
            kube_client_version: "v1.37".to_owned(),
        }
    }
}

impl KubeVersion {
    fn known(major: u32, minor: u32) -> Self {
        let version = format!("v{major}.{minor}.0");
        KubeVersion {
            normalised: Some(version.clone()),
            version,
            major: major.to_string(),
            minor: minor.to_string(),
        }
    }

    /// Reads what a person gave: `1.33`, `v1.33.4-gke.1`.
    pub fn parse(text: &str) -> Result<Self, KubeVersionError> {
        let not_a_version = || KubeVersionError::NotAVersion(text.to_owned());
        let start = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        let start = start.strip_prefix('v').unwrap_or(start);
        let mut end = 0;
        for segment in start.split_inclusive('.') {
            let number = segment.strip_suffix('.').unwrap_or(segment);
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                break;
            }
            end = segment.as_ptr() as usize - start.as_ptr() as usize + digits;
            if digits < number.len() {
                break;
            }
        }
        let numbers = &start[..end];
        if numbers.is_empty() {
            return Err(not_a_version());
        }
        let components: Vec<&str> = numbers.split('.').collect();
        if components.len() < 2 {
            return Err(KubeVersionError::TooShort(text.to_owned()));
        }
        for component in &components {
            if component.parse::<u64>().is_err() {
                return Err(KubeVersionError::Component {
                    component: (*component).to_owned(),
                    version: text.to_owned(),
                });
            }
        }
        let plain: Vec<String> = components
            .iter()
            .map(|component| component.parse::<u64>().unwrap_or_default().to_string())
            .collect();
        Ok(KubeVersion {
            version: if text.starts_with('v') { text.to_owned() } else { format!("v{text}") },
            normalised: Some(format!("v{}", plain.join("."))),
            major: plain[0].clone(),
            minor: plain[1].clone(),
        })
    }

    /// The version that constraints are checked against, and that printing gives.
    pub fn text(&self) -> &str {
        self.normalised.as_deref().unwrap_or(&self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::KubeVersion;

    #[test]
    fn a_given_version_is_kept_and_normalised() {
        let version = KubeVersion::parse("1.33.4-gke.1245").expect("valid");
        assert_eq!(version.version, "v1.33.4-gke.1245");
        assert_eq!(version.text(), "v1.33.4");
        assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "33"));
        assert_eq!(KubeVersion::parse("v1.2").expect("valid").text(), "v1.2");
        assert_eq!(KubeVersion::parse("1.30+").expect("valid").minor, "30");
        for bad in ["", "x", "1", "v", "1.99999999999999999999999"] {
            assert!(KubeVersion::parse(bad).is_err(), "{bad}");
        }
    }
}
