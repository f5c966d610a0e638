//! What a resource is called: group, version, kind, name, namespace.

use std::fmt;

use smol_str::SmolStr;

/// Group, version and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gvk {
    pub(crate) group: SmolStr,
    pub(crate) version: SmolStr,
    pub(crate) kind: SmolStr,
}

/// The namespace that cluster-scoped resources count to.
pub(crate) const NO_NAMESPACE: SmolStr = SmolStr::new_static("_non_namespaceable_");
const DEFAULT_NAMESPACE: SmolStr = SmolStr::new_static("default");

/// Group and version of an apiVersion.
pub(crate) fn parse_api_version(api_version: &str) -> (SmolStr, SmolStr) {
    match api_version.split_once('/') {
        Some((group, version)) => (group.into(), version.into()),
        None => (SmolStr::default(), api_version.into()),
    }
}

impl Gvk {
    pub(crate) fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = parse_api_version(api_version);
        Self { group, version, kind: kind.into() }
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether each member that the selector names is equal here.
    pub(crate) fn is_selected(&self, selector: &Gvk) -> bool {
        self.is_selected_as(&self.kind, selector)
    }

    /// Like [`Self::is_selected`], were it of another kind.
    pub(crate) fn is_selected_as(&self, kind: &SmolStr, selector: &Gvk) -> bool {
        (selector.group.is_empty() || selector.group == self.group)
            && (selector.version.is_empty() || selector.version == self.version)
            && (selector.kind.is_empty() || selector.kind == *kind)
    }

    /// The order of configured fields.
    pub(crate) fn sort_key(&self) -> (i32, String) {
        let rank = crate::sort::default_rank(&self.kind);
        let or =
            |text: &SmolStr, blank: &str| if text.is_empty() { blank.to_owned() } else { text.to_string() };
        (rank, format!("{}_{}_{}", or(&self.group, "~G"), or(&self.version, "~V"), or(&self.kind, "~K")))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.group.is_empty() && self.version.is_empty() && self.kind.is_empty()
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &SmolStr, blank: &'static str| {
            if text.is_empty() { SmolStr::new_static(blank) } else { text.clone() }
        };
        write!(
            out,
            "{}.{}.{}",
            or(&self.kind, "[noKind]"),
            or(&self.version, "[noVer]"),
            or(&self.group, "[noGrp]")
        )
    }
}

/// The namespace that counts when identifiers are compared.
pub(crate) fn effective_namespace(namespace: &SmolStr, cluster_scoped: bool) -> SmolStr {
    if cluster_scoped {
        NO_NAMESPACE
    } else if namespace.is_empty() {
        DEFAULT_NAMESPACE
    } else {
        namespace.clone()
    }
}

/// The full identifier of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ResId {
    pub(crate) gvk: Gvk,
    pub(crate) name: SmolStr,
    pub(crate) namespace: SmolStr,
    /// Known to have no namespace. Identifiers from the past and from selectors never are.
    pub(crate) cluster_scoped: bool,
}

/// An identifier as it is compared: with the effective namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdKey {
    gvk: Gvk,
    name: SmolStr,
    namespace: SmolStr,
}

impl ResId {
    pub(crate) fn effective_namespace(&self) -> SmolStr {
        effective_namespace(&self.namespace, self.cluster_scoped)
    }

    pub(crate) fn same_namespace(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.effective_namespace(), other.effective_namespace());
        mine == theirs
    }

    /// Equal but for the spelling of the default namespace.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.name == other.name && self.gvk == other.gvk && self.same_namespace(other)
    }

    pub(crate) fn key(&self) -> IdKey {
        IdKey { gvk: self.gvk.clone(), name: self.name.clone(), namespace: self.effective_namespace() }
    }

    /// Exact match of the members that the selector names.
    pub(crate) fn is_selected_by(&self, selector: &Self) -> bool {
        (selector.name.is_empty() || selector.name == self.name)
            && (selector.namespace.is_empty() || selector.same_namespace(self))
            && self.gvk.is_selected(&selector.gvk)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gvk.is_empty() && self.name.is_empty() && self.namespace.is_empty()
    }
}

impl fmt::Display for ResId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "[noName]" } else { self.name.as_str() };
        let namespace = if self.namespace.is_empty() { "[noNs]" } else { self.namespace.as_str() };
        write!(out, "{}/{name}.{namespace}", self.gvk)
    }
}
