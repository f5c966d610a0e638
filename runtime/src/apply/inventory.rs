//! Which object: identity, and its form in the inventory of a status.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use sluice_api::meta::{ResourceInventory, ResourceRef};

use super::Change;

/// Identity of an object. The version of its API is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

/// Kinds whose names may hold a colon, which an inventory stores as two underscores.
const RBAC_KINDS: [&str; 4] = ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];

impl ObjectId {
    /// `<namespace>_<name>_<group>_<kind>`.
    pub fn to_inventory(&self) -> String {
        let Self { namespace, name, group, kind } = self;
        if group == "rbac.authorization.k8s.io" && RBAC_KINDS.contains(&kind.as_str()) {
            return format!("{namespace}_{}_{group}_{kind}", name.replace(':', "__"));
        }
        format!("{namespace}_{name}_{group}_{kind}")
    }

    /// The identity that an inventory names. `None` when it has too few parts.
    pub fn from_inventory(id: &str) -> Option<Self> {
        let (namespace, rest) = id.split_once('_')?;
        let (rest, kind) = rest.rsplit_once('_')?;
        let (name, group) = rest.rsplit_once('_')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.replace("__", ":"),
            group: group.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

impl fmt::Display for ObjectId {
    /// `<kind>/<namespace>/<name>`, or `<kind>/<name>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{}/{}", self.kind, self.name),
            namespace => write!(f, "{}/{namespace}/{}", self.kind, self.name),
        }
    }
}

/// An object in an inventory: identity and the version of its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Which object.
    pub id: ObjectId,
    /// The version without the group.
    pub version: String,
}

impl Tracked {
    /// The `apiVersion`.
    pub fn api_version(&self) -> String {
        match self.id.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The entry in a status.
    pub fn to_entry(&self) -> ResourceRef {
        ResourceRef { id: self.id.to_inventory(), version: self.version.clone() }
    }
}

/// The objects of an inventory. Entries that do not parse are left out.
pub fn read(inventory: Option<&ResourceInventory>) -> Vec<Tracked> {
    let entries = inventory.map(|inventory| inventory.entries.as_slice()).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| {
            Some(Tracked { id: ObjectId::from_inventory(&entry.id)?, version: entry.version.clone() })
        })
        .collect()
}

/// The inventory of a set of changes, in their order.
pub fn write(changes: &[Change]) -> ResourceInventory {
    ResourceInventory { entries: changes.iter().map(|change| change.tracked.to_entry()).collect() }
}

/// Stands for an inventory, in this process only.
pub fn digest(inventory: Option<&ResourceInventory>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entry in inventory.iter().flat_map(|inventory| &inventory.entries) {
        (&entry.id, &entry.version).hash(&mut hasher);
    }
    hasher.finish()
}

/// The objects of the old inventory that the new one lacks.
pub fn stale(old: Option<&ResourceInventory>, new: &ResourceInventory) -> Vec<Tracked> {
    let kept: HashSet<_> = read(Some(new)).into_iter().map(|tracked| tracked.id).collect();
    read(old).into_iter().filter(|tracked| !kept.contains(&tracked.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_flux() {
        for (id, subject) in [
            ("default_podinfo__Service", "Service/default/podinfo"),
            ("_apps__Namespace", "Namespace/apps"),
            (
                "_widgets.example.com_apiextensions.k8s.io_CustomResourceDefinition",
                "CustomResourceDefinition/widgets.example.com",
            ),
            ("_system__node_rbac.authorization.k8s.io_ClusterRole", "ClusterRole/system:node"),
            ("a_b_apps_Deployment", "Deployment/a/b"),
        ] {
            let parsed = ObjectId::from_inventory(id).unwrap();
            assert_eq!(parsed.to_string(), subject);
            assert_eq!(parsed.to_inventory(), id);
        }
        assert_eq!(ObjectId::from_inventory("a_b"), None);
        assert_eq!(ObjectId::from_inventory(""), None);
    }

    #[test]
    fn another_version_of_the_api_is_the_same_object() {
        let inventory = |entries: &[(&str, &str)]| ResourceInventory {
            entries: entries
                .iter()
                .map(|(id, v)| ResourceRef { id: (*id).into(), version: (*v).into() })
                .collect(),
        };
        let old = inventory(&[("a_b_x.io_X", "v1"), ("a_c_x.io_X", "v1")]);
        let new = inventory(&[("a_b_x.io_X", "v2")]);
        let stale = stale(Some(&old), &new);
        assert_eq!(stale.len(), 1);
        assert_eq!((stale[0].id.name.as_str(), stale[0].api_version().as_str()), ("c", "x.io/v1"));
    }
}
