//! The table of kinds: all that the verbs need to know to be generic.

use kube::api::ApiResource;

use crate::nouns::Verb;
use crate::object::Object;
use crate::time;

/// A kind of Flux's API, as the command line sees it.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) kind: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    /// The words of a command: `source git`.
    pub(crate) noun: &'static [&'static str],
    /// The plural of the last one, where it is used.
    pub(crate) plural_noun: &'static str,
    /// Other words for the last one.
    pub(crate) aliases: &'static [&'static str],
    /// How sentences name it.
    pub(crate) human: &'static str,
    /// Columns between the name and READY.
    pub(crate) columns: &'static [Column],
    /// Further columns of `-o wide`.
    pub(crate) wide: &'static [Column],
    /// Whether long hashes are cut to eight characters in tables.
    pub(crate) cuts_hashes: bool,
    /// Whether nothing reconciles it, so that it has no status.
    pub(crate) is_static: bool,
    /// Which verbs it goes with.
    pub(crate) verbs: &'static [Verb],
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) value: fn(&Object) -> String,
    /// Shown only with `--show-source`.
    pub(crate) on_request: bool,
}

const fn column(title: &'static str, value: fn(&Object) -> String) -> Column {
    Column { title, value, on_request: false }
}

const SUSPENDED: Column = column("Suspended", |object| title_case(object.is_suspended()));
const ARTIFACT_REVISION: Column =
    column("Revision", |object| object.text("/status/artifact/revision").to_owned());
const SOURCE: Column = Column {
    title: "Source",
    value: |object| reference(object, &["/spec/sourceRef", "/spec/chartRef", "/spec/chart/spec/sourceRef"]),
    on_request: true,
};
const URL: Column = column("URL", |object| object.text("/spec/url").to_owned());
const INTERVAL: Column = column("Interval", |object| object.text("/spec/interval").to_owned());
const SOURCE_COLUMNS: &[Column] = &[ARTIFACT_REVISION, SUSPENDED];

use Verb::{Create, Delete, Export, Get, Reconcile, Resume, Suspend};
const ALL: &[Verb] = &[Get, Reconcile, Suspend, Resume, Delete, Export, Create];
const STATIC: &[Verb] = &[Get, Suspend, Resume, Delete, Export, Create];
const READ: &[Verb] = &[Get, Export];

const SOURCE_GROUP: &str = "source.toolkit.fluxcd.io";
const IMAGE_GROUP: &str = "image.toolkit.fluxcd.io";
const NOTIFICATION_GROUP: &str = "notification.toolkit.fluxcd.io";

/// What most kinds have in common.
const BASE: Kind = Kind {
    kind: "",
    group: SOURCE_GROUP,
    version: "v1",
    plural: "",
    noun: &[],
    plural_noun: "",
    aliases: &[],
    human: "",
    columns: SOURCE_COLUMNS,
    wide: &[URL, INTERVAL],
    cuts_hashes: true,
    is_static: false,
    verbs: ALL,
};

