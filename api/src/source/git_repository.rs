use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{
    AccessFrom, Artifact, Condition, Duration, LocalObjectReference, impl_reconcilable, omit, schema,
    string_enum,
};

/// Which Git repository to fetch, how often, and what of it becomes the artifact.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "GitRepository",
    doc = "GitRepository makes an artifact of a Git repository.",
    namespaced,
    status = "GitRepositoryStatus",
    derive = "PartialEq",
    plural = "gitrepositories",
    shortname = "gitrepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))",
    "message": "serviceAccountName can only be set when provider is 'azure' or 'aws'"
}]))]
pub struct GitRepositorySpec {
    /// Deprecated and without effect: who else may use the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Deprecated and without effect: which Git library to use.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["go-git", "libgit2"]))]
    pub git_implementation: String,
    /// Patterns, as in a .gitignore file, of what is left out of the artifact. They replace the default patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Other GitRepositories whose artifacts are copied into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<GitRepositoryInclude>,
    /// How often to look for changes. Some jitter may be added.
    pub interval: Duration,
    /// How to authenticate: with a Secret (generic) or by a cloud provider's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,
    /// A Secret with the address of a proxy, and its user name and password if it needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// Whether to fetch submodules too, with their own settings.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub recurse_submodules: bool,
    /// What to check out: the branch master unless told otherwise.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRepositoryReference>,
    /// A Secret with credentials. Over HTTPS: username and password, or bearerToken, and a certificate authority
    /// (ca.crt). Over SSH: identity and known_hosts, and the password of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The ServiceAccount whose identity is used with the providers azure and aws.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// Directories to which the checkout and the artifact are limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// How long Git operations may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timeout", extend("default" = "60s"))]
    pub timeout: Option<Duration>,
    /// The address of the repository: HTTP, HTTPS or SSH.
    #[schemars(regex(pattern = "^(http|https|ssh)://.*$"))]
    pub url: String,
    /// Which signatures must be valid, and whose they may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<GitRepositoryVerification>,
}

impl GitRepositorySpec {
    /// How long Git operations may take, with the default applied.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(60))
    }
}

string_enum! {
    /// How a Git server is authenticated to.
    #[derive(Default)]
    pub enum GitProvider {
        /// By what the Secret holds.
        #[default]
        Generic = "generic",
        /// By an identity of AWS, for CodeCommit.
        Aws = "aws",
        /// By an identity of Azure, for DevOps.
        Azure = "azure",
        /// By a GitHub App.
        GitHub = "github",
    }
}

/// Another GitRepository whose artifact is copied in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryInclude {
    /// What to copy: the root of the other artifact when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from_path: String,
    /// The other GitRepository.
    pub repository: LocalObjectReference,
    /// Where to put it: at the other repository's name when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to_path: String,
}

impl GitRepositoryInclude {
    /// Where to put the copy, with the default applied.
    pub fn to_path(&self) -> &str {
        if self.to_path.is_empty() { &self.repository.name } else { &self.to_path }
    }
}

/// What to check out. The commit goes before the name, the name before the tag, the tag before the version range, that
/// before the branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryReference {
    /// A branch: master when no field is set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The id of a commit. With a branch, the commit is looked for there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// A full reference such as refs/heads/main, refs/tags/v0.1.0 or refs/pull/420/head.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A range of versions: the tag of the newest version in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub semver: String,
    /// A tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
}

/// Which signatures must be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryVerification {
    /// Whether to verify the commit (HEAD; head means the same), the tag, or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "HEAD"))]
    pub mode: Option<GitVerificationMode>,
    /// A Secret with the public keys of trusted authors: PGP under keys that end in .asc, SSH in .sshpub.
    #[serde(default)]
    #[schemars(!default)]
    pub secret_ref: LocalObjectReference,
}

impl GitRepositoryVerification {
    /// What to verify, with the default applied and the old spelling replaced.
    pub fn mode(&self) -> GitVerificationMode {
        match self.mode {
            None | Some(GitVerificationMode::OldHead) => GitVerificationMode::Head,
            Some(mode) => mode,
        }
    }
}

string_enum! {
    /// What is verified in a Git repository.
    pub enum GitVerificationMode {
        /// The commit, in the spelling of old versions.
        OldHead = "head",
        /// The commit that is checked out.
        Head = "HEAD",
        /// The tag that is checked out.
        Tag = "Tag",
        /// Both.
        TagAndHead = "TagAndHEAD",
    }
}

/// What is known of a Git repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct GitRepositoryStatus {
    /// The last artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The artifacts that were copied in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub observed_generation: i64,
    /// The ignore patterns that the artifact was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The includes that the artifact was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitRepositoryInclude>,
    /// Whether the artifact was made with submodules.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub observed_recurse_submodules: bool,
    /// The directories that the artifact was limited to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// What was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,
}

impl_reconcilable!(
    GitRepository, GitRepositoryStatus,
    |spec| suspend: spec.suspend, interval: Some(spec.interval),
    ignored: {
        "spec.accessFrom": spec.access_from.is_some(),
        "spec.gitImplementation": !spec.git_implementation.is_empty(),
    }
);
