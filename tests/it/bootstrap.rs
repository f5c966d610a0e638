//! Bootstrap end to end: real Git servers over HTTPS and SSH, a real control plane, and controllers that are started with
//! the arguments of the committed manifests.

mod hosts;
mod oci;

use anyhow::{Context, Result, ensure};
use sluice_tests::{
    Access, Cluster, ControlPlane, Controller, GitServer, Options, Repository, binaries, wait,
};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    talk: String,
}

async fn sluice(plane: &ControlPlane, line: &str, variables: &[(&str, &str)]) -> Result<Ran> {
    let binaries = tokio::task::spawn_blocking(binaries).await??;
    let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(line.split_whitespace()).env("KUBECONFIG", &plane.facts().kubeconfig);
    command.envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    let text = |bytes| String::from_utf8(bytes);
    Ok(Ran { code: output.status.code(), talk: text(output.stderr)? + &text(output.stdout)? })
}

async fn fine(plane: &ControlPlane, line: &str, variables: &[(&str, &str)]) -> Result<Ran> {
    let ran = sluice(plane, line, variables).await?;
    ensure!(ran.code == Some(0), "sluice {line}: {:?}\n{}", ran.code, ran.talk);
    Ok(ran)
}

/// Starts a controller with the arguments of its Deployment, as soon as that is there.
async fn deployed(plane: &ControlPlane, cluster: &Cluster, name: &str) -> Result<Controller> {
    let deployments = cluster.api("apps/v1", "Deployment").await?;
    let deployment = wait::until(&deployments, name, "deployed", |_| true).await?;
    let mut builder = Controller::builder(plane, name)?.variable("RUNTIME_NAMESPACE", &cluster.namespace);
    let args = deployment.data["spec"]["template"]["spec"]["containers"][0]["args"].as_array().cloned();
    for argument in args.context("no arguments")? {
        let argument = argument.as_str().unwrap_or_default();
        // Nobody serves the names of the cluster here, and /data is not ours.
        if !["--storage-", "--events-addr"].iter().any(|own| argument.starts_with(own)) {
            builder = builder.argument(argument);
        }
    }
    builder.start().await
}

fn log(repository: &Repository) -> Result<Vec<String>> {
    repository.git(["reset", "--quiet", "--hard", "main"])?;
    Ok(repository.git(["log", "--format=%s|%an"])?.lines().map(str::to_owned).collect())
}

/// Keys that sign commits, and what git and gpg need to know them.
struct Signers {
    ssh: PathBuf,
    gpg: PathBuf,
    allowed: PathBuf,
    /// `gpg` with those keys.
    verifier: PathBuf,
    home: PathBuf,
}

impl Signers {
    fn new(folder: &Path) -> Result<Self> {
        let (ssh, allowed) = (folder.join("signer"), folder.join("allowed"));
        let run = |command: &mut std::process::Command| {
            let output = command.stdin(Stdio::null()).output()?;
            ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            Ok(output.stdout)
        };
        let mut keygen = std::process::Command::new("ssh-keygen");
        run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&ssh))?;
        let public = std::fs::read_to_string(ssh.with_extension("pub"))?;
        std::fs::write(&allowed, format!("* {public}"))?;
        // Sockets of gpg's agent need a short path.
        let home = PathBuf::from(format!("/tmp/sluice-gpg-{}", std::process::id()));
        std::fs::create_dir_all(&home)?;
        std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let gpg = |arguments: &[&str]| {
            run(std::process::Command::new("gpg")
                .args(["--batch", "--quiet", "--homedir"])
                .arg(&home)
                .args(arguments))
        };
        gpg(&["--passphrase", "", "--quick-generate-key", "fleet@example.com", "ed25519", "sign", "never"])?;
        let ring = folder.join("keys.asc");
        std::fs::write(&ring, gpg(&["--passphrase", "", "--armor", "--export-secret-keys"])?)?;
        let verifier = folder.join("gpg");
        std::fs::write(&verifier, format!("#!/bin/sh\nexec gpg --homedir {} \"$@\"\n", home.display()))?;
        std::fs::set_permissions(&verifier, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { ssh, gpg: ring, allowed, verifier, home })
    }

    /// How the commits of a repository are signed, the newest first.
    fn of(&self, repository: &Repository) -> Result<Vec<&'static str>> {
        let allowed = format!("gpg.ssh.allowedSignersFile={}", self.allowed.display());
        let program = format!("gpg.program={}", self.verifier.display());
        let told = repository.git(["-c", &allowed, "-c", &program, "log", "--format=%G?|%GK", "main"])?;
        let words = told.lines().map(|line| match line.split_once('|') {
            Some(("G" | "U", key)) if key.starts_with("SHA256:") => "good ssh",
            Some(("G" | "U", _)) => "good gpg",
            Some(("N", _)) => "none",
            _ => "bad",
        });
        Ok(words.collect())
    }
}