pub(crate) static OCI_REPOSITORY: Kind = Kind {
    kind: "OCIRepository",
    plural: "ocirepositories",
    noun: &["source", "oci"],
    human: "source oci",
    ..BASE
};
pub(crate) static BUCKET: Kind = Kind {
    kind: "Bucket",
    plural: "buckets",
    noun: &["source", "bucket"],
    human: "source bucket",
    wide: &[column("Endpoint", |object| object.text("/spec/endpoint").to_owned()), INTERVAL],
    ..BASE
};
pub(crate) static GIT_REPOSITORY: Kind = Kind {
    kind: "GitRepository",
    plural: "gitrepositories",
    noun: &["source", "git"],
    human: "source git",
    ..BASE
};
pub(crate) static HELM_REPOSITORY: Kind = Kind {
    kind: "HelmRepository",
    plural: "helmrepositories",
    noun: &["source", "helm"],
    human: "source helm",
    ..BASE
};
pub(crate) static HELM_CHART: Kind = Kind {
    kind: "HelmChart",
    plural: "helmcharts",
    noun: &["source", "chart"],
    human: "source chart",
    wide: &[column("Chart", |object| object.text("/spec/chart").to_owned()), INTERVAL],
    ..BASE
};
pub(crate) static EXTERNAL_ARTIFACT: Kind = Kind {
    kind: "ExternalArtifact",
    plural: "externalartifacts",
    noun: &["source", "external"],
    human: "source external",
    columns: &[ARTIFACT_REVISION, column("Source", |object| reference(object, &["/spec/sourceRef"]))],
    wide: &[],
    verbs: READ,
    ..BASE
};
pub(crate) static IMAGE_REPOSITORY: Kind = Kind {
    kind: "ImageRepository",
    group: IMAGE_GROUP,
    plural: "imagerepositories",
    noun: &["image", "repository"],
    human: "image repository",
    columns: &[
        column("Last scan", |object| time::rfc3339(object.text("/status/lastScanResult/scanTime"))),
        SUSPENDED,
    ],
    wide: &[column("Image", |object| object.text("/spec/image").to_owned()), INTERVAL],
    cuts_hashes: false,
    ..BASE
};
pub(crate) static IMAGE_POLICY: Kind = Kind {
    kind: "ImagePolicy",
    group: IMAGE_GROUP,
    plural: "imagepolicies",
    noun: &["image", "policy"],
    human: "image policy",
    columns: &[
        column("Image", |object| object.text("/status/latestRef/name").to_owned()),
        column("Tag", |object| object.text("/status/latestRef/tag").to_owned()),
    ],
    wide: &[],
    cuts_hashes: false,
    ..BASE
};
pub(crate) static IMAGE_UPDATE_AUTOMATION: Kind = Kind {
    kind: "ImageUpdateAutomation",
    group: IMAGE_GROUP,
    plural: "imageupdateautomations",
    noun: &["image", "update"],
    human: "image update automation",
    columns: &[
        column("Last run", |object| time::rfc3339(object.text("/status/lastAutomationRunTime"))),
        SUSPENDED,
    ],
    wide: &[column("Source", |object| reference(object, &["/spec/sourceRef"])), INTERVAL],
    cuts_hashes: false,
    ..BASE
};
pub(crate) static HELM_RELEASE: Kind = Kind {
    kind: "HelmRelease",
    group: "helm.toolkit.fluxcd.io",
    version: "v2",
    plural: "helmreleases",
    noun: &["helmrelease"],
    plural_noun: "helmreleases",
    aliases: &["hr"],
    human: "helmrelease",
    columns: &[SOURCE, column("Revision", helm_revision), SUSPENDED],
    wide: &[INTERVAL],
    cuts_hashes: false,
    ..BASE
};
pub(crate) static KUSTOMIZATION: Kind = Kind {
    kind: "Kustomization",
    group: "kustomize.toolkit.fluxcd.io",
    plural: "kustomizations",
    noun: &["kustomization"],
    plural_noun: "kustomizations",
    aliases: &["ks"],
    human: "kustomization",
    columns: &[
        SOURCE,
        column("Revision", |object| object.text("/status/lastAppliedRevision").to_owned()),
        SUSPENDED,
    ],
    wide: &[column("Path", |object| object.text("/spec/path").to_owned()), INTERVAL],
    ..BASE
};
pub(crate) static RECEIVER: Kind = Kind {
    kind: "Receiver",
    group: NOTIFICATION_GROUP,
    plural: "receivers",
    noun: &["receiver"],
    plural_noun: "receivers",
    human: "receiver",
    columns: &[SUSPENDED],
    wide: &[column("Webhook path", |object| object.text("/status/webhookPath").to_owned())],
    cuts_hashes: false,
    ..BASE
};
pub(crate) static PROVIDER: Kind = Kind {
    kind: "Provider",
    group: NOTIFICATION_GROUP,
    version: "v1beta3",
    plural: "providers",
    noun: &["alert-provider"],
    plural_noun: "alert-providers",
    aliases: &["provider"],
    human: "alert provider",
    columns: &[],
    wide: &[column("Type", |object| object.text("/spec/type").to_owned())],
    cuts_hashes: false,
    is_static: true,
    verbs: STATIC,
};
pub(crate) static ALERT: Kind = Kind {
    kind: "Alert",
    group: NOTIFICATION_GROUP,
    version: "v1beta3",
    plural: "alerts",
    noun: &["alert"],
    plural_noun: "alerts",
    human: "alert",
    columns: &[SUSPENDED],
    wide: &[column("Provider", |object| object.text("/spec/providerRef/name").to_owned())],
    cuts_hashes: false,
    is_static: true,
    verbs: STATIC,
    ..BASE
};
pub(crate) static ARTIFACT_GENERATOR: Kind = Kind {
    kind: "ArtifactGenerator",
    group: "source.extensions.fluxcd.io",
    version: "v1beta1",
    plural: "artifactgenerators",
    noun: &["artifact", "generator"],
    plural_noun: "generators",
    human: "artifact generator",
    columns: &[column("Suspended", |object| {
        let switch = object.tag("annotations", "source.extensions.fluxcd.io/reconcile");
        title_case(switch.eq_ignore_ascii_case(sluice_api::meta::DISABLED_VALUE))
    })],
    wide: &[],
    cuts_hashes: false,
    verbs: READ,
    ..BASE
};

