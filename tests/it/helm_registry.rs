//! HelmReleases with charts from a real registry, by a HelmRepository and by an OCIRepository.

use crate::helm::{HELM, SOURCE, helm_ops};
use crate::helm_release::{cache, config, monitoring};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use sluice_tests::{Controller, FileServer, Registry, TestChart, condition, documents, workspace};
use std::collections::BTreeMap;
use std::path::Path;

fn push(helm: &Path, registry: &Registry, chart: &TestChart) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(format!("{}-{}.tgz", chart.name, chart.version));
    std::fs::write(&file, chart.package()?)?;
    let target = format!("oci://{}/charts", registry.address());
    Registry::run(helm, &["push", &file.display().to_string(), &target, "--plain-http"]).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_helm_release_that_users_have_works_with_a_real_registry() -> Result<()> {
    helm_ops("helm-registry", &[], async |ops| {
        let plane = ops.plane;
        let source = tokio::task::spawn_blocking(move || Controller::builder(plane, "source-controller")).await??;
        let source = source.namespace(&ops.namespace).start().await?;
        let (helm, registry) = (crate::charts::helm().await?, Registry::start().await?);
        for chart in [cache("17.0.0"), cache("17.2.0"), monitoring()] {
            push(&helm, &registry, &chart)?;
        }
        let url = format!("oci://{}/charts", registry.address());
        let mut names = Vec::new();
        for file in ["helm-repository", "helm-release-v2", "helm-release-v2beta2", "helm-release-v2beta1"] {
            let file = workspace().join(format!("tests/fixtures/manifests/{file}.yaml"));
            for mut object in documents(&std::fs::read_to_string(file)?)? {
                // The host and the namespaces are those of a user: ours take their place.
                object["metadata"]["namespace"] = ops.namespace.as_str().into();
                if object["kind"] == "HelmRepository" {
                    if object["spec"]["type"] != "oci" {
                        continue;
                    }
                    object["spec"]["url"] = url.as_str().into();
                    object["spec"]["insecure"] = true.into();
                } else {
                    object["spec"]["chart"]["spec"]["sourceRef"] = json!({"kind": "HelmRepository", "name": "charts-oci"});
                    names.push(object["metadata"]["name"].as_str().context("no name")?.to_owned());
                }
                ops.apply(&object.to_string()).await?;
            }
        }
        ops.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: monitoring-values}\ndata: {values.yaml: 'retention: 5d'}\n").await?;
        let repository = json!({
            "apiVersion": SOURCE, "kind": "OCIRepository", "metadata": {"name": "cache"},
            "spec": {"interval": "1h", "url": format!("{url}/cache"), "insecure": true, "ref": {"semver": "17.x"},
                     "layerSelector": {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"}},
        });
        ops.apply(&repository.to_string()).await?;
        let chart = json!({"kind": "OCIRepository", "name": "cache"});
        ops.release("direct", json!({"chartRef": chart, "values": {"from": "registry"}})).await?;

        ensure!(names == ["monitoring", "cache-beta2", "cache-old"], "{names:?}");
        for name in names.iter().map(String::as_str).chain(["direct"]) {
            ops.ready(name, 1).await.map_err(|error| error.context(source.log_tail()))?;
        }
        let monitoring = ops.get(HELM, "HelmRelease", "monitoring").await?;
        ensure!(condition(&monitoring, "TestSuccess") == Some("False"), "{}", monitoring.data["status"]);
        ensure!(config(ops, "cache-old").await?["from"] == "prod");
        ensure!(config(ops, "direct").await?["from"] == "registry");
        let direct = ops.get(HELM, "HelmRelease", "direct").await?;
        let newest = &direct.data["status"]["history"][0];
        let digest = newest["ociDigest"].as_str().and_then(|digest| digest.strip_prefix("sha256:")).context("no digest")?;
        ensure!(newest["chartVersion"] == format!("17.2.0+{}", &digest[..12]), "{newest}");

        // What is pushed reaches the releases by itself.
        push(&helm, &registry, &cache("17.9.0"))?;
        ops.request_reconcile(SOURCE, "OCIRepository", "cache").await?;
        ops.request_reconcile(SOURCE, "HelmChart", &format!("{}-cache-beta2", ops.namespace)).await?;
        for name in ["direct", "cache-beta2"] {
            let upgraded = ops.ready(name, 2).await.map_err(|error| error.context(source.log_tail()))?;
            let version = upgraded.data["status"]["history"][0]["chartVersion"].as_str().unwrap_or_default().to_owned();
            ensure!(version.starts_with("17.9.0"), "{name}: {version}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_pulled_as_helm_pulls_them() -> Result<()> {
    let binaries = tokio::task::spawn_blocking(sluice_tests::binaries).await??;
    let sluice = binaries.get("sluice").context("no sluice")?.clone();
    let (helm, registry, server) =
        (crate::charts::helm().await?, Registry::start().await?, FileServer::start().await?);
    crate::charts::publish(&helm, &server, "app", &["1.0.0", "1.1.0", "2.0.0-rc.1"])?;
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        let file = server.folder().join(format!("app-{version}.tgz")).display().to_string();
        Registry::run(
            &helm,
            &["push", &file, &format!("oci://{}/charts", registry.address()), "--plain-http"],
        )?;
    }
    let oci = format!("oci://{}/charts/app", registry.address());
    let archive = format!("{}/app-1.0.0.tgz", server.url());
    let folder = tempfile::tempdir()?;
    let pull = |program: &Path, arguments: &[&str], target: &str| -> Result<BTreeMap<String, Vec<u8>>> {
        let target = folder.path().join(target);
        std::fs::create_dir_all(&target)?;
        let place = target.display().to_string();
        let verb: &[&str] = if program == helm { &["pull"] } else { &["helm", "pull"] };
        Registry::run(program, &[verb, arguments, &["--destination", &place]].concat())?;
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&target)? {
            let entry = entry?;
            files.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?);
        }
        Ok(files)
    };
    let cases: [&[&str]; 6] = [
        &["app", "--repo", server.url()],
        &["app", "--repo", server.url(), "--version", "~1.0"],
        &["app", "--repo", server.url(), "--devel"],
        &[&archive],
        &[&oci, "--plain-http"],
        &[&oci, "--plain-http", "--version", "1.0.0"],
    ];
    for (index, case) in cases.into_iter().enumerate() {
        let (theirs, ours) =
            (pull(&helm, case, &format!("theirs-{index}"))?, pull(&sluice, case, &format!("ours-{index}"))?);
        ensure!(!theirs.is_empty() && theirs == ours, "{case:?}: {:?} and {:?}", theirs.keys(), ours.keys());
    }
    let unpacked = folder.path().join("unpacked").display().to_string();
    let untar = ["helm", "pull", "app", "--repo", server.url(), "--untar", "--untardir", &unpacked];
    Registry::run(&sluice, &untar)?;
    ensure!(folder.path().join("unpacked/app/Chart.yaml").is_file());
    // What is there is not overwritten, and what is not there is not found.
    let error = Registry::run(&sluice, &untar).unwrap_err().to_string();
    ensure!(error.contains("already exists"), "{error}");
    let error = Registry::run(&sluice, &["helm", "pull", "app", "--repo", server.url(), "--version", "7"])
        .unwrap_err();
    ensure!(error.to_string().contains("(nearest: 2.0.0-rc.1, 1.1.0, 1.0.0)"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_are_pulled_through_tls_with_certificates_of_files() -> Result<()> {
    let binaries = tokio::task::spawn_blocking(sluice_tests::binaries).await??;
    let sluice = binaries.get("sluice").context("no sluice")?.clone();
    let helm = crate::charts::helm().await?;
    let (registry, server) =
        (Registry::builder().client_certificates().start().await?, FileServer::start().await?);
    crate::charts::publish(&helm, &server, "app", &["1.0.0"])?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (certificate, key) = registry.client_certificate().context("no client certificate")?;
    let ca = file("ca.pem", registry.ca().context("no CA")?)?;
    let (cert, key) = (file("cert.pem", certificate)?, file("key.pem", key)?);
    let known = ["--ca-file", &ca, "--cert-file", &cert, "--key-file", &key];
    let any = ["--insecure-skip-tls-verify", "--cert-file", &cert, "--key-file", &key];
    let archive = std::fs::read(server.folder().join("app-1.0.0.tgz"))?;
    let packed = server.folder().join("app-1.0.0.tgz").display().to_string();
    let charts = format!("oci://{}/charts", registry.address());
    Registry::run(&helm, &[&["push", &packed, &charts], &known[..]].concat())?;
    let chart = format!("{charts}/app");
    // The archive is the layer: it has an address of its own.
    let blob = sluice_oci::digest(&archive);
    let address = format!("https://{}/v2/charts/app/blobs/{blob}", registry.address());
    for (index, (reference, name)) in [(&chart, "app-1.0.0.tgz"), (&address, &*blob)].into_iter().enumerate()
    {
        for (program, verb) in [(&helm, &["pull"][..]), (&sluice, &["helm", "pull"])] {
            for (way, flags) in [("known", &known[..]), ("any", &any)] {
                let target = folder.path().join(format!("{index}-{way}-{}", verb.len()));
                std::fs::create_dir(&target)?;
                let place = target.display().to_string();
                Registry::run(program, &[verb, &[reference, "--destination", &place], flags].concat())
                    .with_context(|| format!("{} {reference} {way}", program.display()))?;
                ensure!(std::fs::read(target.join(name))? == archive, "{reference} {way}");
            }
            for flags in [&[][..], &known[..2], &known[2..]] {
                let refused = Registry::run(program, &[verb, &[reference], flags].concat());
                ensure!(refused.is_err(), "{} {reference} {flags:?}", program.display());
            }
        }
    }
    // Files that are not there, or not what they should be, are named.
    for (flags, message) in [
        (["--ca-file", "/none.pem"], "/none.pem"),
        (["--ca-file", &packed], "the CA holds no certificate in PEM format"),
        (["--cert-file", &cert], "--key-file"),
    ] {
        for reference in [&chart, &address] {
            let error =
                Registry::run(&sluice, &[&["helm", "pull", reference][..], &flags].concat()).unwrap_err();
            ensure!(error.to_string().contains(message), "{reference} {flags:?}: {error}");
        }
    }
    Ok(())
}
