//! What a tenant may try who may write to his repository and to Kustomizations of his namespace. Each attempt is refused
//! with a message that says why, and the secret of the neighbour never appears anywhere.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, message};
use anyhow::{Context, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{condition, reason, wait};

/// One attempt: what it is, what is in the repository, what the Kustomization says beside the usual, and the refusal.
struct Attempt {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    spec: Value,
    annotations: Value,
    reason: &'static str,
    says: &'static str,
}

fn attempt(name: &'static str, reason: &'static str, says: &'static str) -> Attempt {
    Attempt { name, files: Vec::new(), spec: json!({}), annotations: json!({}), reason, says }
}

impl Attempt {
    fn file(mut self, path: &'static str, content: impl Into<String>) -> Self {
        self.files.push((path, content.into()));
        self
    }

    fn object(self, object: &Value) -> Self {
        self.file("object.yaml", object.to_string())
    }

    fn spec(mut self, spec: Value) -> Self {
        self.spec = spec;
        self
    }

    fn annotations(mut self, annotations: Value) -> Self {
        self.annotations = annotations;
        self
    }
}

const FAILED: &str = "ReconciliationFailed";
const BUILD: &str = "BuildFailed";
const JAIL: &str = "is not in or below";

#[expect(clippy::too_many_lines, reason = "a list of attempts")]
fn attempts(victim: &str, server: &str, touched: &str) -> Vec<Attempt> {
    let harmless = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"harmless"}}"#;
    let in_victim = |kind: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "evil", "namespace": victim}});
    let cluster = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "evil-tenant"}});
    let rbac = "rbac.authorization.k8s.io/v1";
    let mut binding = cluster(rbac, "ClusterRoleBinding");
    binding["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    binding["subjects"] = json!([{"kind": "ServiceAccount", "name": "tenant", "namespace": "default"}]);
    let mut local_binding = binding.clone();
    local_binding["kind"] = "RoleBinding".into();
    let mut role = cluster(rbac, "Role");
    role["rules"] = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let mut cluster_role = role.clone();
    cluster_role["kind"] = "ClusterRole".into();
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "evils.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Evil", "plural": "evils"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    });
    let mut webhook = cluster("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration");
    webhook["webhooks"] = json!([]);
    let mut pod_reader = in_victim("Secret");
    pod_reader["stringData"] = json!({"a": "b"});
    let kubeconfig = |user: &str, tls: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{server}', {tls}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        )
    };
    let with_kubeconfig = |name, text: String, says| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"value": text}});
        attempt(name, FAILED, says)
            .object(&in_victim("ConfigMap"))
            .file("../secrets/kubeconfig", secret.to_string())
            .spec(json!({"kubeConfig": {"secretRef": {"name": name}}, "targetNamespace": null}))
    };
    let own_namespace = |attempt: Attempt| attempt.spec(json!({"targetNamespace": null}));
    let kustomization = |name, text: &str, says| attempt(name, BUILD, says).file("kustomization.yaml", text);
    let cluster_map = |name: &str, address: &str, account: &str| {
        let data = json!({"provider": "generic", "address": address, "serviceAccountName": account});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).to_string()
    };
    let ten = "[0,1,2,3,4,5,6,7,8,9]";
    let endless = ["a", "b", "c", "d", "e", "f", "g"]
        .iter()
        .fold("true".to_owned(), |inner, name| format!("{ten}.all({name}, {inner})"));
    let bomb = {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let item = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [item.as_str(); 9].join(",")));
        }
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bomb}}\n{text}")
    };
    vec![
        attempt("source-of-another", "AccessDenied", "cross-namespace references have been blocked")
            .object(&cluster("v1", "ConfigMap"))
            .spec(json!({"sourceRef": {"kind": "GitRepository", "name": "app", "namespace": victim}})),
        attempt("source-name-escape", "AccessDenied", "is not a valid name of a GitRepository")
            .spec(json!({"sourceRef": {"kind": "GitRepository", "name": format!("../../{victim}/gitrepositories/app")}})),
        attempt("forged-artifact", "AccessDenied", "ExternalArtifact feature gate is disabled")
            .spec(json!({"sourceRef": {"kind": "ExternalArtifact", "name": "app"}})),
        own_namespace(attempt("map-elsewhere", FAILED, "forbidden").object(&in_victim("ConfigMap"))),
        own_namespace(attempt("secret-elsewhere", FAILED, "forbidden").object(&pod_reader)),
        attempt("target-elsewhere", FAILED, "forbidden").file("map.yaml", harmless).spec(json!({"targetNamespace": victim})),
        attempt("namespace", FAILED, "forbidden").object(&cluster("v1", "Namespace")),
        attempt("node", FAILED, "forbidden").object(&cluster("v1", "Node")),
        attempt("cluster-role", FAILED, "forbidden").object(&cluster_role),
        attempt("cluster-role-binding", FAILED, "forbidden").object(&binding),
        attempt("binding-to-admin", FAILED, "forbidden").object(&local_binding),
        attempt("role-with-more", FAILED, "attempting to grant RBAC permissions not currently held").object(&role),
        attempt("definition", FAILED, "forbidden").object(&crd),
        attempt("webhook", FAILED, "forbidden").object(&webhook),
        attempt("account-of-nobody", FAILED, "forbidden").file("map.yaml", harmless).spec(json!({"serviceAccountName": "ghost"})),
        attempt("account-escape", FAILED, "is not a valid name of a ServiceAccount")
            .file("map.yaml", harmless).spec(json!({"serviceAccountName": "x:kube-system:default"})),
        attempt("account-header", FAILED, "is not a valid name of a ServiceAccount")
            .file("map.yaml", harmless).spec(json!({"serviceAccountName": "x\r\nImpersonate-Group: system:masters"})),
        attempt("path-above", "ArtifactFailed", "kustomization path not found").spec(json!({"path": "../../../../etc"})),
        attempt("resource-above", BUILD, JAIL).file("kustomization.yaml", "resources: [../../../../../etc/passwd]"),
        kustomization("resource-absolute", "resources: [/etc/passwd]", JAIL),
        kustomization("generator-token", "configMapGenerator: [{name: a, files: [/proc/self/environ]}]", JAIL),
        kustomization("generator-env", "secretGenerator: [{name: a, envs: [../../../../../proc/self/environ]}]", JAIL),
        kustomization("patch-above", "resources: [map.yaml]\npatches: [{path: ../../../../../etc/hosts}]", JAIL).file("map.yaml", harmless),
        kustomization("openapi-above", "resources: [map.yaml]\nopenapi: {path: ../../../../../etc/hosts}", JAIL).file("map.yaml", harmless),
        kustomization("replacement-above", "resources: [map.yaml]\nreplacements: [{path: ../../../../../etc/hosts}]", JAIL).file("map.yaml", harmless),
        attempt("component-absolute", BUILD, "must be local and relative").file("map.yaml", harmless).spec(json!({"components": ["/etc"]})),
        attempt("component-url", BUILD, "must be local and relative")
            .file("map.yaml", harmless).spec(json!({"components": ["https://example.com/a"]})),
        kustomization("base-over-http", "resources: ['http://127.0.0.1:1/evil.yaml']", "kustomize build failed"),
        kustomization("base-over-git", "resources: ['git::file:///etc']", "kustomize build failed"),
        kustomization("helm", "helmCharts: [{name: evil, repo: 'https://example.com', version: '1'}]", "kustomize build failed"),
        kustomization("plugin", "resources: [map.yaml]\ntransformers: [exec.yaml]", "kustomize build failed").file("map.yaml", harmless).file(
            "exec.yaml",
            format!("apiVersion: x/v1\nkind: Evil\nmetadata: {{name: a, annotations: {{config.kubernetes.io/function: 'exec: {{path: /bin/touch}}', config.kubernetes.io/path: {touched}}}}}\n"),
        ),
        with_kubeconfig(
            "kubeconfig-exec",
            kubeconfig(
                &format!("exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: ['{touched}'], interactiveMode: Never}}"),
                "",
            ),
            "",
        ),
        with_kubeconfig("kubeconfig-token-file", kubeconfig("tokenFile: /etc/hostname", ""), ""),
        with_kubeconfig("kubeconfig-ca-file", kubeconfig("token: x", "certificate-authority: /etc/passwd"), ""),
        with_kubeconfig("kubeconfig-insecure", kubeconfig("token: x", "insecure-skip-tls-verify: true"), ""),
        attempt("kubeconfig-name-escape", FAILED, "is not a valid name of a Secret").file("map.yaml", harmless)
            .spec(json!({"kubeConfig": {"secretRef": {"name": format!("../../{victim}/secrets/vault")}}})),
        attempt("variables-of-another", BUILD, "is not a valid name of a Secret").file("map.yaml", harmless)
            .spec(json!({"postBuild": {"substituteFrom": [{"kind": "Secret", "name": format!("../../{victim}/secrets/vault")}]}})),
        attempt("keys-of-another", BUILD, "is not a valid name of a Secret").file("map.yaml", harmless)
            .spec(json!({"decryption": {"provider": "sops", "secretRef": {"name": format!("../../{victim}/secrets/vault")}}})),
        attempt("dependency-of-another", "DependencyNotReady", "cross-namespace references have been blocked").file("map.yaml", harmless)
            .annotations(json!({"sluice.dev/depends-on": format!("GitRepository/{victim}/app")})),
        attempt("hook-over-foreign-job", FAILED, "was not made as a hook of this owner").object(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "annotations": {"sluice.dev/hook": "pre"}}})),
        attempt("health-of-another", "HealthCheckFailed", "health check failed").file("map.yaml", harmless).spec(json!({
            "timeout": "30s", "healthChecks": [{"apiVersion": "v1", "kind": "Secret", "name": "vault", "namespace": victim}]})),
        attempt("forged-url", "ArtifactFailed", "its host 'metadata.example.com' is not one of --artifact-hosts")
            .spec(json!({"sourceRef": {"kind": "GitRepository", "name": "forged"}})),
        with_kubeconfig("kubeconfig-impersonate", kubeconfig("token: x, as: 'system:admin', as-groups: ['system:masters']", ""), ""),
        attempt("cluster-in-the-clear", FAILED, "is no https URL: a token would go there in the clear").file("map.yaml", harmless)
            .file("../secrets/map", cluster_map("clear", "http://169.254.169.254", "tenant"))
            .spec(json!({"kubeConfig": {"configMapRef": {"name": "clear"}}})),
        attempt("cluster-account-escape", FAILED, "is not a valid name of a ServiceAccount").file("map.yaml", harmless)
            .file("../secrets/map", cluster_map("escape", server, &format!("../../{victim}/serviceaccounts/default")))
            .spec(json!({"kubeConfig": {"configMapRef": {"name": "escape"}}})),
        attempt("cluster-map-of-another", FAILED, "is not a valid name of a ConfigMap").file("map.yaml", harmless)
            .spec(json!({"kubeConfig": {"configMapRef": {"name": format!("../../{victim}/configmaps/x")}}})),
        own_namespace(
            attempt("patch-elsewhere", FAILED, "forbidden").file("map.yaml", harmless).file(
                "kustomization.yaml",
                format!("resources: [map.yaml]\npatches: [{{target: {{kind: ConfigMap}}, patch: '- {{op: add, path: /metadata/namespace, value: {victim}}}'}}]"),
            ),
        ),
        attempt("list-with-more", FAILED, "forbidden").object(&json!({"apiVersion": "v1", "kind": "List", "items": [cluster_role.clone()]})),
        attempt("version-escape", FAILED, "").object(&json!({
            "apiVersion": format!("v1/namespaces/{victim}"), "kind": "Secret", "metadata": {"name": "vault"}})),
        attempt("group-escape", FAILED, "").object(&json!({
            "apiVersion": "apps/../../api/v1", "kind": "Secret", "metadata": {"name": "vault"}})),
        attempt("name-from-the-server", BUILD, "").object(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "many-"}})),
        attempt("expression-without-end", "DependencyNotReady", "the expression takes too long").file("map.yaml", harmless)
            .spec(json!({"dependsOn": [{"name": "fair", "readyExpr": endless}]})),
        attempt("variables-without-end", BUILD, "envsubst error").spec(json!({"postBuild": {"substitute": {"a": "x".repeat(60_000)}}}))
            .object(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bomb"}, "data": {"k": "${a}".repeat(1000)}})),
        attempt("variable-that-is-none", BUILD, "var name is invalid").file("map.yaml", harmless)
            .spec(json!({"postBuild": {"substitute": {"a}${b": "x"}}})),
        attempt("aliases", BUILD, "").file("bomb.yaml", bomb),
        attempt("deep", BUILD, "").file("deep.yaml", format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: deep}}\na: {}{}\n", "[".repeat(20_000), "]".repeat(20_000))),
        attempt("huge", FAILED, "").object(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "huge"}, "data": {"a": "x".repeat(4 << 20)}})),
        attempt("name-escape", FAILED, "").object(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("../../{victim}/configmaps/evil")}})),
    ]
}

