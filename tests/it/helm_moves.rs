//! Releases whose place or source changes, that are claimed twice, or whose record cannot be kept.

use crate::helm::{FATED, HELM, HOOKS, HelmOps, SOURCE, helm_ops, message, of};
use crate::setting::Setting;
use anyhow::{Result, ensure};
use http::Method;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;
use sluice_tests::{ApiFault, ApiProxy, ChartServer, Cluster, Controller, TestChart, condition, wait};

fn chart(version: &str) -> TestChart {
    TestChart::new("moves", version)
        .file("values.yaml", "text: plain\npods: run\nhooks: {}\n")
        .file("templates/hooks.yaml", HOOKS)
        .file("templates/deployment.yaml", FATED)
        .file(
            "templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-map'}\n\
             data: {text: {{ .Values.text | quote }}, revision: '{{ .Release.Revision }}'}\n",
        )
}

/// Names of the records of a release in a namespace, and whether its objects are there.
async fn found(ops: &HelmOps, namespace: &str, release: &str) -> Result<(usize, bool)> {
    let there = Cluster { client: ops.client.clone(), namespace: namespace.to_owned() };
    let selector = ListParams::default().labels(&format!("owner=helm,name={release}"));
    let records = there.api("v1", "Secret").await?.list(&selector).await?.items.len();
    let map: Api<DynamicObject> = there.api("v1", "ConfigMap").await?;
    Ok((records, map.get_opt(&format!("{release}-map")).await?.is_some()))
}

