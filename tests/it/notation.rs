//! Signatures as notation makes them, and what trust policies make of these. What notation itself has signed is among the
//! fixtures of `crates/signature`.

use crate::gitops::{SOURCE, gitops, message};
use crate::oci_repository::{KIND, LAYER, Upstream, archive};
use anyhow::{Result, anyhow, ensure};
use serde_json::json;
use sluice_reference::notation::Notary;
use sluice_tests::{Registry, condition};

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_taken_of_those_whom_a_trust_policy_trusts() -> Result<()> {
    gitops("notation", async |ops| {
        let notary = || Notary::new().map_err(|error| anyhow!("{error}"));
        let (known, stranger, upstream) = (notary()?, notary()?, Upstream::start().await?);
        let push = async |tag: &str| {
            upstream.push(tag, &[(LAYER, archive(&[("a.yaml", &format!("a: {tag}\n"))])?)]).await
        };
        let (signed, foreign, unsigned) =
            (push("signed").await?, push("foreign").await?, push("unsigned").await?);
        upstream.notarize(&signed, &known).await?;
        upstream.notarize(&foreign, &stranger).await?;
        let (_, password) = Registry::login();
        let docker = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "pull"}, "stringData": upstream.docker_config(password),
        });
        ops.apply(&docker.to_string()).await?;
        let policy = |level: &str, scope: &str, identity: &str| {
            let statement = json!({
                "name": "apps", "registryScopes": [scope], "signatureVerification": {"level": level},
                "trustStores": ["ca:acme"], "trustedIdentities": [identity],
            });
            json!({"version": "1.0", "trustPolicies": [statement]}).to_string()
        };
        let here = upstream.url().replace("oci://", "");
        let acme = "x509.subject: C=US, ST=WA, O=Acme";
        for (name, policy) in [
            ("strict", policy("strict", &here, acme)),
            ("audit", policy("audit", "*", acme)),
            ("skip", policy("skip", "*", "*")),
            ("other", policy("strict", "*", "x509.subject: C=US, ST=WA, O=Other")),
            ("elsewhere", policy("strict", "registry.test/app", "*")),
            ("garbage", "s3cret".to_owned()),
        ] {
            ops.secret(name, json!({"trustpolicy.json": policy, "ca.crt": known.authority()})).await?;
        }
        ops.secret("nothing", json!({"ca.crt": known.authority()})).await?;
        let create = async |name: &str, tag: &str, secret: &str| {
            let verify = json!({"provider": "notation", "secretRef": {"name": secret}});
            let spec = json!({
                "url": upstream.url(), "interval": "1h", "insecure": true, "secretRef": {"name": "pull"},
                "ref": {"tag": tag}, "verify": verify,
            });
            ops.source_object(KIND, name, spec).await
        };
        let refused = [
            ("foreign", "foreign", "strict", "the signature is not produced by a trusted signer"),
            ("unsigned", "unsigned", "strict", "no matching signatures were found for"),
            ("other", "signed", "other", "is none of the trusted identities of the policy 'apps'"),
            ("elsewhere", "signed", "elsewhere", "no statement applies to"),
            ("garbage", "signed", "garbage", "/garbage': the trust policy cannot be used"),
            ("nothing", "signed", "nothing", "/nothing': key 'trustpolicy.json' is missing"),
        ];
        create("good", "signed", "strict").await?;
        create("audited", "foreign", "audit").await?;
        create("skipped", "unsigned", "skip").await?;
        for (name, tag, secret, _) in refused {
            create(name, tag, secret).await?;
        }
        let good = ops.has(KIND, "good", &format!("signed@{signed}")).await?;
        ensure!(condition(&good, "SourceVerified") == Some("True"), "{}", good.data["status"]);
        for (name, revision) in
            [("audited", format!("foreign@{foreign}")), ("skipped", format!("unsigned@{unsigned}"))]
        {
            let ignored = ops.has(KIND, name, &revision).await?;
            ensure!(condition(&ignored, "SourceVerified").is_none(), "{name}: {}", ignored.data["status"]);
        }
        for (name, _, _, words) in refused {
            let failed = ops.fails(SOURCE, KIND, name, "VerificationError").await?;
            let said = message(&failed);
            ensure!(said.contains("failed to verify the signature using provider 'notation': "), "{said}");
            ensure!(said.contains(words) && !said.contains("s3cret"), "{name}: {said}");
            ensure!(failed.data["status"]["artifact"].is_null(), "{name} was stored");
        }
        Ok(())
    })
    .await
}
