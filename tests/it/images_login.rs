//! Image updates with logins that others give: GitHub Apps, and registries of clouds.

use crate::cloud::{Amazon, REGISTRY};
use crate::git_providers::{GitHub, app_key};
use crate::gitops::{GitOps, is_ready, message};
use crate::images::{AUTOMATION, IMAGE, REPOSITORY, author, deployment, images_with};
use crate::setting::Setting;
use anyhow::{Result, ensure};
use serde_json::json;
use sluice_tests::{Access, condition, reason, wait};

#[tokio::test(flavor = "multi_thread")]
async fn an_automation_pushes_as_a_github_app_and_gets_another_token_when_one_is_refused() -> Result<()> {
    let Some(key) = app_key()? else { return Ok(()) };
    let github = GitHub::start().await?;
    images_with(GitOps::start("images-app", &[]).await?, &[], async |set| {
        let token = |number: usize| Access::Basic("x-access-token".into(), format!("ghs_s3cret{number}"));
        let image = set.registry.image("shop");
        set.registry.push("shop", &["1.0.0"]).await?;
        let marker = format!("{}:shop", set.ops.namespace);
        set.ops.repository.write("shop.yaml", deployment(&format!("{image}:1.0.0"), &marker))?;
        set.ops.repository.commit("One")?;
        let app = json!({
            "githubAppID": "42", "githubAppPrivateKey": key, "githubAppBaseURL": github.url,
            "githubAppInstallationOwner": "acme",
        });
        set.ops.secret("app", app).await?;
        // Whoever asks first has the first token; both controllers have one each.
        set.ops.server.set_access(Access::AnyOf(vec![token(1), token(2)]));
        set.ops.git_repository(json!({"provider": "github", "secretRef": {"name": "app"}})).await?;
        set.image("shop").await?;
        set.automation("auto", json!({"commit": {"author": author()}}), json!({})).await?;
        set.until(AUTOMATION, "auto", "ready", is_ready).await?;
        set.release("shop", "1.1.0").await?;
        let pushed = set.pushed("auto", "").await?;
        ensure!(set.ops.repository.git(["rev-parse", "main"])? == pushed);

        // No token of before is good any more: one run fails, and the next has another.
        set.ops.server.set_access(Access::AnyOf((3..30).map(token).collect()));
        set.release("shop", "1.2.0").await?;
        let pushed = set.pushed("auto", &pushed).await?;
        ensure!(set.ops.repository.git(["rev-parse", "main"])? == pushed);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_a_cloud_is_scanned_with_the_identity_of_its_service_account() -> Result<()> {
    let (setting, amazon) = (Setting::new("images-cloud").await?, Amazon::start().await?);
    let images = amazon.controller(&setting, "image-controller").await?;
    let role = "arn:aws:iam::123456789012:role/pull";
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "puller", "annotations": {"eks.amazonaws.com/role-arn": role}},
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy"},
            "stringData": {"address": amazon.url},
        }),
    ];
    for object in objects {
        setting.apply(&object.to_string()).await?;
    }
    for (name, registry) in [("role", REGISTRY), ("foreign", "registry.example.test")] {
        let spec = json!({
            "image": format!("{registry}/app"), "interval": "1h", "timeout": "20s", "provider": "aws",
            "serviceAccountName": "puller", "proxySecretRef": {"name": "proxy"},
        });
        let object =
            json!({"apiVersion": IMAGE, "kind": REPOSITORY, "metadata": {"name": name}, "spec": spec});
        setting.apply(&object.to_string()).await?;
    }
    let api = setting.api(IMAGE, REPOSITORY).await?;
    let outcome = async {
        for (name, why, text) in [
            // The login went well: it is the registry that is not reached.
            ("role", "ReadOperationFailed", REGISTRY),
            ("foreign", "AuthenticationFailed", "'registry.example.test' is no registry of aws"),
        ] {
            let failed = wait::until(&api, name, why, |object| {
                condition(object, "Ready") == Some("False") && reason(object, "Ready") == Some(why)
            });
            let said = message(&failed.await?);
            ensure!(said.contains(text) && !said.contains("p4ss"), "{name}: {said}");
        }
        ensure!(amazon.asked("Action=AssumeRoleWithWebIdentity").len() == 1);
        ensure!(amazon.asked("/eu-west-1/ecr/aws4_request").len() == 1);
        Ok(())
    };
    outcome.await.map_err(|error: anyhow::Error| error.context(images.log_tail()))
}
