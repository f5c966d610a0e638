//! `make bench-git`: many GitRepositories of few URLs at rest, then from a large repository to its artifact, beside
//! `git clone --depth 1` and `tar`.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::json;
use sluice_programs::measure::{PATIENCE, all, apply, control_plane, is_ready, mebibytes, none, object, say};
use sluice_tests::{Cluster, ControlPlane, Controller, GitServer, Operation, Repository, wait};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// CPU, memory and requests of GitRepositories, on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// How many GitRepositories.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Of how many URLs.
    #[arg(long, default_value_t = 20)]
    urls: usize,
    /// Seconds at rest, with an interval of a minute.
    #[arg(long, default_value_t = 180)]
    rest: u64,
    /// Files of the large repository.
    #[arg(long, default_value_t = 20_000)]
    files: usize,
    /// Its commits.
    #[arg(long, default_value_t = 50_000)]
    commits: usize,
    /// Mebibytes of the file that a third repository has in its history.
    #[arg(long, default_value_t = 1024)]
    large: usize,
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KIND: &str = "GitRepository";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (plane, cluster) = control_plane().await?;
    let server = GitServer::start().await?;
    if arguments.count > 0 {
        many(&plane, &cluster, &server, &arguments).await?;
    }
    let small = server.repository("small")?;
    small.write("app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n")?;
    small.commit("A small repository")?;
    one(&plane, &cluster, "small", &small).await?;
    if arguments.files > 0 {
        let long = server.repository("long")?;
        import(&long, &history(arguments.files, arguments.commits))?;
        one(&plane, &cluster, &format!("{} files, {} commits", arguments.files, arguments.commits), &long)
            .await?;
    }
    if arguments.large > 0 {
        let large = server.repository("large")?;
        import_large(&large, arguments.large)?;
        one(&plane, &cluster, &format!("{} MiB in a file of the history", arguments.large), &large).await?;
    }
    Ok(())
}

/// Many objects of few URLs.
async fn many(
    plane: &ControlPlane,
    cluster: &Cluster,
    server: &GitServer,
    arguments: &Arguments,
) -> Result<()> {
    let Arguments { count, urls, rest, .. } = *arguments;
    let mut repositories = Vec::new();
    for index in 0..urls {
        let repository = server.repository(&format!("many-{index}"))?;
        repository.write(
            "app.yaml",
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app-{index}}}\n"),
        )?;
        repository.commit("One")?;
        repositories.push(repository);
    }
    let controller = Controller::builder(plane, "source-controller")?.argument("--log-level=error");
    let controller = controller.start().await?;
    let begin = Instant::now();
    let spec = |index: usize| {
        let url = repositories[index % urls].url();
        json!({"url": url, "interval": "1m", "ref": {"branch": "main"}})
    };
    let objects: Vec<_> =
        (0..count).map(|index| object(SOURCE, KIND, &format!("many-{index}"), spec(index))).collect();
    apply(cluster, objects).await?;
    let ready = all(&cluster.api(SOURCE, KIND).await?, count, is_ready).await;
    ready.with_context(|| controller.log_tail())?;
    let used = controller.usage()?;
    say(&format!(
        "{count} GitRepositories of {urls} URLs: {:.1} s to all ready, {:.2} s of CPU, peak {:.1} MiB, {} fetches",
        begin.elapsed().as_secs_f64(),
        used.cpu.as_secs_f64(),
        mebibytes(used.peak),
        server.count(Operation::Fetch),
    ))?;
    // The first interval after the start still has its traces.
    tokio::time::sleep(Duration::from_mins(1)).await;
    server.forget();
    let before = controller.usage()?;
    tokio::time::sleep(Duration::from_secs(rest)).await;
    let after = controller.usage()?;
    let cost = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    say(&format!(
        "at rest with an interval of 1 m: {:.3} cores over {rest} s, {:.1} MiB resident, peak {:.1} MiB, {:.0} requests a minute to the Git server",
        cost / rest as f64,
        mebibytes(after.resident),
        mebibytes(after.peak),
        server.requests().len() as f64 * 60.0 / rest as f64,
    ))
}