/// Waits until a release is ready in a namespace, with its records in another one.
async fn placed(ops: &HelmOps, name: &str, namespace: &str, storage: &str) -> Result<DynamicObject> {
    let what = format!("ready in {namespace}, recorded in {storage}");
    wait::until(&ops.api(HELM, "HelmRelease").await?, name, &what, |object| {
        let status = &object.data["status"];
        condition(object, "Ready") == Some("True")
            && condition(object, "Reconciling").is_none()
            && status["observedGeneration"].as_i64() == object.metadata.generation
            && status["history"][0]["namespace"] == namespace
            && status["storageNamespace"] == storage
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_go_where_their_namespaces_say_and_leave_nothing_behind() -> Result<()> {
    helm_ops("helm-moves", &["--min-retry-delay=50ms"], async |ops| {
        let own = ops.namespace.clone();
        let (a, b) = (format!("{own}-a"), format!("{own}-b"));
        for name in [&a, &b] {
            ops.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}")).await?;
        }
        ops.chart("app", &chart("1.0.0")).await?;
        // Where the objects go, and where the records, one step after the other.
        let steps = [(&own, &own), (&a, &own), (&a, &b), (&b, &a), (&own, &own)];
        let mut before: Option<(&String, &String)> = None;
        for (namespace, storage) in steps {
            let spec =
                json!({"releaseName": "app", "targetNamespace": namespace, "storageNamespace": storage});
            ops.release("travels", spec).await?;
            let object = placed(ops, "travels", namespace, storage).await?;
            ensure!(object.data["status"]["history"].as_array().map(Vec::len) == Some(1), "{}", object.data);
            ensure!(found(ops, storage, "app").await?.0 == 1, "no record in {storage}");
            ensure!(found(ops, namespace, "app").await?.1, "no objects in {namespace}");
            if let Some((namespace_before, storage_before)) = before {
                if namespace_before != namespace {
                    ensure!(
                        !found(ops, namespace_before, "app").await?.1,
                        "objects are left in {namespace_before}"
                    );
                }
                if storage_before != storage {
                    ensure!(
                        found(ops, storage_before, "app").await?.0 == 0,
                        "records are left in {storage_before}"
                    );
                }
            }
            before = Some((namespace, storage));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_another_kind_upgrades_and_a_template_that_is_not_wanted_goes() -> Result<()> {
    helm_ops("helm-switch", &["--min-retry-delay=50ms"], async |ops| {
        let own = ops.namespace.clone();
        ops.chart("app", &chart("1.0.0")).await?;
        ops.release("app", json!({})).await?;
        ops.ready("app", 1).await?;

        // A HelmChart that somebody wrote.
        let spec =
            json!({"interval": "1h", "chart": "moves", "sourceRef": {"kind": "HelmRepository", "name": "x"}});
        let object =
            json!({"apiVersion": SOURCE, "kind": "HelmChart", "metadata": {"name": "own"}, "spec": spec});
        ops.apply(&object.to_string()).await?;
        let served = ops.charts.serve(&chart("1.1.0"))?;
        ops.hold(SOURCE, "HelmChart", "own", &served, "1.1.0").await?;
        ops.release("app", json!({"chartRef": {"kind": "HelmChart", "name": "own"}})).await?;
        let object = ops.ready("app", 2).await?;
        let newest = &object.data["status"]["history"][0];
        ensure!(newest["chartVersion"] == "1.1.0" && newest.get("ociDigest").is_none(), "{newest}");

        // A template, whose HelmChart comes with the object.
        let template =
            json!({"spec": {"chart": "moves", "sourceRef": {"kind": "HelmRepository", "name": "x"}}});
        ops.release("app", json!({"chartRef": null, "chart": template})).await?;
        let made = format!("{own}-app");
        let charts = ops.api(SOURCE, "HelmChart").await?;
        wait::until(&charts, &made, "made", |_| true).await?;
        let served = ops.charts.serve(&chart("1.2.0"))?;
        ops.hold(SOURCE, "HelmChart", &made, &served, "1.2.0").await?;
        ops.ready("app", 3).await?;

        // Back: the template's HelmChart goes, the other one stays, and the release is upgraded.
        ops.release("app", json!({"chart": null})).await?;
        let object = ops.ready("app", 4).await?;
        wait::gone(&charts, &made).await?;
        ensure!(charts.get_opt("own").await?.is_some(), "a HelmChart of others was deleted");
        ensure!(object.data["status"].get("helmChart").is_none(), "{}", object.data["status"]);
        ensure!(found(ops, &own, "app").await? == (4, true));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_secret_holds_is_named_with_its_size_and_changes_nothing() -> Result<()> {
    helm_ops("helm-large", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &chart("1.0.0")).await?;
        ops.release("large", json!({"upgrade": {"remediation": {"retries": 0}}})).await?;
        ops.ready("large", 1).await?;
        let map = ops.get("v1", "ConfigMap", "large-map").await?;

        // Numbers by chance do not get smaller by compression.
        let chance: String = std::iter::repeat_with(fastrand::alphanumeric).take(1_500_000).collect();
        ops.chart("app", &chart("2.0.0").file("files/picture.txt", &chance)).await?;
        let failed = ops.until("large", "Ready", "False", "UpgradeFailed").await?;
        let text = message(&failed, "Ready");
        for part in ["\"large\" revision 2", "files/picture.txt", "(1500000 bytes)", "1048576", ".helmignore"]
        {
            ensure!(text.contains(part), "{part}: {text}");
        }
        ensure!(!text.contains(&chance[..40]), "the record itself is told");
        ensure!(ops.records("large").await? == of(&[(1, "deployed")]), "{:?}", ops.records("large").await?);
        let after = ops.get("v1", "ConfigMap", "large-map").await?;
        ensure!(after.metadata.resource_version == map.metadata.resource_version, "an object was written");

        // A chart that fits again mends it.
        ops.chart("app", &chart("2.0.1")).await?;
        ops.ready("large", 2).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_claims_on_one_release_leave_one_that_is_whole() -> Result<()> {
    helm_ops("helm-claims", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &chart("1.0.0")).await?;
        let claim = |text: &str| json!({"releaseName": "shared", "values": {"text": text}});
        ops.release("one", claim("one")).await?;
        ops.release("two", claim("two")).await?;
        let api = ops.api(HELM, "HelmRelease").await?;
        for name in ["one", "two"] {
            wait::until(&api, name, "ready", |object| condition(object, "Ready") == Some("True")).await?;
        }
        // Each look takes it back: nothing pends, one revision is deployed, and it is whole.
        for name in ["one", "two", "one"] {
            ops.request(name, &[]).await?;
            let object = wait::until(&api, name, "ready", |object| {
                condition(object, "Ready") == Some("True") && condition(object, "Reconciling").is_none()
            })
            .await?;
            let records = ops.records("shared").await?;
            let deployed: Vec<_> = records.iter().filter(|(_, status)| status == "deployed").collect();
            ensure!(deployed.len() == 1 && deployed[0].0 == records.len() as i64, "{name}: {records:?}");
            ensure!(
                object.data["status"]["history"][0]["version"] == deployed[0].0,
                "{}",
                object.data["status"]
            );
            let map = ops.get("v1", "ConfigMap", "shared-map").await?;
            ensure!(map.data["data"]["text"] == name, "{name}: {}", map.data);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_in_mid_action_changes_no_outcome() -> Result<()> {
    let setting = Setting::new("helm-away").await?;
    let proxy = ApiProxy::start(setting.plane, "helm-controller").await?;
    let charts = ChartServer::start().await?;
    let helm = Controller::builder(setting.plane, "helm-controller")?
        .kubeconfig(&proxy.kubeconfig())
        .namespace(&setting.namespace)
        .argument("--min-retry-delay=50ms");
    let ops = HelmOps { helm: helm.start().await?, charts, setting };
    let outcome = away(&ops, &proxy).await;
    outcome.map_err(|error| error.context(format!("--- helm-controller\n{}\n---", ops.helm.log_tail())))
}

async fn away(ops: &HelmOps, proxy: &ApiProxy) -> Result<()> {
    ops.chart("app", &chart("1.0.0")).await?;
    // The answer to each of the writes of an installation and of an upgrade is lost once, and the write refused once.
    let writes: [(&str, Method, &str); 5] = [
        ("record", Method::POST, "/secrets"),
        ("deployed", Method::PUT, "/secrets/"),
        ("object", Method::PATCH, "/deployments/"),
        ("status", Method::PATCH, "/status"),
        ("last", Method::PATCH, "/configmaps/"),
    ];
    for fault in [ApiFault::LoseAnswer, ApiFault::Status(503)] {
        for (name, method, path) in &writes {
            let name = format!("{name}-{}", if fault == ApiFault::LoseAnswer { "lost" } else { "refused" });
            for (version, text) in [(1, "first"), (2, "second")] {
                let (method, path) = (method.clone(), *path);
                proxy.disturb(fault, 1, move |call| call.method == method && call.path.contains(path));
                ops.release(&name, json!({"values": {"text": text}})).await?;
                ops.ready(&name, version).await?;
                proxy.calm();
                let map = ops.get("v1", "ConfigMap", &format!("{name}-map")).await?;
                ensure!(map.data["data"]["text"] == text, "{name}: {}", map.data);
            }
            let records = ops.records(&name).await?;
            ensure!(records == of(&[(1, "superseded"), (2, "deployed")]), "{name}: {records:?}");
        }
    }
    // Away while a hook runs, which ends meanwhile.
    ops.release("waits", json!({"timeout": "5m", "values": {"hooks": {"pre-install": "run"}}})).await?;
    let pods = ops.api("v1", "Pod").await?;
    wait::until(&pods, "waits-pre-install", "running", |pod| pod.data["status"]["phase"] == "Running")
        .await?;
    proxy.down().await;
    // Its status tells the end, and not the annotation, which the chart sets: the hook may be sent again, if the answer
    // that it is there was on its way.
    let ended = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    #[expect(clippy::disallowed_methods, reason = "as a kubelet does")]
    pods.patch_status("waits-pre-install", &PatchParams::default(), &ended).await?;
    proxy.up().await?;
    ops.ready("waits", 1).await?;
    ensure!(ops.records("waits").await? == of(&[(1, "deployed")]), "{:?}", ops.records("waits").await?);
    Ok(())
}
