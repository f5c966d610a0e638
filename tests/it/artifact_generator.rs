//! Artifacts composed of several sources, and those who build from them.

use crate::charts::write_chart;
use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, is_ready, message};
use crate::helm::HELM;
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{Controller, GitServer, condition, reason, wait};
use std::collections::BTreeSet;

const EXTENSIONS: &str = "source.extensions.fluxcd.io/v1beta1";
const GENERATOR: &str = "ArtifactGenerator";
const EXTERNAL: &str = "ExternalArtifact";

/// With both gates open.
async fn generators(prefix: &str, case: impl AsyncFnOnce(&mut GitOps) -> Result<()>) -> Result<()> {
    let source =
        ["--feature-gates=ArtifactGenerator=true", "--no-cross-namespace-refs", "--requeue-dependency=1s"];
    let (setting, server) = (Setting::new(prefix).await?, GitServer::start().await?);
    let external = ["--feature-gates=ExternalArtifact=true"];
    let mut ops = GitOps::start_all(setting, server, &source, &external, None).await?;
    let outcome = case(&mut ops).await;
    ops.explain(outcome)
}

impl GitOps {
    /// Applies a generator of the GitRepository `app`, with these fields of its spec changed.
    async fn generator(&self, name: &str, spec: Value) -> Result<()> {
        let mut base = json!({"sources": [{"alias": "app", "kind": "GitRepository", "name": "app"}]});
        if let (Value::Object(base), Value::Object(spec)) = (&mut base, spec) {
            base.extend(spec);
        }
        let object =
            json!({"apiVersion": EXTENSIONS, "kind": GENERATOR, "metadata": {"name": name}, "spec": base});
        self.apply(&object.to_string()).await.map(drop)
    }

