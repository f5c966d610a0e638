//! From a new tag in a registry to a commit, and to the cluster.

use crate::gitops::{GitOps, is_ready, message};
use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{Controller, Registry, condition, wait};
use std::os::unix::fs::PermissionsExt as _;

pub(crate) const IMAGE: &str = "image.toolkit.fluxcd.io/v1";
pub(crate) const REPOSITORY: &str = "ImageRepository";
pub(crate) const POLICY: &str = "ImagePolicy";
pub(crate) const AUTOMATION: &str = "ImageUpdateAutomation";

/// A registry and an image-controller beside the two controllers of the main path.
pub(crate) struct Images {
    pub(crate) images: Controller,
    pub(crate) registry: Registry,
    pub(crate) ops: GitOps,
}

/// Runs a case with a plain Git server.
async fn images(prefix: &str, case: impl AsyncFnOnce(&mut Images) -> Result<()>) -> Result<()> {
    images_with(GitOps::start(prefix, &[]).await?, &[], case).await
}

/// Runs a case with these controllers, and with these arguments for the image-controller.
pub(crate) async fn images_with(
    ops: GitOps,
    arguments: &[&str],
    case: impl AsyncFnOnce(&mut Images) -> Result<()>,
) -> Result<()> {
    let plane = ops.setting.plane;
    let mut builder =
        tokio::task::spawn_blocking(move || Controller::builder(plane, "image-controller")).await??;
    for argument in arguments {
        builder = builder.argument(*argument);
    }
    let images = builder.namespace(&ops.setting.namespace).start().await?;
    let registry = Registry::start().await?;
    let mut setting = Images { images, registry, ops };
    let outcome = case(&mut setting).await;
    let outcome = outcome
        .map_err(|error| error.context(format!("--- image-controller\n{}", setting.images.log_tail())));
    setting.ops.explain(outcome)
}

impl Images {
    pub(crate) async fn create(&self, kind: &str, name: &str, spec: Value) -> Result<()> {
        let object = json!({"apiVersion": IMAGE, "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.ops.apply(&object.to_string()).await.map(drop)
    }

    /// An ImageRepository and a policy of the name, which takes the highest version.
    pub(crate) async fn image(&self, name: &str) -> Result<()> {
        let image = self.registry.image(name);
        self.create(REPOSITORY, name, json!({"image": image, "interval": "1h"})).await?;
        let policy =
            json!({"imageRepositoryRef": {"name": name}, "policy": {"semver": {"range": ">=1.0.0"}}});
        self.create(POLICY, name, policy).await
    }

    pub(crate) async fn automation(&self, name: &str, git: Value, update: Value) -> Result<()> {
        self.automation_of("app", name, git, update).await
    }

    pub(crate) async fn automation_of(
        &self,
        source: &str,
        name: &str,
        git: Value,
        update: Value,
    ) -> Result<()> {
        let spec = json!({
            "interval": "1h", "sourceRef": {"kind": "GitRepository", "name": source}, "git": git, "update": update,
        });
        self.create(AUTOMATION, name, spec).await
    }

    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&DynamicObject) -> bool + Send + Sync,
    ) -> Result<DynamicObject> {
        wait::until(&self.ops.api(IMAGE, kind).await?, name, what, holds).await
    }

    /// Waits until an automation has pushed something else than `before`, and returns the commit.
    pub(crate) async fn pushed(&self, name: &str, before: &str) -> Result<String> {
        let pushed = self
            .until(AUTOMATION, name, "another commit pushed", |object| {
                let commit = object.data["status"]["lastPushCommit"].as_str();
                commit.is_some_and(|commit| commit != before) && is_ready(object)
            })
            .await?;
        Ok(pushed.data["status"]["lastPushCommit"].as_str().context("no commit")?.to_owned())
    }

    /// A new tag, and a look for it.
    pub(crate) async fn release(&self, name: &str, tag: &str) -> Result<()> {
        self.registry.push(name, &[tag]).await?;
        self.ops.request_reconcile(IMAGE, REPOSITORY, name).await.map(drop)
    }
}

pub(crate) fn deployment(image: &str, marker: &str) -> String {
    format!(
        "# The shop.\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop}}\n\n\nspec:\n    selector: \
         {{matchLabels: {{app: shop}}}}\n    template:\n        metadata: {{labels: {{app: shop}}}}\n        spec:\n          \
         containers:\n          -   name: shop\n              image: '{image}'   # {{\"$imagepolicy\": \"{marker}\"}}\n"
    )
}

