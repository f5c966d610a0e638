use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Duration, LocalObjectReference, impl_reconcilable, omit, string_enum};

/// Who may send webhooks, and what they set off.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1",
    kind = "Receiver",
    doc = "Receiver takes webhooks and has objects reconciled.",
    namespaced,
    status = "ReceiverStatus",
    derive = "PartialEq",
    plural = "receivers",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
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
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)",
        "message": "generic-oidc receivers must define at least one oidcProvider"
    },
    {
        "rule": "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0",
        "message": "oidcProviders can only be set when type is generic-oidc"
    },
    {
        "rule": "self.type != 'generic-oidc' || !has(self.secretRef)",
        "message": "secretRef cannot be set when type is generic-oidc"
    },
    {
        "rule": "self.type == 'generic-oidc' || has(self.secretRef)",
        "message": "secretRef is required when type is not generic-oidc"
    }
]))]
pub struct ReceiverSpec {
    /// The events that count, for senders that name their events; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// How often to look whether the Secret changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "10m"))]
    pub interval: Option<Duration>,
    /// Who vouches for senders. Only for generic-oidc.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuerURL"]))]
    pub oidc_providers: Vec<OidcProvider>,
    /// A CEL expression over the request and a resource that tells whether the resource is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_filter: String,
    /// The objects to reconcile.
    pub resources: Vec<ReceiverResource>,
    /// A Secret with the token that senders must know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// Who sends.
    #[serde(rename = "type")]
    pub type_: ReceiverType,
}

/// One object, or several, of a kind in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverResource {
    /// The API version of the objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// A CEL expression over the request and a resource that tells whether the resource is meant. Goes before
    /// `resourceFilter`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// The kind of the objects.
    #[schemars(extend("enum" = ["Bucket", "GitRepository", "Kustomization", "HelmRelease", "HelmChart", "HelmRepository", "ImageRepository", "ImagePolicy", "ImageUpdateAutomation", "OCIRepository", "ArtifactGenerator", "ExternalArtifact"]))]
    pub kind: String,
    /// Labels that the objects must have. Only with the name `*`, which needs them; an empty map stands for all objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// The object's name, or `*` for all.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace of the objects; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: String,
}

impl ReceiverResource {
    /// The namespace of the objects, given that of the object that refers to them.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.namespace.is_empty() { own } else { &self.namespace }
    }
}

/// Someone who vouches for senders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcProvider {
    /// The audience that tokens must name; notification-controller when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// The address of the issuer of tokens.
    #[serde(rename = "issuerURL")]
    #[schemars(regex(pattern = "^https?://"))]
    pub issuer_url: String,
    /// What must be true of a token.
    #[schemars(length(min = 1))]
    pub validations: Vec<OidcValidation>,
    /// Values that the validations use, worked out in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<OidcVariable>,
}

/// A value that validations use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcVariable {
    /// A CEL expression over the token's claims and earlier variables.
    pub expression: String,
    /// Its name: `vars.<name>`.
    pub name: String,
}

/// What must be true of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcValidation {
    /// A CEL expression over the token's claims and the variables.
    pub expression: String,
    /// What the sender is told when it is not true.
    pub message: String,
}

string_enum! {
    /// Who sends webhooks.
    pub enum ReceiverType {
        /// Anyone who knows the path.
        Generic = "generic",
        /// Anyone who signs with the token.
        GenericHmac = "generic-hmac",
        /// Anyone whom an OpenID Connect provider vouches for.
        GenericOidc = "generic-oidc",
        /// GitHub.
        GitHub = "github",
        /// GitLab.
        GitLab = "gitlab",
        /// Bitbucket Server.
        Bitbucket = "bitbucket",
        /// Harbor.
        Harbor = "harbor",
        /// Docker Hub.
        DockerHub = "dockerhub",
        /// Quay.
        Quay = "quay",
        /// Google Container Registry or Artifact Registry.
        Gcr = "gcr",
        /// Nexus.
        Nexus = "nexus",
        /// Azure Container Registry.
        Acr = "acr",
        /// Senders of CDEvents.
        CdEvents = "cdevents",
    }
}

/// What is known of a receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct ReceiverStatus {
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub observed_generation: i64,
    /// The path that webhooks are sent to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub webhook_path: String,
}

impl_reconcilable!(
    Receiver, ReceiverStatus,
    |spec| suspend: spec.suspend, interval: Some(spec.interval.unwrap_or(Duration::from_secs(600)))
);
