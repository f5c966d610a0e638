//! `sluice kustomize build` with bases on other machines, beside kustomize itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sluice_tests::{FileServer, GitServer};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: NAME\n";

/// Exit code and standard output, which is all that must be equal: errors of git are git's own.
fn build(program: &Path, target: &str) -> Result<(bool, String)> {
    let arguments: &[&str] =
        if program.ends_with("sluice") { &["kustomize", "build", target] } else { &["build", target] };
    let output = Command::new(program).args(arguments).output()?;
    Ok((output.status.success(), String::from_utf8(output.stdout)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_bases_are_built_as_kustomize_builds_them() -> Result<()> {
    let git = GitServer::start().await?;
    let web = FileServer::start().await?;
    std::fs::write(web.folder().join("map.yaml"), MAP.replace("NAME", "web"))?;
    let repository = git.repository("remote")?;
    repository.write("kustomization.yaml", "resources: [base]\nnamePrefix: root-\n")?;
    repository.write("base/kustomization.yaml", "resources: [map.yaml]\n")?;
    repository.write("base/map.yaml", MAP.replace("NAME", "one"))?;
    repository.write("out/kustomization.yaml", "resources: [../base]\n")?;
    repository.write("outside/kustomization.yaml", "resources: [../../elsewhere]\n")?;
    let first = repository.commit("One")?;
    repository.tag("v1")?;
    repository.write("base/map.yaml", MAP.replace("NAME", "two"))?;
    repository.commit("Two")?;
    let (url, disk, web) = (repository.url(), repository.served().display(), web.url());
    let cases = [
        format!("{url}//base"),
        format!("{url}/base?ref=main"),
        format!("{url}?ref=v1"),
        format!("{url}//base?version=v1&timeout=1m"),
        format!("{url}//out?ref={first}&submodules=false&timeout=90"),
        format!("{url}//outside"),
        format!("{url}//nowhere"),
        format!("{url}//base?ref=nothing"),
        format!("file://{disk}//base?ref=v1"),
        format!("file://{disk}"),
        format!("{web}/map.yaml"),
        format!("{web}/nothing.yaml"),
    ];
    tokio::task::spawn_blocking(move || {
        let sluice = sluice_tests::binaries()?.get("sluice").context("no sluice")?;
        let kustomize = sluice_reference::tool("kustomize");
        let overlay = tempfile::tempdir()?;
        for case in cases {
            let text =
                format!("resources: [\"{case}\"]\nnameSuffix: -x\nbuildMetadata: [originAnnotations]\n");
            std::fs::write(overlay.path().join("kustomization.yaml"), text)?;
            for target in [overlay.path().to_str().context("a path")?, &case] {
                let (theirs, ours) = (build(&kustomize, target)?, build(sluice, target)?);
                ensure!(theirs == ours, "{case}\nkustomize: {theirs:?}\nsluice: {ours:?}");
            }
        }
        Ok(())
    })
    .await?
}
