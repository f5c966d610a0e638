//! Other clusters by `spec.kubeConfig`: here the same one, entered by another door, with an account that may little.

use crate::gitops::{GitOps, KUSTOMIZE, gitops, message};
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;
use kube::config::Kubeconfig;
use serde_json::json;
use sluice_tests::{ControlPlane, wait};

/// An account that may write ConfigMaps in this namespace and nothing else.
async fn account(ops: &GitOps) -> Result<()> {
    let rbac = "rbac.authorization.k8s.io/v1";
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer"}}),
        json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "deployer"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}),
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "deployer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": ops.namespace}]}),
    ] {
        ops.apply(&object.to_string()).await?;
    }
    Ok(())
}

/// The authority of the API server's certificate, in PEM.
pub(crate) fn authority(plane: &ControlPlane) -> Result<String> {
    let config = Kubeconfig::read_from(&plane.facts().kubeconfig)?;
    let cluster = config.clusters.first().and_then(|named| named.cluster.as_ref()).context("no cluster")?;
    match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => Ok(String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data)?)?),
        (None, Some(path)) => Ok(std::fs::read_to_string(path)?),
        _ => anyhow::bail!("the kubeconfig names no authority"),
    }
}

/// A Kustomization for the account's cluster is applied with its rights, and another namespace is not in reach.
async fn works_with_the_rights_of_the_account(
    ops: &GitOps,
    name: &str,
    reference: serde_json::Value,
    commit: &str,
) -> Result<()> {
    ops.kustomization(name, json!({"kubeConfig": reference, "namePrefix": format!("{name}-")})).await?;
    ops.applied(name, commit).await?;
    ensure!(ops.find("v1", "ConfigMap", &format!("{name}-map")).await?.is_some());
    let beyond = format!("{name}-beyond");
    let spec = json!({"kubeConfig": reference, "targetNamespace": "default", "namePrefix": format!("{}-", ops.namespace)});
    ops.kustomization(&beyond, spec).await?;
    let failed = ops.fails(KUSTOMIZE, "Kustomization", &beyond, "ReconciliationFailed").await?;
    let user = format!("system:serviceaccount:{}:deployer", ops.namespace);
    ensure!(message(&failed).contains(&user), "{}", message(&failed));
    ops.delete(KUSTOMIZE, "Kustomization", name).await?;
    wait::gone(&ops.api(KUSTOMIZE, "Kustomization").await?, name).await?;
    ensure!(ops.find("v1", "ConfigMap", &format!("{name}-map")).await?.is_none(), "it was not pruned there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_leads_to_a_cluster_with_its_rights() -> Result<()> {
    gitops("kubeconfig", async |ops| {
        account(ops).await?;
        let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"map"}}"#;
        ops.repository.write("map.yaml", map)?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        let reference = json!({"secretRef": {"name": "remote", "key": "config"}});
        ops.kustomization("missing", json!({"kubeConfig": reference})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "missing", "ReconciliationFailed").await?;
        let text = format!("unable to read KubeConfig secret '{}/remote' error:", ops.namespace);
        ensure!(message(&failed).contains(&text), "{}", message(&failed));

        let accounts = Api::<ServiceAccount>::namespaced(ops.client.clone(), &ops.namespace);
        let request = k8s_openapi::api::authentication::v1::TokenRequest::default();
        let answer = accounts.create_token_request("deployer", &kube::api::PostParams::default(), &request).await?;
        let token = serde_json::to_value(&answer)?["status"]["token"].as_str().context("no token")?.to_owned();
        let authority = base64::engine::general_purpose::STANDARD.encode(authority(ops.plane)?);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": ops.plane.facts().server, "certificate-authority-data": authority}}],
            "users": [{"name": "c", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        });
        ops.secret("remote", json!({"config": config.to_string()})).await?;
        works_with_the_rights_of_the_account(ops, "remote", reference, &commit).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_leads_to_a_cluster_that_trusts_accounts_of_this_one() -> Result<()> {
    gitops("configmapref", async |ops| {
        account(ops).await?;
        let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"map"}}"#;
        ops.repository.write("map.yaml", map)?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        let config = |data: serde_json::Value| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster"}, "data": data}).to_string()
        };
        // An audience that this API server knows itself by: the only one that it accepts.
        let audience = "https://kubernetes.default.svc";
        let server = ops.plane.facts().server.clone();
        let good = json!({"provider": "generic", "address": server, "ca.crt": authority(ops.plane)?, "audiences": audience,
            "serviceAccountName": "deployer"});
        let mut bad = good.clone();
        bad["serviceAccountName"] = "nobody".into();
        ops.apply(&config(bad)).await?;
        let reference = json!({"configMapRef": {"name": "cluster"}});
        ops.kustomization("app", json!({"kubeConfig": reference})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "ReconciliationFailed").await?;
        let text = format!("cannot get a token of ServiceAccount '{}/nobody'", ops.namespace);
        ensure!(message(&failed).contains(&text), "{}", message(&failed));
        ops.delete(KUSTOMIZE, "Kustomization", "app").await?;
        ops.apply(&config(good)).await?;
        works_with_the_rights_of_the_account(ops, "remote", reference, &commit).await
    })
    .await
}
