//! Who the controllers under test are: service accounts with the roles of an installation, and nothing else.

use crate::{Cluster, ControlPlane, documents, programs};
use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::sync::OnceCell;

/// Where the accounts of the controllers under test are, on the shared control plane.
const NAMESPACE: &str = "sluice-identities";

/// The objects that say who may do what, as `sluice install` makes them.
const KINDS: [&str; 5] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// The account of each namespace that may do everything, where controllers may do nothing but what their own roles say.
pub(crate) const APPLIER: &str = "applier";

/// Whether the controllers under test may do nothing but what their own roles say (`SLUICE_TEST_LOCKDOWN`): what they apply,
/// they then apply as the [`APPLIER`] of the object's namespace.
pub(crate) fn locked_down() -> bool {
    std::env::var_os("SLUICE_TEST_LOCKDOWN").is_some()
}

/// A kubeconfig by which a program is a service account, for a day.
pub async fn account_kubeconfig(
    plane: &ControlPlane,
    namespace: &str,
    name: &str,
    folder: &Path,
) -> Result<PathBuf> {
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client().await?, namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(24 * 60 * 60), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
    let answer = answer.with_context(|| format!("no token for {namespace}/{name}"))?;
    let token = answer.status.context("no token")?.token;
    let text = fs::read_to_string(&plane.facts().kubeconfig)?;
    let mut config: Value = serde_saphyr::from_str(&text).map_err(|error| anyhow!("{error}"))?;
    for user in config["users"].as_array_mut().context("no users")? {
        user["user"] = json!({"token": token});
    }
    let path = folder.join(format!("{namespace}-{name}"));
    fs::write(&path, config.to_string())?;
    Ok(path)
}

/// The kubeconfig of a controller under test on the shared control plane. With a namespace, it may lead there.
pub async fn of_controller(plane: &ControlPlane, name: &str, leads_in: Option<&str>) -> Result<PathBuf> {
    static ROLES: OnceCell<Vec<Value>> = OnceCell::const_new();
    static FOLDER: OnceCell<tempfile::TempDir> = OnceCell::const_new();
    let cluster = Cluster { client: plane.client().await?, namespace: NAMESPACE.into() };
    let roles = ROLES.get_or_try_init(|| install(&cluster)).await?;
    if let Some(namespace) = leads_in {
        for role in roles.iter().filter(|role| role["metadata"]["name"] == format!("{name}-leader-election"))
        {
            let mut role = role.clone();
            role["metadata"]["namespace"] = namespace.into();
            cluster.apply(&role.to_string()).await?;
        }
    }
    let folder = FOLDER.get_or_try_init(|| async { tempfile::tempdir() }).await?;
    let path = folder.path().join(format!("{NAMESPACE}-{name}"));
    if path.is_file() {
        return Ok(path);
    }
    // Cases that run beside each other may both come here: each writes a file of its own, and one stays.
    let own = tempfile::tempdir_in(folder.path())?;
    let made = account_kubeconfig(plane, NAMESPACE, name, own.path()).await?;
    fs::rename(made, &path)?;
    Ok(path)
}

/// Makes accounts and roles; the same again changes nothing. Returns them.
async fn install(cluster: &Cluster) -> Result<Vec<Value>> {
    let binaries = tokio::task::spawn_blocking(programs::binaries).await??;
    let mut command = tokio::process::Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(["install", "--export", "--components-extra=image-controller", "--namespace", NAMESPACE]);
    let output = command.stdin(Stdio::null()).output().await?;
    ensure!(output.status.success(), "no manifests: {}", String::from_utf8_lossy(&output.stderr));
    let mut roles = documents(&String::from_utf8(output.stdout)?)?;
    roles.retain(|object| KINDS.iter().any(|kind| object["kind"] == *kind));
    roles.retain(|role| !(locked_down() && role["roleRef"]["name"] == "cluster-admin"));
    for role in &mut roles {
        // This is no installation that a case may find.
        if let Some(metadata) = role["metadata"].as_object_mut() {
            metadata.remove("labels");
        }
    }
    cluster.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}")).await?;
    for role in &roles {
        cluster.apply(&role.to_string()).await?;
    }
    Ok(roles)
}