async fn prepare(ops: &GitOps, victim: &str) -> Result<()> {
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": victim}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vault", "namespace": victim}, "stringData": {"value": "hunter2-of-the-neighbour"}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tenant"}, "rules": [
            {"apiGroups": ["", "apps", "batch"], "resources": ["configmaps", "secrets", "deployments", "jobs"], "verbs": ["*"]},
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["get", "create", "patch", "update"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "tenant"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"},
            "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": ops.namespace}]}),
    ] {
        ops.apply(&object.to_string()).await?;
    }
    // Whoever may write a status can send the controller anywhere.
    ops.git_repository_named("forged", "https://example.com/forged.git", json!({"suspend": true})).await?;
    let artifact = json!({"url": "http://metadata.example.com/computeMetadata/v1.tar.gz", "revision": "main@sha1:0", "path": "x",
        "digest": format!("sha256:{}", "0".repeat(64)), "lastUpdateTime": "2026-01-01T00:00:00Z"});
    let status = Patch::Merge(json!({"status": {"artifact": artifact}}));
    #[expect(clippy::disallowed_methods, reason = "as somebody with too many rights does")]
    ops.api(SOURCE, "GitRepository").await?.patch_status("forged", &PatchParams::default(), &status).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_gets_nothing_that_his_account_may_not() -> Result<()> {
    let arguments = [
        "--no-cross-namespace-refs",
        "--no-remote-bases",
        "--default-service-account=tenant",
        "--artifact-hosts=127.0.0.1",
        "--concurrent=8",
    ];
    let ops = GitOps::start("tenancy", &arguments).await?;
    let outcome = try_all(&ops).await;
    ops.explain(outcome)
}

