//! `create tenant`: namespaces, and an account that may do what it likes there and nothing elsewhere.

use anyhow::{Result, bail};
use clap::Args;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::{Common, checked, draft};
use crate::app::App;
use crate::documents;
use crate::failure::misuse;

/// Flags of `create tenant`.
#[derive(Args)]
pub(super) struct TenantArgs {
    /// The name of the tenant.
    name: Option<String>,
    /// The tenant's namespaces.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    with_namespace: Vec<String>,
    /// The ClusterRole that the tenant has in them.
    #[arg(long, default_value = "cluster-admin")]
    cluster_role: String,
    /// The name of the service account [default: the tenant's].
    #[arg(long)]
    with_service_account: Option<String>,
    /// Leave the namespaces themselves alone.
    #[arg(long)]
    skip_namespace: bool,
}

const TENANT_LABEL: &str = "toolkit.fluxcd.io/tenant";

pub(super) async fn run(app: &App, common: &Common, args: &TenantArgs) -> Result<()> {
    let name = checked(args.name.as_ref())?;
    if args.with_namespace.is_empty() {
        return Err(misuse("with-namespace is required"));
    }
    for namespace in &args.with_namespace {
        if !crate::app::is_dns_label(namespace) {
            bail!("namespace '{namespace}' is invalid");
        }
    }
    let labels = draft::labels(&common.label)?;
    let objects: Vec<Value> =
        args.with_namespace.iter().flat_map(|namespace| objects(name, namespace, args, &labels)).collect();
    if common.export {
        for object in &objects {
            app.output.data(format!("---\n{}", documents::yaml(object)?))?;
        }
        return Ok(());
    }
    for object in &objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, object_name) = (text("/kind"), text("/metadata/name"));
        let created = app.bounded("applying the object", apply(app, object)).await?;
        let verb = if created { "created" } else { "reconciled" };
        app.output.success(&format!("{} {object_name} {verb}", kind.to_lowercase()));
    }
    Ok(())
}

/// What belongs to a namespace of a tenant.
fn objects(tenant: &str, namespace: &str, args: &TenantArgs, labels: &Map<String, Value>) -> Vec<Value> {
    let mut labels = labels.clone();
    labels.insert(TENANT_LABEL.into(), tenant.into());
    let account = args.with_service_account.as_deref().unwrap_or(tenant);
    let metadata = |name: &str| json!({"labels": labels, "name": name, "namespace": namespace});
    let mut objects = Vec::new();
    if !args.skip_namespace {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels, "name": namespace},
        }));
    }
    objects.push(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(account)}));
    objects.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(&format!("{tenant}-reconciler")),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": args.cluster_role},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": format!("gotk:{namespace}:reconciler")},
            {"kind": "ServiceAccount", "name": account, "namespace": namespace},
        ],
    }));
    objects
}

/// Whether it was created.
async fn apply(app: &App, object: &Value) -> Result<bool> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", text("/apiVersion")));
    let kind = text("/kind");
    let resource = ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: text("/apiVersion").into(),
        kind: kind.into(),
        plural: kind.to_lowercase() + "s",
    };
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
    let api = app.cluster().await?.of(&resource, namespace);
    let known = api.get_opt(text("/metadata/name")).await?.is_some();
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    api.patch(text("/metadata/name"), &PatchParams::apply("flux").force(), &Patch::Apply(&object)).await?;
    Ok(!known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_an_account_bound_in_its_namespace() {
        let args = TenantArgs {
            name: None,
            with_namespace: Vec::new(),
            cluster_role: "admin".into(),
            with_service_account: Some("robot".into()),
            skip_namespace: false,
        };
        let objects = objects("dev", "dev-apps", &args, &Map::new());
        let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["Namespace", "ServiceAccount", "RoleBinding"]);
        assert_eq!(objects[0]["metadata"]["labels"][TENANT_LABEL], "dev");
        assert_eq!(objects[2]["metadata"]["name"], "dev-reconciler");
        assert_eq!(objects[2]["subjects"][0]["name"], "gotk:dev-apps:reconciler");
        assert_eq!(objects[2]["subjects"][1]["name"], "robot");
    }
}