    /// Waits until a generator has made exactly these artifacts.
    async fn made(&self, name: &str, outputs: &[&str]) -> Result<DynamicObject> {
        let api = self.api(EXTENSIONS, GENERATOR).await?;
        wait::until(&api, name, &format!("ready with {outputs:?}"), |object| {
            let inventory = object.data["status"]["inventory"].as_array().cloned().unwrap_or_default();
            let names: BTreeSet<_> = inventory.iter().filter_map(|output| output["name"].as_str()).collect();
            // Its generation is noted in the condition only.
            let ready = object.data["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|c| c["type"] == "Ready");
            let current = ready.is_some_and(|ready| {
                ready["status"] == "True"
                    && ready["observedGeneration"].as_i64() == object.metadata.generation
            });
            names == outputs.iter().copied().collect() && current
        })
        .await
    }

    /// Waits until an ExternalArtifact has another digest than this.
    async fn external(&self, name: &str, old: &str) -> Result<DynamicObject> {
        let api = self.api(SOURCE, EXTERNAL).await?;
        wait::until(&api, name, &format!("ready, other than {old:?}"), |object| {
            digest(object) != old && !digest(object).is_empty() && condition(object, "Ready") == Some("True")
        })
        .await
    }

    /// Waits until a Kustomization has applied this revision.
    async fn builds(&self, name: &str, artifact: &DynamicObject) -> Result<DynamicObject> {
        let api = self.api(KUSTOMIZE, "Kustomization").await?;
        let revision = artifact.data["status"]["artifact"]["revision"].clone();
        wait::until(&api, name, &format!("ready at {revision}"), |object| {
            object.data["status"]["lastAppliedRevision"] == revision && is_ready(object)
        })
        .await
    }
}

fn digest(object: &DynamicObject) -> &str {
    object.data["status"]["artifact"]["digest"].as_str().unwrap_or_default()
}

fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_one_folder_wakes_only_those_who_use_it() -> Result<()> {
    generators("monorepo", async |ops| {
        for app in ["Web", "api"] {
            ops.repository.write(&format!("apps/{app}/map.yaml"), map(&app.to_lowercase(), "one"))?;
        }
        ops.repository.write("apps/Web/README.md", "not for the cluster")?;
        ops.repository.commit("Two apps")?;
        ops.git_repository(json!({})).await?;
        ops.generator(
            "apps",
            json!({
                "pathPattern": "@app/apps/{app}",
                "commonMetadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}},
                "artifacts": [{
                    "name": "{app}", "originRevision": "@app",
                    "copy": [{"from": "@app/apps/{app}/**", "to": "@artifact/", "exclude": ["*.md"]}],
                }],
            }),
        )
        .await?;
        ops.made("apps", &["web", "api"]).await?;
        let (web, api) = (ops.external("web", "").await?, ops.external("api", "").await?);
        let generator = ops.get(EXTENSIONS, GENERATOR, "apps").await?;
        ensure!(web.labels()["source.extensions.fluxcd.io/generator"] == generator.uid().context("no uid")?);
        ensure!(web.labels()["app"] == "web" && web.labels()["team"] == "shop", "{:?}", web.labels());
        ensure!(web.annotations()["note"] == "x", "{:?}", web.annotations());
        ensure!(web.data["spec"]["sourceRef"]["name"] == "apps", "{}", web.data);
        let artifact = &web.data["status"]["artifact"];
        ensure!(artifact["revision"] == format!("latest@{}", digest(&web)), "{artifact}");
        let origin = artifact["metadata"]["org.opencontainers.image.revision"].as_str().unwrap_or_default();
        ensure!(origin.starts_with("main@sha1:"), "{artifact}");
        for app in ["web", "api"] {
            let source = json!({"kind": EXTERNAL, "name": app});
            ops.kustomization(app, json!({"sourceRef": source})).await?;
        }
        ops.builds("web", &web).await?;
        ops.builds("api", &api).await?;
        let runs = async || {
            let api = ops.get(KUSTOMIZE, "Kustomization", "api").await?;
            anyhow::Ok(api.data["status"]["history"].clone())
        };
        let before = runs().await?;

        ops.repository.write("apps/Web/map.yaml", map("web", "two"))?;
        ops.push("A change of one app").await?;
        let changed = ops.external("web", digest(&web)).await?;
        ops.builds("web", &changed).await?;
        let value = ops.get("v1", "ConfigMap", "web").await?;
        ensure!(value.data["data"]["value"] == "two", "{}", value.data);
        ops.told(GENERATOR, "apps", "of the artifact", |_, reason, message| {
            reason == "Ready" && message.contains("/web (sha256:") && !message.contains("/api (sha256:")
        })
        .await?;
        ops.made("apps", &["web", "api"]).await?;
        let same = ops.external("api", "").await?;
        ensure!(digest(&same) == digest(&api), "the other artifact is another");
        ensure!(
            same.data["status"]["artifact"]["lastUpdateTime"]
                == api.data["status"]["artifact"]["lastUpdateTime"],
            "the other artifact was written again"
        );
        let after = runs().await?;
        ensure!(
            before == after && before.is_array(),
            "a Kustomization ran whose folder did not change: {after}"
        );

        // A file that was lost is made again, and an object that somebody removed.
        std::fs::remove_file(ops.file(&changed)?)?;
        ops.reconcile_kind(EXTENSIONS, GENERATOR, "apps").await?;
        ensure!(ops.file(&changed)?.is_file(), "the lost file is not there");
        let externals = ops.api(SOURCE, EXTERNAL).await?;
        externals.delete("api", &kube::api::DeleteParams::default()).await?;
        let again = ops.external("api", "").await?;
        ensure!(digest(&again) == digest(&api) && again.uid() != api.uid(), "{:?}", again.metadata);

        // A folder that goes takes its artifact along.
        ops.repository.remove("apps/api/map.yaml")?;
        ops.push("One app less").await?;
        ops.made("apps", &["web"]).await?;
        wait::gone(&externals, "api").await?;
        ensure!(!ops.file(&api)?.exists(), "the file of an artifact that went is there");

        let generators = ops.api(EXTENSIONS, GENERATOR).await?;
        generators.delete("apps", &kube::api::DeleteParams::default()).await?;
        wait::gone(&generators, "apps").await?;
        wait::gone(&externals, "web").await?;
        ensure!(!ops.file(&changed)?.exists(), "the file of a generator that went is there");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_composed_of_several_sources_and_released() -> Result<()> {
    generators("composed", async |ops| {
        let plane = ops.plane;
        let helm = tokio::task::spawn_blocking(move || Controller::builder(plane, "helm-controller")).await??;
        let helm = helm.argument("--feature-gates=ExternalArtifact=true").namespace(&ops.namespace);
        let helm = helm.start().await?;
        write_chart(ops.repository.work(), "shop", "1.2.3", "")?;
        ops.repository.write("unused", "x")?;
        ops.repository.commit("A chart")?;
        let values = ops.server.repository("values")?;
        values.write("prod/values.yaml", "replicas: 7\n")?;
        values.commit("Values")?;
        ops.git_repository(json!({})).await?;
        ops.git_repository_named("values", values.url(), json!({})).await?;
        let spec = |overlay: &str| {
            json!({
                "sources": [
                    {"alias": "app", "kind": "GitRepository", "name": "app"},
                    {"alias": "values", "kind": "GitRepository", "name": "values"},
                ],
                "artifacts": [{"name": "shop", "revision": "@values", "copy": [
                    {"from": "@app/shop", "to": "@artifact/"},
                    {"from": format!("@values/{overlay}/values.yaml"), "to": "@artifact/shop/values.yaml", "strategy": "Merge"},
                ]}],
            })
        };
        ops.generator("shop", spec("prod")).await?;
        ops.made("shop", &["shop"]).await?;
        let artifact = ops.external("shop", "").await?;
        let revision = artifact.data["status"]["artifact"]["revision"].as_str().unwrap_or_default().to_owned();
        ensure!(revision == format!("main@sha1:{}", values.head()?), "{revision}");
        let release = json!({
            "apiVersion": HELM, "kind": "HelmRelease", "metadata": {"name": "shop"},
            "spec": {"interval": "1h", "timeout": "1m", "chartRef": {"kind": EXTERNAL, "name": "shop"}},
        });
        ops.apply(&release.to_string()).await?;
        let api = ops.api(HELM, "HelmRelease").await?;
        let released = wait::until(&api, "shop", "released", is_ready).await;
        released.map_err(|error| error.context(helm.log_tail()))?;
        let value = ops.get("v1", "ConfigMap", "shop").await?;
        ensure!(value.data["data"]["replicas"] == "7", "{}", value.data);

        // What fails leaves the last good artifact.
        ops.generator("shop", spec("test")).await?;
        let failed = ops.fails(EXTENSIONS, GENERATOR, "shop", "BuildFailed").await?;
        let expected = "shop build failed: failed to apply copy operation from '@values/test/values.yaml' to \
                        '@artifact/shop/values.yaml': source 'test/values.yaml' does not exist";
        ensure!(message(&failed) == expected, "{}", message(&failed));
        let same = ops.external("shop", "").await?;
        ensure!(digest(&same) == digest(&artifact) && ops.file(&same)?.is_file(), "the artifact went");

        // The annotation is what suspends it; without it, the run catches up.
        let annotate = async |value: Option<&str>| {
            let key = "source.extensions.fluxcd.io/reconcile";
            let patch = json!({"metadata": {"annotations": {key: value}}});
            let api = ops.api(EXTENSIONS, GENERATOR).await?;
            let params = kube::api::PatchParams::default();
            api.patch("shop", &params, &kube::api::Patch::Merge(patch)).await.map_err(anyhow::Error::from)
        };
        annotate(Some("Disabled")).await?;
        ops.told(GENERATOR, "shop", "of the suspension", |_, reason, _| reason == "ReconciliationDisabled").await?;
        ops.generator("shop", spec("prod")).await?;
        ops.reconcile_kind(EXTENSIONS, GENERATOR, "shop").await?;
        let disabled = ops.get(EXTENSIONS, GENERATOR, "shop").await?;
        ensure!(condition(&disabled, "Ready") == Some("False"), "{}", disabled.data["status"]);
        annotate(None).await?;
        ops.made("shop", &["shop"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn generators_that_cannot_be_say_why() -> Result<()> {
    generators("generators", async |ops| {
        ops.repository.write("map.yaml", map("one", "x"))?;
        ops.repository.commit("A file")?;
        ops.git_repository(json!({})).await?;
        let artifact = |name: &str| json!({"name": name, "copy": [{"from": "@app/", "to": "@artifact/"}]});
        let foreign =
            json!([{"alias": "app", "kind": "GitRepository", "name": "app", "namespace": "default"}]);
        let missing = json!([{"alias": "app", "kind": "Bucket", "name": "none"}]);
        ops.generator("first", json!({"artifacts": [artifact("taken")]})).await?;
        ops.made("first", &["taken"]).await?;
        for (name, spec, why, says, stalled) in [
            (
                "twice",
                json!({"artifacts": [artifact("a"), artifact("a")]}),
                "ValidationFailed",
                "duplicate artifact name 'a' found",
                true,
            ),
            (
                "foreign",
                json!({"sources": foreign, "artifacts": [artifact("a")]}),
                "AccessDenied",
                "cross-namespace reference to source GitRepository/default/app is not allowed",
                true,
            ),
            (
                "missing",
                json!({"sources": missing, "artifacts": [artifact("a")]}),
                "SourceFetchFailed",
                "not found",
                false,
            ),
            (
                "pattern",
                json!({"pathPattern": "@app/{a", "artifacts": [artifact("a")]}),
                "BuildFailed",
                "the brace at offset 0 has no other",
                true,
            ),
            (
                "second",
                json!({"artifacts": [artifact("taken")]}),
                "ReconciliationFailed",
                "belongs to ArtifactGenerator",
                false,
            ),
        ] {
            ops.generator(name, spec).await?;
            let failed = ops.fails(EXTENSIONS, GENERATOR, name, why).await?;
            ensure!(message(&failed).contains(says), "{name}: {}", message(&failed));
            let is_stalled = condition(&failed, "Stalled") == Some("True");
            ensure!(is_stalled == stalled, "{name}: {}", failed.data["status"]);
            ensure!(stalled || reason(&failed, "Reconciling") == Some("ProgressingWithRetry"), "{name}");
        }
        // The one who lost does not take the winner's artifact along.
        let generators = ops.api(EXTENSIONS, GENERATOR).await?;
        generators.delete("second", &kube::api::DeleteParams::default()).await?;
        wait::gone(&generators, "second").await?;
        let taken = ops.external("taken", "").await?;
        ensure!(taken.metadata.deletion_timestamp.is_none() && ops.file(&taken)?.is_file());
        Ok(())
    })
    .await
}