pub(crate) fn author() -> Value {
    json!({"name": "Robot", "email": "robot@example.com"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tag_becomes_a_commit_and_the_commit_a_rollout() -> Result<()> {
    images("images", async |set| {
        let image = set.registry.image("shop");
        set.registry.push("shop", &["1.0.0", "1.1.0-rc.1", "latest", "sha256-1.sig"]).await?;
        let marker = format!("{}:shop", set.ops.namespace);
        set.ops.repository.write("deploy/shop.yaml", deployment(&format!("{image}:1.0.0"), &marker))?;
        set.ops.repository.write("deploy/other.txt", "kept")?;
        let first = set.ops.repository.commit("One")?;
        // The work tree beside the repository is no reason to refuse a push.
        set.ops.repository.git(["config", "receive.denyCurrentBranch", "ignore"])?;
        set.ops.git_repository(json!({})).await?;
        set.ops.kustomization("app", json!({"path": "./deploy"})).await?;
        set.image("shop").await?;
        let template = "{{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }}\n{{ end }}";
        let git = json!({"commit": {"author": author(), "messageTemplate": template}});
        set.automation("auto", git, json!({"path": "./deploy", "strategy": "Setters"})).await?;

        let scanned = set.until(REPOSITORY, "shop", "scanned", is_ready).await?;
        ensure!(scanned.data["status"]["lastScanResult"]["tagCount"] == 3, "{:?}", scanned.data["status"]);
        let idle = set.until(AUTOMATION, "auto", "ready", is_ready).await?;
        ensure!(message(&idle) == "repository up-to-date" && idle.data["status"]["lastPushCommit"].is_null());
        ensure!(set.ops.repository.head()? == first, "an empty commit");

        set.release("shop", "1.2.0").await?;
        let commit = set.pushed("auto", "").await?;
        let git = &set.ops.repository;
        ensure!(git.git(["rev-parse", "main"])? == commit);
        let changed = git.git(["show", "--numstat", "--format=", "main"])?;
        ensure!(changed == "1\t1\tdeploy/shop.yaml", "{changed}");
        let said = git.git(["log", "-1", "--format=%an <%ae>|%B", "main"])?;
        let expected = format!("Robot <robot@example.com>|{image}:1.0.0 -> {image}:1.2.0");
        ensure!(said.trim() == expected, "{said}");
        git.git(["fsck", "--strict", "--no-dangling"])?;
        set.ops.request_reconcile(crate::gitops::SOURCE, "GitRepository", "app").await?;
        set.ops.applied("app", &commit).await?;
        let shop = set.ops.api("apps/v1", "Deployment").await?.get("shop").await?;
        let running = &shop.data["spec"]["template"]["spec"]["containers"][0]["image"];
        ensure!(running == format!("{image}:1.2.0").as_str(), "{running}");

        // A restart neither scans nor commits: tags are on disk, and nothing is new.
        set.images.kill();
        set.images.restart().await?;
        set.ops.reconcile_kind(IMAGE, POLICY, "shop").await?;
        set.ops.reconcile_kind(IMAGE, AUTOMATION, "auto").await?;
        let policy = set.until(POLICY, "shop", "ready", is_ready).await?;
        ensure!(policy.data["status"]["latestRef"]["tag"] == "1.2.0");
        ensure!(git.git(["rev-parse", "main"])? == commit, "a commit without a change");

        // A hook that refuses is quoted, and nothing is lost when it gives in.
        let hook = set.ops.repository.work().join("refuse");
        let hooks = git.git(["rev-parse", "--git-path", "hooks/update"])?;
        std::fs::write(&hook, "#!/bin/sh\necho protected by policy >&2\nexit 1\n")?;
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
        std::fs::create_dir_all(std::path::Path::new(&hooks).parent().context("no folder")?)?;
        std::fs::rename(&hook, &hooks)?;
        set.release("shop", "1.3.0").await?;
        let refused = set.ops.fails(IMAGE, AUTOMATION, "auto", "GitOperationFailed").await?;
        ensure!(message(&refused).contains("protected by policy"), "{}", message(&refused));
        ensure!(git.git(["rev-parse", "main"])? == commit);
        std::fs::remove_file(&hooks)?;
        set.pushed("auto", &commit).await?;
        ensure!(git.git(["log", "--format=%H", "main"])?.lines().count() == 3);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_automations_share_a_branch_and_lose_nothing() -> Result<()> {
    images("share", async |set| {
        for name in ["one", "two"] {
            set.registry.push(name, &["1.0.0"]).await?;
            let marker = format!("{}:{name}", set.ops.namespace);
            let image = format!("{}:0.9.0", set.registry.image(name));
            let file = format!("{name}/x.yaml");
            set.ops
                .repository
                .write(&file, format!("image: {image} # {{\"$imagepolicy\": \"{marker}\"}}\n"))?;
        }
        // A marker of a policy that does not exist is told with file and line.
        let marker = format!("{}:none", set.ops.namespace);
        set.ops
            .repository
            .write("one/y.yaml", format!("a: b\nx: y # {{\"$imagepolicy\": \"{marker}\"}}\n"))?;
        let first = set.ops.repository.commit("One")?;
        set.ops.git_repository(json!({})).await?;
        let push = json!({"branch": "auto", "refspec": "refs/heads/auto:refs/heads/copy"});
        for name in ["one", "two"] {
            set.image(name).await?;
            let git = json!({"commit": {"author": author()}, "push": push});
            set.automation(name, git, json!({"path": name})).await?;
        }
        set.pushed("one", "").await?;
        set.pushed("two", "").await?;
        let git = &set.ops.repository;
        ensure!(git.git(["rev-parse", "main"])? == first, "the checked out branch was pushed");
        for branch in ["auto", "copy"] {
            for name in ["one", "two"] {
                let file = git.git(["show", &format!("{branch}:{name}/x.yaml")])?;
                ensure!(file.contains(&format!("{}:1.0.0 #", set.registry.image(name))), "{branch}: {file}");
            }
        }
        let count = git.git(["rev-list", "--count", "main..auto"])?;
        ensure!(count == "2", "{count} commits");
        set.ops
            .told(AUTOMATION, "one", "of the marker", |_, reason, text| {
                reason == "UnresolvedMarkers" && text.contains("one/y.yaml: line 2")
            })
            .await?;
        // Nothing is new: nothing is committed.
        set.ops.reconcile_kind(IMAGE, AUTOMATION, "one").await?;
        ensure!(git.git(["rev-list", "--count", "main..auto"])? == "2", "a commit without a change");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_says_why() -> Result<()> {
    images("bad-images", async |set| {
        set.registry.push("app", &["1.0.0", "x"]).await?;
        set.image("app").await?;
        let image = set.registry.image("app");
        set.create(REPOSITORY, "tagged", json!({"image": format!("{image}:v1"), "interval": "1h"})).await?;
        set.create(REPOSITORY, "none", json!({"image": set.registry.image("none"), "interval": "1h"}))
            .await?;
        let policy = |choice: Value| json!({"imageRepositoryRef": {"name": "app"}, "policy": choice});
        set.create(POLICY, "range", policy(json!({"semver": {"range": "newest"}}))).await?;
        set.create(POLICY, "number", policy(json!({"numerical": {}}))).await?;
        let missing = json!({"imageRepositoryRef": {"name": "nowhere"}, "policy": {"alphabetical": {}}});
        set.create(POLICY, "missing", missing).await?;
        set.create(
            AUTOMATION,
            "no-git",
            json!({"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "x"}}),
        )
        .await?;
        for (kind, name, why, text) in [
            (REPOSITORY, "tagged", "ImageURLInvalid", "should not include a tag; remove ':v1'"),
            (REPOSITORY, "none", "ReadOperationFailed", "NAME_UNKNOWN"),
            (POLICY, "range", "InvalidPolicy", "improper constraint: \"newest\""),
            (POLICY, "number", "Failure", "failed to parse invalid numeric value 'x'"),
            (POLICY, "missing", "DependencyNotReady", "does not exist"),
            (AUTOMATION, "no-git", "InvalidSourceConfiguration", "necessitates field .spec.git"),
        ] {
            let failed = set.ops.fails(IMAGE, kind, name, why).await?;
            ensure!(message(&failed).contains(text), "{name}: {}", message(&failed));
            let stalled = ["ImageURLInvalid", "InvalidPolicy", "InvalidSourceConfiguration"].contains(&why);
            ensure!((condition(&failed, "Stalled") == Some("True")) == stalled, "{name}: {:?}", failed.data);
        }
        Ok(())
    })
    .await
}
