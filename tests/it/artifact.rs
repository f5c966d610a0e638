//! `sluice push artifact` and its siblings, against the distribution registry.

use anyhow::{Context, Result, ensure};
use sluice_tests::{Registry, binaries};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Cli {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Cli {
    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.home.path()).args(arguments);
        command.output().with_context(|| format!("{arguments:?}"))
    }

    /// What a run that succeeds says on stdout and on stderr.
    fn fine(&self, arguments: &[&str]) -> Result<(String, String)> {
        let output = self.run(arguments)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (data, talk) = (text(&output.stdout), text(&output.stderr));
        ensure!(output.status.success(), "{arguments:?}: {data}{talk}");
        Ok((data, talk))
    }

    fn fails(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        ensure!(output.status.code() == Some(1), "{arguments:?}: {output:?}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_pushed_listed_tagged_compared_and_pulled() -> Result<()> {
    let program = tokio::task::spawn_blocking(binaries).await??.get("sluice").context("no sluice")?.clone();
    let cli = Cli { program, home: tempfile::tempdir()? };
    let registry = Registry::start_closed().await?;
    let folder = tempfile::tempdir()?;
    let (path, target) = (folder.path().join("app"), folder.path().join("out"));
    for folder in [&path.join("deploy"), &target] {
        fs::create_dir_all(folder)?;
    }
    fs::write(path.join("deploy/a.yaml"), "a: 1\n")?;
    fs::write(path.join("logo.png"), "png")?;
    let shown = |path: &Path| path.display().to_string();
    let (path, target) = (shown(&path), shown(&target));
    let (user, password) = Registry::login();
    let creds = format!("--creds={user}:{password}");
    let url = format!("oci://{}/org/app:v1.0.0", registry.address());
    let about = ["--source=https://git/app", "--revision=main@sha1:1234", "--reproducible"];
    let push = [&["push", "artifact", &url, "-f", &path][..], &about, &[creds.as_str()]].concat();

    let error = cli.fails(&push[..push.len() - 1])?;
    ensure!(error.contains("401") && !error.contains(password), "{error}");
    let (_, talk) = cli.fine(&push)?;
    ensure!(
        talk.contains("► pushing artifact to 127.0.0.1:")
            && talk.contains("✔ artifact successfully pushed to"),
        "{talk}"
    );
    let (data, _) = cli.fine(&[&push[..], &["-o", "json"]].concat())?;
    let told: serde_json::Value = serde_json::from_str(&data)?;
    let digest = told["digest"].as_str().context("no digest")?.to_owned();
    ensure!(talk.contains(&digest), "equal content is an equal artifact: {talk}{data}");
    ensure!(told["tag"] == "v1.0.0", "{data}");

    cli.fine(&["tag", "artifact", &url, "--tag", "latest", "--tag", "v1.1.0", &creds])?;
    let repository = format!("oci://{}/org/app", registry.address());
    let (data, _) = cli.fine(&["list", "artifacts", &repository, &creds])?;
    let lines: Vec<&str> = data.lines().collect();
    ensure!(lines.len() == 4 && lines[0].starts_with("ARTIFACT"), "{data}");
    for (line, tag) in lines[1..].iter().zip(["v1.1.0", "v1.0.0", "latest"]) {
        let parts = [&format!(":{tag}"), digest.as_str(), "https://git/app", "main@sha1:1234"];
        ensure!(parts.iter().all(|part| line.contains(*part)), "{line}");
    }
    let (data, _) = cli.fine(&["list", "artifacts", &repository, "--filter-semver=>1.0.0", &creds])?;
    ensure!(data.lines().count() == 2, "{data}");

    let (_, talk) = cli.fine(&["diff", "artifact", &url, "--path", &path, &creds])?;
    ensure!(talk.contains("✔ no changes detected"), "{talk}");
    let (_, talk) = cli.fine(&["pull", "artifact", &url, "-o", &target, &creds])?;
    ensure!(talk.contains("✔ revision main@sha1:1234") && talk.contains(&digest), "{talk}");
    ensure!(fs::read_to_string(Path::new(&target).join("deploy/a.yaml"))? == "a: 1\n");
    ensure!(!Path::new(&target).join("logo.png").exists(), "pictures stay out");
    fs::write(Path::new(&path).join("deploy/a.yaml"), "a: 2\n")?;
    let error = cli.fails(&["diff", "artifact", &url, "--path", &path, &creds])?;
    ensure!(error.contains("the remote artifact contents differs from the local one"), "{error}");

    for (arguments, part) in [
        (&["pull", "artifact", &repository, "-o", "/none"][..], "invalid output path"),
        (&["pull", "artifact", "ghcr.io/org/app", "-o", &target], "must begin with oci://"),
        (&["pull", "artifact", &format!("{repository}:none"), "-o", &target, &creds], "MANIFEST_UNKNOWN"),
        (&[&push[..], &["-a", "no"]].concat(), "invalid annotation"),
    ] {
        let error = cli.fails(arguments)?;
        ensure!(error.contains(part), "{arguments:?}: {error}");
    }
    Ok(())
}
