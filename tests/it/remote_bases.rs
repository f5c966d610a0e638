//! `sluice kustomize build` with bases on other machines, beside kustomize itself; and the controller, where it may fetch them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::gitops::{GitOps, KUSTOMIZE, message};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use sluice_tests::{FileServer, GitServer, SshServer};
use tempfile::TempDir;

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: NAME\n";

/// Exit code and standard output, which is all that must be equal: errors of git are git's own.
fn build(program: &Path, target: &str, ssh: &str) -> Result<(bool, String)> {
    let arguments: &[&str] =
        if program.ends_with("sluice") { &["kustomize", "build", target] } else { &["build", target] };
    let output = Command::new(program).args(arguments).env("GIT_SSH_COMMAND", ssh).output()?;
    Ok((output.status.success(), String::from_utf8(output.stdout)?))
}

/// A server that the files of a folder open, and the URL there of a repository.
fn ssh(repository: &Path) -> Result<Option<(SshServer, TempDir, String)>> {
    if !Path::new("/usr/sbin/sshd").exists() {
        ensure!(std::env::var_os("CI").is_none(), "openssh-server is not installed; .ci/run installs it");
        return Ok(None);
    }
    let (server, files) = (SshServer::start()?, tempfile::tempdir()?);
    let key = files.path().join("key");
    std::fs::write(&key, server.new_key()?)?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    std::fs::write(files.path().join("hosts"), server.known_hosts()?)?;
    let url = server.url(repository);
    Ok(Some((server, files, url)))
}

/// How `git` is to call `ssh`.
fn login(files: &TempDir) -> String {
    let files = files.path().display();
    format!("ssh -F none -i {files}/key -o UserKnownHostsFile={files}/hosts -o IdentitiesOnly=yes")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_fetches_bases_where_that_is_allowed_and_only_there() -> Result<()> {
    let ops = GitOps::start("remote-bases", &["--no-remote-bases=false"]).await?;
    let case = async {
        let web = FileServer::start().await?;
        std::fs::write(web.folder().join("map.yaml"), MAP.replace("NAME", "web"))?;
        let other = ops.server.repository("other")?;
        other.write("base/kustomization.yaml", "resources: [map.yaml]\n")?;
        other.write("base/map.yaml", MAP.replace("NAME", "base"))?;
        other.write("outside/kustomization.yaml", "resources: [../../../../../../etc]\n")?;
        other.commit("A base")?;
        let overlay = |resources: &[String]| format!("resources: {}\nnamePrefix: x-\n", json!(resources));
        let (url, web) = (other.url(), web.url());
        ops.repository.write(
            "app/kustomization.yaml",
            overlay(&[format!("{url}//base?ref=main"), format!("{web}/map.yaml")]),
        )?;
        ops.repository.write("out/kustomization.yaml", overlay(&[format!("{url}//outside")]))?;
        ops.repository.write(
            "file/kustomization.yaml",
            overlay(&[format!("file://{}//base", other.served().display())]),
        )?;
        let commit = ops.repository.commit("Overlays")?;
        ops.git_repository(json!({})).await?;
        for name in ["app", "out", "file"] {
            ops.kustomization(name, json!({"path": name})).await?;
        }
        ops.applied("app", &commit).await?;
        for name in ["x-base", "x-web"] {
            ensure!(ops.find("v1", "ConfigMap", name).await?.is_some(), "{name} is not there");
        }
        for (name, says) in [("out", "etc"), ("file", "failed to fetch file://")] {
            let failed = ops.fails(KUSTOMIZE, "Kustomization", name, "BuildFailed").await?;
            ensure!(message(&failed).contains(says), "{name}: {}", message(&failed));
        }
        Ok(())
    }
    .await;
    ops.explain(case)
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
    let ssh = ssh(repository.served())?;
    let mut cases = vec![
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
    if let Some((_, _, url)) = &ssh {
        cases.extend([format!("{url}//base"), format!("{url}//out?ref=v1"), format!("{url}//nowhere")]);
    }
    tokio::task::spawn_blocking(move || {
        let sluice = sluice_tests::binaries()?.get("sluice").context("no sluice")?;
        let kustomize = sluice_reference::tool("kustomize");
        let overlay = tempfile::tempdir()?;
        let command = ssh.as_ref().map(|(_, files, _)| login(files)).unwrap_or_default();
        for case in cases {
            let text =
                format!("resources: [\"{case}\"]\nnameSuffix: -x\nbuildMetadata: [originAnnotations]\n");
            std::fs::write(overlay.path().join("kustomization.yaml"), text)?;
            for target in [overlay.path().to_str().context("a path")?, &case] {
                let (theirs, ours) = (build(&kustomize, target, &command)?, build(sluice, target, &command)?);
                ensure!(theirs == ours, "{case}\nkustomize: {theirs:?}\nsluice: {ours:?}");
            }
        }
        Ok(())
    })
    .await?
}
