//! Registries as they are met: with TLS, tokens, client certificates and proxies, and tenants that share one.

use crate::charts::{helm, write_chart};
use crate::gitops::{GitOps, SOURCE, gitops, is_ready, message};
use crate::oci_repository::{KIND, LAYER, Upstream, archive};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{ForwardProxy, Registry};

/// A docker config as a Secret.
async fn docker(ops: &GitOps, name: &str, registry: &Registry, entry: Value) -> Result<()> {
    let config = json!({"auths": {registry.address(): entry}}).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name}, "stringData": {".dockerconfigjson": config},
    });
    ops.apply(&secret.to_string()).await.map(drop)
}

fn entry((username, password): (&str, &str)) -> Value {
    json!({"username": username, "password": password})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_certificates_and_tokens_is_pulled_from() -> Result<()> {
    gitops("oci-tls", async |ops| {
        let upstream = Upstream::of(Registry::builder().tokens().client_certificates().start().await?)?;
        let registry = &upstream.registry;
        let digest = upstream.push("v1", &[(LAYER, archive(&[("a.yaml", "a: 1\n")])?)]).await?;
        let (username, password) = ("proxy", "pr0xy");
        let proxy = ForwardProxy::start(username, password).await?;
        let (certificate, key) = registry.client_certificate().context("no certificate")?;
        let ca = registry.ca().context("no CA")?;
        ops.secret("certs", json!({"ca.crt": ca, "tls.crt": certificate, "tls.key": key})).await?;
        ops.secret("ca-only", json!({"ca.crt": ca})).await?;
        ops.secret("proxy", json!({"address": proxy.address(), "username": username, "password": password}))
            .await?;
        ops.secret(
            "no-proxy",
            json!({"address": proxy.address(), "username": username, "password": "wr0ng"}),
        )
        .await?;
        docker(ops, "pull", registry, entry(Registry::login())).await?;
        docker(ops, "wrong", registry, entry(("user", "wr0ng"))).await?;
        docker(ops, "refresh", registry, json!({"identitytoken": Registry::refresh_token()})).await?;
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"},
            "imagePullSecrets": [{"name": "wrong-host"}, {"name": "pull"}],
        });
        let elsewhere = json!({"auths": {"registry.example.test": entry(("x", "y"))}}).to_string();
        let wrong_host = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "wrong-host"}, "stringData": {".dockerconfigjson": elsewhere},
        });
        ops.apply(&format!("{account}\n---\n{wrong_host}")).await?;
        let create = async |name: &str, more: Value| {
            let mut spec = json!({
                "url": upstream.url(), "interval": "1h", "timeout": "20s", "ref": {"tag": "v1"},
                "certSecretRef": {"name": "certs"}, "secretRef": {"name": "pull"},
            });
            if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
                spec.extend(more);
                spec.retain(|_, value| !value.is_null());
            }
            ops.source_object(KIND, name, spec).await
        };
        create("login", json!({})).await?;
        create("refresh", json!({"secretRef": {"name": "refresh"}})).await?;
        create("account", json!({"secretRef": null, "serviceAccountName": "puller"})).await?;
        create("proxy", json!({"proxySecretRef": {"name": "proxy"}})).await?;
        create("no-certificate", json!({"certSecretRef": {"name": "ca-only"}})).await?;
        create("no-ca", json!({"certSecretRef": null})).await?;
        create("wrong", json!({"secretRef": {"name": "wrong"}})).await?;
        create("anonymous", json!({"secretRef": null})).await?;
        create("no-proxy", json!({"proxySecretRef": {"name": "no-proxy"}})).await?;
        for name in ["login", "refresh", "account", "proxy"] {
            ops.has(KIND, name, &format!("v1@{digest}")).await?;
        }
        let tunnel = format!("CONNECT {}", registry.address());
        ensure!(proxy.passed().contains(&tunnel), "{:?}", proxy.passed());
        let asked = registry.asked_for_tokens();
        ensure!(asked.iter().any(|asked| asked == "user repository:org/app:pull"), "{asked:?}");
        for (name, text) in [
            // A server of TLS 1.3 refuses after the handshake, when the request may be on its way: then the connection breaks
            // before the alert is read.
            ("no-certificate", "error sending request"),
            ("no-ca", "certificate"),
            ("wrong", "401 Unauthorized"),
            ("anonymous", "401 Unauthorized"),
            ("no-proxy", "Proxy Authentication Required"),
        ] {
            let failed = ops.fails(SOURCE, KIND, name, "OCIArtifactPullFailed").await?;
            let said = message(&failed);
            ensure!(said.to_lowercase().contains(&text.to_lowercase()), "{name}: {said}");
            for secret in ["wr0ng", Registry::login().1, password] {
                ensure!(!said.contains(secret), "{name} shows a secret: {said}");
            }
        }
        let log = ops.source.log_tail();
        ensure!(!log.contains("wr0ng") && !log.contains(Registry::refresh_token()), "the log shows a secret");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_see_only_what_their_own_credentials_show_them() -> Result<()> {
    gitops("oci-tenants", async |ops| {
        let upstream = Upstream::of(Registry::builder().tokens().start().await?)?;
        let registry = &upstream.registry;
        let digest = upstream.push("v1", &[(LAYER, archive(&[("secret.yaml", "a: 1\n")])?)]).await?;
        docker(ops, "owner", registry, entry(Registry::login())).await?;
        docker(ops, "tenant", registry, entry(Registry::tenant())).await?;
        // Charts beside it.
        let (helm, work) = (helm().await?, tempfile::tempdir()?);
        write_chart(work.path(), "app", "1.0.0", "")?;
        let folder = work.path().display().to_string();
        Registry::run(&helm, &["package", &format!("{folder}/app"), "--destination", &folder])?;
        let (username, password) = Registry::login();
        let (file, target) =
            (format!("{folder}/app-1.0.0.tgz"), format!("oci://{}/charts", registry.address()));
        let login = ["--plain-http", "--username", username, "--password", password];
        Registry::run(&helm, &[&["push", &file, &target][..], &login].concat())?;

        let image = async |name: &str, secret: Option<&str>| {
            let mut spec = json!({
                "url": upstream.url(), "interval": "1h", "insecure": true, "ref": {"tag": "v1"},
            });
            if let Some(secret) = secret {
                spec["secretRef"] = json!({"name": secret});
            }
            ops.source_object(KIND, name, spec).await
        };
        let chart = async |name: &str| {
            let spec = json!({"url": target, "type": "oci", "insecure": true, "secretRef": {"name": name}});
            ops.source_object("HelmRepository", name, spec).await?;
            ops.chart(name, "HelmRepository", name, json!({"chart": "app", "version": "1.0.0"})).await
        };
        // The owner's content and tokens are in the caches of the controller before the others come.
        image("owner", Some("owner")).await?;
        chart("owner").await?;
        ops.has(KIND, "owner", &format!("v1@{digest}")).await?;
        ops.has("HelmChart", "owner", "1.0.0").await?;
        image("tenant", Some("tenant")).await?;
        image("nobody", None).await?;
        chart("tenant").await?;
        for (kind, name, reason) in [
            (KIND, "tenant", "OCIArtifactPullFailed"),
            (KIND, "nobody", "OCIArtifactPullFailed"),
            ("HelmChart", "tenant", "ChartPullError"),
        ] {
            let failed = ops.fails(SOURCE, kind, name, reason).await?;
            ensure!(message(&failed).contains("401 Unauthorized"), "{kind} {name}: {}", message(&failed));
            ensure!(failed.data["status"]["artifact"].is_null(), "{kind} {name} has an artifact");
        }
        // And after them the owner still has his.
        let again = ops.reconcile_kind(SOURCE, KIND, "owner").await?;
        ensure!(is_ready(&again), "{}", message(&again));
        let asked = registry.asked_for_tokens();
        ensure!(asked.iter().any(|asked| asked == "tenant repository:org/app:pull"), "{asked:?}");
        Ok(())
    })
    .await
}