/// All kinds, in the order of `get all`.
pub(crate) static KINDS: [&Kind; 15] = [
    &OCI_REPOSITORY,
    &BUCKET,
    &GIT_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &EXTERNAL_ARTIFACT,
    &IMAGE_REPOSITORY,
    &IMAGE_POLICY,
    &IMAGE_UPDATE_AUTOMATION,
    &HELM_RELEASE,
    &KUSTOMIZATION,
    &RECEIVER,
    &PROVIDER,
    &ALERT,
    &ARTIFACT_GENERATOR,
];

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Kind {}

impl Kind {
    /// A kind by its name in any letter case, its plural, or `singular.group`.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        let name = name.split('.').next().unwrap_or(name);
        KINDS.into_iter().find(|kind| {
            kind.kind.eq_ignore_ascii_case(name)
                || kind.plural.eq_ignore_ascii_case(name)
                || kind.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }

    /// `group/version`.
    pub(crate) fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// What the client needs to know.
    pub(crate) fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.into(),
            version: self.version.into(),
            api_version: self.api_version(),
            kind: self.kind.into(),
            plural: self.plural.into(),
        }
    }

    /// The name of its definition.
    pub(crate) fn crd(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// Whether nothing reconciles this object.
    pub(crate) fn is_static(&self, object: &Object) -> bool {
        self.is_static || is_oci_helm_repository(self, object)
    }

    /// What a table says of its state: READY and MESSAGE.
    pub(crate) fn state(&self, object: &Object) -> (String, String) {
        if self.is_static {
            return ("True".into(), format!("{} is Ready", self.kind));
        }
        if is_oci_helm_repository(self, object) {
            return ("True".into(), "Helm repository is Ready".into());
        }
        match object.ready() {
            Some(ready) => (ready.status.to_owned(), self.cut(ready.message)),
            None => ("False".into(), "waiting to be reconciled".into()),
        }
    }

    /// A cell of one of the columns.
    pub(crate) fn cell(&self, column: &Column, object: &Object) -> String {
        if column.title == "Revision" && self.kind == "HelmChart" {
            return (column.value)(object);
        }
        self.cut(&(column.value)(object))
    }

    fn cut(&self, text: &str) -> String {
        if self.cuts_hashes { cut_hashes(text) } else { text.to_owned() }
    }

    /// What is said of an object that was reconciled.
    pub(crate) fn success(&self, object: &Object) -> String {
        match self.kind {
            "Kustomization" => format!("applied revision {}", object.text("/status/lastAppliedRevision")),
            "HelmRelease" => format!("applied revision {}", helm_revision(object)),
            "ImageRepository" => {
                format!(
                    "scan fetched {} tags",
                    object.number("/status/lastScanResult/tagCount").unwrap_or_default()
                )
            }
            "ImagePolicy" => {
                let (name, tag) =
                    (object.text("/status/latestRef/name"), object.text("/status/latestRef/tag"));
                let digest = object.text("/status/latestRef/digest");
                let digest = if digest.is_empty() { String::new() } else { format!("@{digest}") };
                format!("selected ref {name}:{tag}{digest}")
            }
            "ImageUpdateAutomation" => {
                object.ready().map_or_else(String::new, |ready| ready.message.to_owned())
            }
            "Receiver" => "Receiver reconciliation completed".to_owned(),
            _ => format!("fetched revision {}", object.text("/status/artifact/revision")),
        }
    }

    /// `kustomization`, `source git` …: the words of a command.
    pub(crate) fn words(&self) -> String {
        self.noun.join(" ")
    }

    /// Whether a verb goes with it.
    pub(crate) fn takes(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }
}