impl Drop for Signers {
    fn drop(&mut self) {
        let mut agent = std::process::Command::new("gpgconf");
        let _ = agent.arg("--homedir").arg(&self.home).args(["--kill", "all"]).status();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_manages_itself_from_a_repository_and_the_second_time_changes_nothing() -> Result<()> {
    // Cluster-wide objects are made: a control plane of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let plane = &plane;
    let cluster = Cluster { client: plane.client().await?, namespace: "flux-system".into() };
    let login = Access::Basic("git".into(), "s3cret".into());
    let server = GitServer::builder().tls().access(login).start().await?;
    let fleet = server.repository("fleet")?;
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("ca.crt");
    std::fs::write(&authority, server.ca().context("no CA")?)?;
    let line = format!(
        "bootstrap git --url={} --token-auth --path=clusters/staging --ca-file={} --components=source-controller,kustomize-controller --timeout=3m",
        fleet.url(),
        authority.display()
    );
    let secret = [("GIT_PASSWORD", "s3cret")];

    // What is wrong is told before anything is written.
    let ran = sluice(plane, &line, &[("GIT_PASSWORD", "wrong")]).await?;
    ensure!(ran.code == Some(1) && ran.talk.contains("authentication required"), "{ran:?}");
    let ran = sluice(plane, &line.replace("kustomize-controller", "helm-controller"), &secret).await?;
    ensure!(ran.talk.contains("✗ component kustomize-controller is required"), "{ran:?}");

    let running = async {
        Ok::<_, anyhow::Error>((
            deployed(plane, &cluster, "source-controller").await?,
            deployed(plane, &cluster, "kustomize-controller").await?,
        ))
    };
    let signers = Signers::new(folder.path())?;
    let signed = format!("{line} --ssh-signing-key-file={}", signers.ssh.display());
    let (ran, (source, kustomize)) = tokio::try_join!(sluice(plane, &signed, &secret), running)?;
    let logs = || format!("{}\n---\n{}", source.log_tail(), kustomize.log_tail());
    ensure!(ran.code == Some(0), "{}\n{}", ran.talk, logs());
    let phases = [
        "► cloning branch \"main\" from Git repository",
        "✔ committed component manifests to \"main\" (\"",
        "► installing components in \"flux-system\" namespace",
        "✔ reconciled components",
        "✔ reconciled source secret",
        "✔ reconciled sync configuration",
        "◎ waiting for GitRepository \"flux-system/flux-system\" to be reconciled",
        "✔ GitRepository reconciled successfully",
        "✔ Kustomization reconciled successfully",
        "✔ all components are healthy",
    ];
    let mut rest = ran.talk.as_str();
    for phase in phases {
        let at = rest.find(phase).with_context(|| format!("{phase:?} is not in order in {}", ran.talk))?;
        rest = &rest[at..];
    }
    let commits = ["Add Flux sync manifests|Flux", "Add Flux v0.1.0 component manifests|Flux"];
    ensure!(log(&fleet)? == commits, "{:?}", log(&fleet)?);
    ensure!(signers.of(&fleet)? == ["good ssh", "good ssh"], "{:?}", signers.of(&fleet)?);
    let files = fleet.git(["ls-tree", "-r", "--name-only", "HEAD"])?;
    let own = ["gotk-components.yaml", "gotk-sync.yaml", "kustomization.yaml"];
    let expected: Vec<String> =
        own.iter().map(|name| format!("clusters/staging/flux-system/{name}")).collect();
    ensure!(files.lines().eq(expected.iter().map(String::as_str)), "{files}");

    // Again: nothing.
    let ran = fine(plane, &line, &secret).await?;
    for told in [
        "✔ component manifests are up to date",
        "✔ source secret up to date",
        "✔ sync manifests are up to date",
    ] {
        ensure!(ran.talk.contains(told), "{told:?} is not in {}", ran.talk);
    }
    ensure!(!ran.talk.contains("installing components") && log(&fleet)?.len() == 2, "{}", ran.talk);
    let checked = fine(plane, "check", &[]).await?;
    ensure!(checked.talk.contains("✔ bootstrapped: true"), "{checked:?}");
    let refused = sluice(plane, "install", &[]).await?;
    ensure!(refused.talk.contains("this cluster has already been bootstrapped"), "{refused:?}");
    let elsewhere = sluice(plane, &line.replace("clusters/staging", "clusters/other"), &secret).await?;
    ensure!(elsewhere.talk.contains("would overwrite path (\"./clusters/staging\")"), "{elsewhere:?}");

    // The user's patch is kept when a later bootstrap changes the components.
    let path = "clusters/staging/flux-system/kustomization.yaml";
    let patched = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\npatches:\n- target: {kind: Deployment, name: kustomize-controller}\n  patch: |\n    - op: add\n      path: /spec/template/spec/containers/0/args/-\n      value: --concurrent=7\n";
    fleet.write(path, patched)?;
    fleet.commit("Work harder")?;
    let upgrade = format!("{line} --log-level=debug --gpg-key-ring={}", signers.gpg.display());
    let ran = fine(plane, &upgrade, &secret).await?;
    ensure!(ran.talk.contains("✔ committed component manifests"), "{}", ran.talk);
    ensure!(log(&fleet)?.len() == 4, "{:?}", log(&fleet)?);
    ensure!(signers.of(&fleet)? == ["good gpg", "none", "good ssh", "good ssh"], "{:?}", signers.of(&fleet)?);
    ensure!(std::fs::read_to_string(fleet.work().join(path))? == patched, "the user's file was changed");
    let deployments = cluster.api("apps/v1", "Deployment").await?;
    wait::until(&deployments, "kustomize-controller", "upgraded by the cluster itself", |object| {
        let args = object.data["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        args.contains("--concurrent=7") && args.contains("--log-level=debug")
    })
    .await
    .with_context(logs)?;

    hosts::all(plane, &source, &kustomize).await
}
