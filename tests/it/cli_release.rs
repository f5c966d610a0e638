//! `create helmrelease` while the chart is on its way. No controller runs: the case writes what they would.

use crate::cli_refused::sluice;
use crate::setting::Setting;
use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::wait;

const HELM: &str = "helm.toolkit.fluxcd.io/v2";
const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

#[expect(clippy::disallowed_methods, reason = "the case stands for the controllers")]
async fn says(setting: &Setting, of: (&str, &str), name: &str, status: &str, why: [&str; 2]) -> Result<()> {
    let api = setting.api(of.0, of.1).await?;
    let released = json!([{
        "name": name, "namespace": "x", "version": 1, "configDigest": "sha256:x", "chartName": "cache",
        "chartVersion": "1.2.3", "firstDeployed": "2026-01-01T00:00:00Z", "lastDeployed": "2026-01-01T00:00:00Z",
        "digest": "sha256:x", "status": "deployed",
    }]);
    let mut patch: Value = json!({"status": {"observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": status, "reason": why[0], "message": why[1], "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    if of.1 == "HelmRelease" && status == "True" {
        patch["status"]["history"] = released;
    }
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_chart_is_on_its_way_has_not_failed_yet() -> Result<()> {
    let setting = Setting::new("cli-release").await?;
    let release = (HELM, "HelmRelease");
    for (name, works) in [("cache", true), ("lost", false)] {
        let line = format!("create helmrelease {name} --source=GitRepository/app --chart=./{name}");
        let controllers = async {
            let api = setting.api(HELM, "HelmRelease").await?;
            wait::until(&api, name, "created", |_| true).await?;
            let chart = format!("{}-{name}", setting.namespace);
            let object = json!({
                "apiVersion": SOURCE, "kind": "HelmChart", "metadata": {"name": chart},
                "spec": {"chart": name, "interval": "1m", "sourceRef": {"kind": "GitRepository", "name": "app"}},
            });
            setting.apply(&object.to_string()).await?;
            let waits = "HelmChart 'x/y' is not ready: latest generation of object has not been reconciled";
            says(&setting, release, name, "False", ["SourceNotReady", waits]).await?;
            if works {
                says(&setting, (SOURCE, "HelmChart"), &chart, "True", ["Succeeded", "packaged"]).await?;
                says(&setting, release, name, "True", ["InstallSucceeded", "installed"]).await
            } else {
                says(&setting, (SOURCE, "HelmChart"), &chart, "False", ["Failed", "no such chart"]).await
            }
        };
        let kubeconfig = &setting.plane.facts().kubeconfig;
        let (ran, told) = tokio::join!(sluice(kubeconfig, &setting.namespace, &line), controllers);
        told?;
        let ran = ran?;
        if works {
            ensure!(ran.0 == Some(0) && ran.2.contains("✔ applied revision 1.2.3"), "{ran:?}");
        } else {
            let chart = format!("✗ HelmChart '{0}/{0}-lost' is not ready: no such chart", setting.namespace);
            ensure!(ran.0 == Some(1) && ran.2.contains(&chart), "{ran:?}");
        }
    }
    Ok(())
}