fn is_oci_helm_repository(kind: &Kind, object: &Object) -> bool {
    kind.kind == "HelmRepository" && object.text("/spec/type") == "oci"
}

/// The version of the chart that is installed, or the one that was tried.
fn helm_revision(object: &Object) -> String {
    match object.text("/status/history/0/chartVersion") {
        "" => object.text("/status/lastAttemptedRevision").to_owned(),
        version => version.to_owned(),
    }
}

fn reference(object: &Object, pointers: &[&str]) -> String {
    pointers
        .iter()
        .find_map(|pointer| object.reference(pointer))
        .map_or_else(String::new, |found| found.to_string())
}

fn title_case(value: bool) -> String {
    if value { "True".into() } else { "False".into() }
}

/// Cuts lower-case hexadecimal words of 40 to 128 characters to eight.
pub(crate) fn cut_hashes(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut word = String::new();
    let flush = |word: &mut String, result: &mut String| {
        let hex = word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        let kept = if hex && (40..=128).contains(&word.len()) { &word[..8] } else { word.as_str() };
        result.push_str(kept);
        word.clear();
    };
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character);
        } else {
            flush(&mut word, &mut result);
            result.push(character);
        }
    }
    flush(&mut word, &mut result);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_long_lower_case_hashes_are_cut() {
        let sha = "696f056df216eea4f9401adbee0ff744d4df390f";
        assert_eq!(cut_hashes(&format!("main@sha1:{sha}")), "main@sha1:696f056d");
        assert_eq!(cut_hashes(&format!("stored {sha}, {sha}")), "stored 696f056d, 696f056d");
        let upper = sha.to_uppercase();
        for kept in [&sha[..39], upper.as_str(), &format!("x{sha}"), &format!("{sha}_"), &"a".repeat(129)] {
            assert_eq!(cut_hashes(kept), kept);
        }
        assert_eq!(cut_hashes(&"a".repeat(128)), "aaaaaaaa");
    }

    #[test]
    fn the_state_of_kinds_without_status_is_made_up() {
        let waiting = ("False".to_owned(), "waiting to be reconciled".to_owned());
        assert_eq!(GIT_REPOSITORY.state(&Object(json!({}))), waiting);
        assert_eq!(ALERT.state(&Object(json!({}))).1, "Alert is Ready");
        assert_eq!(
            HELM_REPOSITORY.state(&Object(json!({"spec": {"type": "oci"}}))).1,
            "Helm repository is Ready"
        );
        assert_eq!(HELM_REPOSITORY.state(&Object(json!({}))), waiting);
    }

    #[test]
    fn kinds_are_found_by_any_of_their_names() {
        for name in [
            "kustomization",
            "Kustomization",
            "ks",
            "kustomizations",
            "Kustomization.kustomize.toolkit.fluxcd.io",
        ] {
            assert_eq!(Kind::named(name).unwrap().kind, "Kustomization", "{name}");
        }
        assert!(Kind::named("deployment").is_none());
    }

    #[test]
    fn a_release_tells_the_installed_version_before_the_tried_one() {
        let object = Object(
            json!({"status": {"lastAttemptedRevision": "2.0.0", "history": [{"chartVersion": "1.0.0"}]}}),
        );
        assert_eq!(HELM_RELEASE.success(&object), "applied revision 1.0.0");
        let object = Object(json!({"status": {"lastAttemptedRevision": "2.0.0"}}));
        assert_eq!(HELM_RELEASE.success(&object), "applied revision 2.0.0");
    }
}