async fn try_all(ops: &GitOps) -> Result<()> {
    let victim = format!("{}-victim", ops.namespace);
    let touched = ops.kustomize.storage().join("touched").display().to_string();
    prepare(ops, &victim).await?;
    let attempts = attempts(&victim, &ops.plane.facts().server, &touched);
    ensure!(attempts.len() >= 25);
    for attempt in &attempts {
        ops.repository.write(&format!("{}/.keep", attempt.name), "")?;
        for (path, content) in &attempt.files {
            match path.strip_prefix("../secrets/") {
                Some(_) => drop(ops.apply(content).await?),
                None => ops.repository.write(&format!("{}/{path}", attempt.name), content)?,
            }
        }
    }
    ops.repository
        .write("fair/map.yaml", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fair"}}"#)?;
    let commit = ops.repository.commit("Everything a tenant may think of")?;
    ops.git_repository(json!({})).await?;
    ops.stored("app", &format!("main@sha1:{commit}")).await?;
    ops.kustomization("fair", json!({"path": "./fair"})).await?;
    for attempt in &attempts {
        let mut spec = json!({
            "interval": "1h", "timeout": "1m", "prune": true, "path": format!("./{}", attempt.name),
            "targetNamespace": ops.namespace, "sourceRef": {"kind": "GitRepository", "name": "app"},
        });
        for (key, value) in attempt.spec.as_object().context("no fields")? {
            if value.is_null() {
                spec.as_object_mut().context("no fields")?.remove(key);
            } else {
                spec[key] = value.clone();
            }
        }
        let metadata = json!({"name": attempt.name, "annotations": attempt.annotations});
        let object =
            json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": metadata, "spec": spec});
        ops.apply(&object.to_string()).await.with_context(|| attempt.name)?;
    }
    let api = ops.api(KUSTOMIZE, "Kustomization").await?;
    let mut wrong = Vec::new();
    for attempt in &attempts {
        let ended = wait::until(&api, attempt.name, "refused", |object| {
            condition(object, "Ready").is_some_and(|ready| ready != "Unknown")
        })
        .await
        .with_context(|| attempt.name)?;
        let (ready, why, text) = (condition(&ended, "Ready"), reason(&ended, "Ready"), message(&ended));
        if ready != Some("False") || why != Some(attempt.reason) || !text.contains(attempt.says) {
            wrong.push(format!("{}: {ready:?} {why:?} {text}", attempt.name));
        }
        ensure!(!ended.data.to_string().contains("hunter2"), "{} shows the secret", attempt.name);
    }
    ensure!(wrong.is_empty(), "not refused as they should be:\n{}", wrong.join("\n"));
    // Beside all that, the honest one is served, and nothing came to the neighbour.
    ops.applied("fair", &commit).await?;
    let maps = ops.api_in("v1", "ConfigMap", &victim).await?.list(&kube::api::ListParams::default()).await?;
    ensure!(
        maps.iter().all(|map| map.metadata.name.as_deref() == Some("kube-root-ca.crt")),
        "the neighbour got maps"
    );
    ensure!(!std::path::Path::new(&touched).exists(), "a program was run");
    let log = std::fs::read_to_string(ops.kustomize.log_file())?;
    ensure!(!log.contains("hunter2"), "the log has the secret");
    ops.delete("v1", "Namespace", &victim).await
}
