//! ImageRepositories, ImagePolicies and ImageUpdateAutomations that users have, in every version that they are written in.

use crate::gitops::{GitOps, is_ready, message};
use crate::images::{AUTOMATION, IMAGE, POLICY, REPOSITORY, deployment, images_with};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::json;
use sluice_tests::{documents, workspace};

/// The host and the namespace of the fixtures are a user's: ours take their place.
const THEIR_IMAGE: &str = "registry.example.test/acme/shop";

#[tokio::test(flavor = "multi_thread")]
async fn image_objects_that_users_have_work_in_every_version() -> Result<()> {
    let ops = GitOps::start("images-old", &[]).await?;
    images_with(ops, &[], async |set| {
        set.registry.push("acme/shop", &["v1.1.0", "v1.2.0", "v2.0.0", "1.9.0", "latest"]).await?;
        let image = set.registry.image("acme/shop");
        let login = base64::engine::general_purpose::STANDARD.encode("user:pass");
        let config = json!({"auths": {set.registry.address(): {"auth": login}}}).to_string();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "registry-credentials"}, "stringData": {".dockerconfigjson": config},
        });
        set.ops.apply(&secret.to_string()).await?;
        let versions = ["v1beta1", "v1beta2", "v1"];
        for version in versions {
            let marker = format!("{}:shop-{version}", set.ops.namespace);
            let text = deployment(&format!("{image}:v1.0.0"), &marker);
            set.ops.repository.write(&format!("deploy/{version}.yaml"), text)?;
        }
        let first = set.ops.repository.commit("One")?;
        set.ops.git_repository_named("shop", set.ops.repository.url(), json!({})).await?;
        let folder = workspace().join("tests/fixtures/manifests");
        let git = &set.ops.repository;
        for version in versions {
            let text = std::fs::read_to_string(folder.join(format!("image-{version}.yaml")))?;
            for mut document in documents(&text.replace(THEIR_IMAGE, &image))? {
                document["metadata"]["namespace"] = json!(set.ops.namespace);
                set.ops.apply(&document.to_string()).await?;
            }
            let name = format!("shop-{version}");
            let scanned = set.until(REPOSITORY, &name, "scanned", is_ready).await?;
            ensure!(
                scanned.data["status"]["lastScanResult"]["tagCount"] == 5,
                "{:?}",
                scanned.data["status"]
            );
            let chosen = set.until(POLICY, &name, "ready", is_ready).await?;
            ensure!(chosen.data["status"]["latestRef"]["tag"] == "v1.2.0", "{:?}", chosen.data["status"]);
            if version == "v1beta1" {
                // Nothing is committed with a template that cannot be what its author meant; the fix is told.
                let removed = set.ops.fails(IMAGE, AUTOMATION, &name, "RemovedTemplateField").await?;
                ensure!(message(&removed).contains("Please use '.Changed' instead"), "{}", message(&removed));
                let template =
                    "Update images\n\n{{ range .Changed.Changes }}{{ println .NewValue }}{{ end }}";
                let change = json!({"spec": {"git": {"commit": {"messageTemplate": template}}}});
                set.ops.patch(IMAGE, AUTOMATION, &name, change).await?;
            }
            let commit = set.pushed(&name, "").await.with_context(|| name.clone())?;
            ensure!(git.git(["rev-parse", "image-updates"])? == commit && git.head()? == first);
            let changed = git.git(["show", "--numstat", "--format=", &commit])?;
            ensure!(changed == format!("1\t1\tdeploy/{version}.yaml"), "{changed}");
            let said = git.git(["log", "-1", "--format=%an <%ae>|%B", &commit])?;
            let what = match version {
                "v1beta1" => format!("{image}:v1.2.0"),
                "v1beta2" => format!("{image}:v1.0.0 -> {image}:v1.2.0"),
                _ => format!("Deployment/shop {image}:v1.2.0"),
            };
            ensure!(said.trim() == format!("image bot <bot@example.test>|Update images\n\n{what}"), "{said}");
            // Nothing is new: nothing is committed. Then it leaves the field to the next one.
            set.ops.reconcile_kind(IMAGE, AUTOMATION, &name).await?;
            ensure!(git.git(["rev-parse", "image-updates"])? == commit, "a commit without a change");
            set.ops.patch(IMAGE, AUTOMATION, &name, json!({"spec": {"suspend": true}})).await?;
            set.ops.reconcile_kind(IMAGE, AUTOMATION, &name).await?;
        }
        Ok(())
    })
    .await
}
