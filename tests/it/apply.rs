//! How objects are applied: whose fields they are, what labels and annotations change, and when nothing is sent.

use crate::gitops::{GitOps, KUSTOMIZE, gitops, message, uid};
use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_tests::{condition, wait, workspace};

fn map(ops: &GitOps, file: &str, extra: &str, data: &str) -> Result<()> {
    ops.repository.write(
        file,
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: map{extra}}}, data: {{{data}}}}}\n"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_kubectl_set_are_taken_over_and_those_of_others_stay() -> Result<()> {
    gitops("takeover", async |ops| {
        let maps = ops.api("v1", "ConfigMap").await?;
        for (manager, key) in [("kubectl-client-side-apply", "old"), ("somebody", "theirs")] {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {key: "x"}});
            maps.patch("map", &PatchParams::apply(manager), &Patch::Apply(&object)).await?;
        }
        map(ops, "map.yaml", "", "ours: y")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        let found = ops.get("v1", "ConfigMap", "map").await?;
        ensure!(found.data["data"] == json!({"ours": "y", "theirs": "x"}), "{}", found.data["data"]);
        let managers: Vec<_> =
            found.metadata.managed_fields.unwrap_or_default().into_iter().filter_map(|entry| entry.manager).collect();
        ensure!(managers.len() == 2 && managers.contains(&"kustomize-controller".to_owned()), "{managers:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_keep_objects_from_being_applied_or_pruned() -> Result<()> {
    gitops("annotations", async |ops| {
        let tag =
            |key: &str, value: &str| format!(", annotations: {{kustomize.toolkit.fluxcd.io/{key}: {value}}}");
        for (name, tags) in [
            ("once", tag("ssa", "IfNotPresent")),
            ("kept", tag("prune", "disabled")),
            ("plain", String::new()),
        ] {
            map(ops, &format!("{name}.yaml"), &format!("-{name}{tags}"), "k: first")?;
        }
        map(ops, "ignored.yaml", &format!("-ignored{}", tag("ssa", "Ignore")), "k: first")?;
        let commit = ops.repository.commit("Four maps")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        ensure!(ops.find("v1", "ConfigMap", "map-ignored").await?.is_none(), "an ignored object was applied");

        for name in ["once", "kept", "plain"] {
            ops.repository.replace(&format!("{name}.yaml"), "first", "second")?;
        }
        let commit = ops.push("Other values").await?;
        ops.applied("app", &commit).await?;
        for (name, value) in [("once", "first"), ("kept", "second"), ("plain", "second")] {
            let found = ops.get("v1", "ConfigMap", &format!("map-{name}")).await?;
            ensure!(found.data["data"]["k"] == value, "{name}: {}", found.data["data"]);
        }
        for name in ["kept", "plain"] {
            ops.repository.remove(&format!("{name}.yaml"))?;
        }
        let commit = ops.push("Two maps less").await?;
        ops.applied("app", &commit).await?;
        ensure!(ops.find("v1", "ConfigMap", "map-plain").await?.is_none());
        ensure!(ops.find("v1", "ConfigMap", "map-kept").await?.is_some());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn force_recreates_what_cannot_change_but_not_what_is_plainly_wrong() -> Result<()> {
    gitops("force", async |ops| {
        let job = |image: &str, policy: &str| {
            format!(
                "{{apiVersion: batch/v1, kind: Job, metadata: {{name: job}}, spec: {{suspend: true, template: {{spec: {{restartPolicy: {policy}, containers: [{{name: main, image: {image}}}]}}}}}}}}\n"
            )
        };
        ops.repository.write("job.yaml", job("a", "Never"))?;
        let commit = ops.repository.commit("A job")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        let first = ops.get("batch/v1", "Job", "job").await?;

        ops.repository.write("job.yaml", job("b", "Never"))?;
        let commit = ops.push("Another image").await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "ReconciliationFailed").await?;
        ensure!(message(&failed).contains("dry-run failed (Invalid)"), "{}", message(&failed));
        ensure!(uid(&ops.get("batch/v1", "Job", "job").await?)? == uid(&first)?);

        ops.patch(KUSTOMIZE, "Kustomization", "app", json!({"spec": {"force": true}})).await?;
        ops.applied("app", &commit).await?;
        let second = ops.get("batch/v1", "Job", "job").await?;
        ensure!(uid(&second)? != uid(&first)?, "it was not made anew");

        ops.repository.write("job.yaml", job("b", "Nonsense"))?;
        ops.push("A plain fault").await?;
        ops.fails(KUSTOMIZE, "Kustomization", "app", "ReconciliationFailed").await?;
        ensure!(uid(&ops.get("batch/v1", "Job", "job").await?)? == uid(&second)?, "it was deleted for nothing");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_come_from_secrets_and_strict_mode_names_what_is_missing() -> Result<()> {
    gitops("variables", async |ops| {
        ops.secret("vars", json!({"region": "north", "tier": "gold"})).await?;
        map(ops, "map.yaml", "", "a: '${region}-${zone:=b}', b: '$${region}', c: '${tier^^}'")?;
        let commit = ops.repository.commit("A map with variables")?;
        ops.git_repository(json!({})).await?;
        let spec = json!({"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "vars"}, {"kind": "ConfigMap", "name": "no", "optional": true}]}});
        ops.kustomization("app", spec).await?;
        ops.applied("app", &commit).await?;
        let found = ops.get("v1", "ConfigMap", "map").await?;
        ensure!(found.data["data"] == json!({"a": "north-b", "b": "${region}", "c": "GOLD"}), "{}", found.data["data"]);

        map(ops, "map.yaml", "", "a: '${nowhere}'")?;
        ops.push("An unknown variable").await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "BuildFailed").await?;
        let text = "post build failed for 'ConfigMap.v1.[noGrp]/map': envsubst error: variable substitution failed: variable not set (strict mode): \"nowhere\"";
        ensure!(message(&failed) == text, "{}", message(&failed));
        ensure!(ops.find("v1", "ConfigMap", "map").await?.is_some(), "a failed build pruned");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ready_expression_stalls_and_a_right_one_decides() -> Result<()> {
    gitops("ready-expr", async |ops| {
        map(ops, "map.yaml", "", "k: v")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("first", json!({"namePrefix": "first-"})).await?;
        let depends = |text: &str| json!({"namePrefix": "second-", "dependsOn": [{"name": "first", "readyExpr": text}]});
        ops.kustomization("second", depends("dep.status.lastAppliedRevision")).await?;
        let stalled = ops.fails(KUSTOMIZE, "Kustomization", "second", "InvalidCELExpression").await?;
        ensure!(condition(&stalled, "Stalled") == Some("True"));
        let text = "Reconciliation failed terminally due to configuration error: terminal error: failed to evaluate dependency first: CEL expression output type mismatch: expected bool, got dyn";
        ensure!(message(&stalled) == text, "{}", message(&stalled));

        ops.kustomization("second", depends("dep.status.lastAppliedRevision.startsWith('main@') && self.spec.prune == true")).await?;
        ops.applied("second", &commit).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_rights_applies_nothing() -> Result<()> {
    gitops("account", async |ops| {
        map(ops, "map.yaml", "", "k: v")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        ops.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: tenant}}").await?;
        ops.kustomization("app", json!({"serviceAccountName": "tenant"})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "ReconciliationFailed").await?;
        let user = format!("system:serviceaccount:{}:tenant", ops.namespace);
        ensure!(message(&failed).contains(&user), "{}", message(&failed));
        ensure!(ops.find("v1", "ConfigMap", "map").await?.is_none());

        let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: tenant}, rules: [{apiGroups: [''], resources: [configmaps], verbs: ['*']}]}";
        let binding = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: tenant}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}, subjects: [{kind: ServiceAccount, name: tenant}]}";
        ops.apply(role).await?;
        ops.apply(binding).await?;
        ops.reconcile("app").await?;
        ops.applied("app", &commit).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_cancels_a_health_check() -> Result<()> {
    gitops("cancel", async |ops| {
        let deployment = |pod: &str| {
            format!(
                "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}, annotations: {{test.sluice.dev/pod: {pod}}}}}, spec: {{containers: [{{name: main, image: 'example.com/a:1'}}]}}}}}}}}\n"
            )
        };
        ops.repository.write("web.yaml", deployment("unready"))?;
        ops.repository.commit("It never becomes ready")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"wait": true, "timeout": "10m"})).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        wait::until(&api, "app", "checking health", |object| condition(object, "Healthy") == Some("Unknown")).await?;
        ops.repository.write("web.yaml", deployment("ready"))?;
        let commit = ops.push("It becomes ready").await?;
        ops.applied("app", &commit).await?;
        ops.told("Kustomization", "app", "that the health check was canceled", |_, reason, text| {
            reason == "HealthCheckCanceled"
                && text.starts_with("Health checks canceled due to new reconciliation triggered by GitRepository/")
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_told_and_left_where_the_annotation_says_so() -> Result<()> {
    gitops("drift-warn", async |ops| {
        map(ops, "map.yaml", "", "k: ours")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        let annotations = json!({"metadata": {"annotations": {"sluice.dev/drift": "warn"}}});
        ops.patch(KUSTOMIZE, "Kustomization", "app", annotations).await?;
        ops.patch("v1", "ConfigMap", "map", json!({"data": {"k": "theirs"}})).await?;
        let told = ops.reconcile("app").await?;
        ensure!(condition(&told, "Drifted") == Some("True"), "{}", told.data["status"]);
        ensure!(ops.get("v1", "ConfigMap", "map").await?.data["data"]["k"] == "theirs");

        map(ops, "map.yaml", "", "k: newer")?;
        let commit = ops.push("A newer value").await?;
        let applied = ops.applied("app", &commit).await?;
        ensure!(condition(&applied, "Drifted").is_none(), "{}", applied.data["status"]);
        let found = ops.get("v1", "ConfigMap", "map").await?;
        ensure!(found.data["data"]["k"] == "newer", "the revision was not applied");

        // Where it is to be ignored nothing is told either.
        let annotations = json!({"metadata": {"annotations": {"sluice.dev/drift": "ignore"}}});
        ops.patch(KUSTOMIZE, "Kustomization", "app", annotations).await?;
        ops.patch("v1", "ConfigMap", "map", json!({"data": {"k": "theirs"}})).await?;
        let run = ops.reconcile("app").await?;
        ensure!(condition(&run, "Drifted").is_none(), "{}", run.data["status"]);
        ensure!(
            ops.get("v1", "ConfigMap", "map").await?.data["data"]["k"] == "theirs",
            "drift was not ignored"
        );
        map(ops, "map.yaml", "", "k: newest")?;
        let commit = ops.push("The newest value").await?;
        ops.applied("app", &commit).await?;
        ensure!(
            ops.get("v1", "ConfigMap", "map").await?.data["data"]["k"] == "newest",
            "the revision was not applied"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_secrets_are_decrypted_with_the_keys_of_a_secret() -> Result<()> {
    gitops("sops", async |ops| {
        let corpus = workspace().join("crates/sops/tests/cases");
        let read = |path: &str| std::fs::read_to_string(corpus.join(path));
        ops.repository.write("secret.yaml", read("yaml-encrypted-regex/encrypted.yaml")?)?;
        ops.repository.write("vars.env", read("dotenv-rich-age/encrypted.env")?)?;
        ops.repository.write(
            "kustomization.yaml",
            "resources: [secret.yaml]
secretGenerator: [{name: envs, envs: [vars.env], options: {disableNameSuffixHash: true}}]
",
        )?;
        let commit = ops.repository.commit("Secrets")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "BuildFailed").await?;
        let text = format!(
            "Secret/{}/creds is SOPS encrypted, configuring decryption is required for this secret to be reconciled",
            ops.namespace
        );
        ensure!(message(&failed) == text, "{}", message(&failed));

        ops.secret("keys", json!({"alice.agekey": read("keys/age-alice.agekey")?})).await?;
        let decryption = json!({"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}});
        ops.kustomization("app", decryption).await?;
        ops.applied("app", &commit).await?;
        let secret = ops.get("v1", "Secret", "creds").await?;
        ensure!(secret.data["data"]["password"] == "cGFzc3dvcmQ=" && secret.data["data"]["user"] == "YWRtaW4=");
        let generated = ops.get("v1", "Secret", "envs").await?;
        ensure!(generated.data["data"]["KEY"] == "dmFsdWU=", "the file of the generator was not decrypted");
        Ok(())
    })
    .await
}