/// One repository, with a controller of its own, so that its peak is of nothing else.
async fn one(plane: &ControlPlane, cluster: &Cluster, what: &str, repository: &Repository) -> Result<()> {
    cluster
        .api(SOURCE, KIND)
        .await?
        .delete_collection(&kube::api::DeleteParams::default(), &ListParams::default())
        .await?;
    let controller = Controller::builder(plane, "source-controller")?.argument("--log-level=error");
    let controller = controller.start().await?;
    // It sees to what the one before has left.
    let api: Api<DynamicObject> = cluster.api(SOURCE, KIND).await?;
    none(&api).await?;
    let before = controller.usage()?;
    let begin = Instant::now();
    let spec =
        json!({"url": repository.url(), "interval": "1h", "timeout": "10m", "ref": {"branch": "main"}});
    apply(cluster, [object(SOURCE, KIND, "one", spec)]).await?;
    let object = wait::until_within(&api, "one", "ready", PATIENCE, is_ready).await?;
    let (seconds, after) = (begin.elapsed().as_secs_f64(), controller.usage()?);
    let size = object.data["status"]["artifact"]["size"].as_u64().unwrap_or_default();
    say(&format!(
        "{what}: {seconds:.2} s to an artifact of {:.1} MiB, {:.2} s of CPU, peak {:.1} MiB",
        mebibytes(size),
        after.cpu.saturating_sub(before.cpu).as_secs_f64(),
        mebibytes(after.peak),
    ))?;
    let url = repository.url().to_owned();
    say(&tokio::task::spawn_blocking(move || git_and_tar(&url)).await??)
}

/// The same by hand.
fn git_and_tar(url: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let work = folder.path().display();
    let script = format!(
        "git clone --quiet --depth 1 {url} {work}/clone && tar -C {work}/clone --exclude .git -czf {work}/artifact.tar.gz ."
    );
    let begin = Instant::now();
    // GNU time knows the CPU and the memory of the largest child.
    let measured = Path::new("/usr/bin/time").exists();
    let mut command = Command::new(if measured { "/usr/bin/time" } else { "sh" });
    if measured {
        command.args(["-f", "%U %S %M", "sh"]);
    }
    let output = command.args(["-c", &script]).env("GIT_CONFIG_GLOBAL", "/dev/null").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seconds = begin.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stderr);
    let mut numbers = text.split_ascii_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let cost = match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(user), Some(system), Some(peak)) => {
            format!("{:.2} s of CPU, peak {:.1} MiB in one process", user + system, peak / 1024.0)
        }
        _ => "/usr/bin/time is not installed, so nothing is known of CPU and memory".to_owned(),
    };
    Ok(format!("  git clone --depth 1 and tar: {seconds:.2} s, {cost}"))
}

/// A stream for `git fast-import`: files in folders of a hundred, then one change in each commit.
fn history(files: usize, commits: usize) -> Vec<u8> {
    let content = |file: usize, version: usize| {
        let mut text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-{file}\ndata:\n  version: \"{version}\"\n"
        );
        for line in 0..20 {
            let _ = writeln!(text, "  key-{line}: value-{}", (file * 31 + line * 17) % 1009);
        }
        text
    };
    let mut stream = String::new();
    for commit in 0..commits.max(1) {
        let _ = write!(
            stream,
            "commit refs/heads/main\ncommitter Bench <bench@example.com> {} +0000\ndata 6\nchange\n",
            1_700_000_000 + commit
        );
        let changed = if commit == 0 { 0..files } else { commit % files..commit % files + 1 };
        for file in changed {
            let text = content(file, commit);
            let _ = write!(
                stream,
                "M 100644 inline apps/{}/{file}.yaml\ndata {}\n{text}\n",
                file / 100,
                text.len()
            );
        }
    }
    stream.into_bytes()
}

fn import(repository: &Repository, stream: &[u8]) -> Result<()> {
    let mut child = importer(repository)?;
    child.stdin.take().context("no pipe")?.write_all(stream)?;
    ensure!(child.wait()?.success(), "git fast-import");
    Ok(())
}

fn importer(repository: &Repository) -> Result<std::process::Child> {
    Ok(Command::new("git")
        .arg("--git-dir")
        .arg(repository.served())
        .args(["fast-import", "--quiet", "--force"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .spawn()?)
}

/// A large file that the second commit removes.
fn import_large(repository: &Repository, mebibytes: usize) -> Result<()> {
    let mut child = importer(repository)?;
    let mut out = std::io::BufWriter::new(child.stdin.take().context("no pipe")?);
    let committer = "committer Bench <bench@example.com> 1700000000 +0000\ndata 6\nchange\n";
    write!(out, "commit refs/heads/main\n{committer}M 100644 inline small.yaml\ndata 4\na: 1\n")?;
    writeln!(out, "M 100644 inline large.bin\ndata {}", mebibytes << 20)?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut piece = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        random.fill(&mut piece);
        out.write_all(&piece)?;
    }
    write!(out, "\ncommit refs/heads/main\n{committer}D large.bin\n")?;
    drop(out);
    ensure!(child.wait()?.success(), "git fast-import");
    Ok(())
}
