//! The commands of the guides that need a cluster, run as they are written there. Those that need none are run by the
//! tests of the command line.

use crate::examples::Fleet;
use anyhow::{Context, Result, bail, ensure};
use sluice_tests::binaries;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// How the commands of a page are run.
#[derive(Default)]
pub(crate) struct Guide<'a> {
    /// The page, below `docs`.
    pub(crate) page: &'a str,
    /// What the page says, and what is meant here.
    pub(crate) instead: &'a [(&'a str, &'a str)],
    /// How commands begin that other cases run, since they set clusters up or take them down; and `logs`, for which the
    /// control plane has no kubelets.
    pub(crate) elsewhere: &'a [&'a str],
    /// Environment variables that the page asks for.
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

impl Guide<'_> {
    /// Runs them one after the other in the work tree of the fleet's repository. Each must end with 0.
    pub(crate) async fn run(&self, fleet: &Fleet) -> Result<()> {
        let text = std::fs::read_to_string(sluice_tests::workspace().join("docs").join(self.page))?;
        let mut left: Vec<_> = self.elsewhere.to_vec();
        let mut count = 0;
        for line in
            text.lines().map(str::trim).filter(|line| line.starts_with("sluice ") && !is_offline(line))
        {
            if self.elsewhere.iter().any(|begin| line.starts_with(begin)) {
                left.retain(|begin| !line.starts_with(begin));
                continue;
            }
            let here =
                self.instead.iter().fold(line.to_owned(), |line, (said, meant)| line.replace(said, meant));
            let ran = self.command(fleet, &here).await.with_context(|| format!("{}: {here}", self.page))?;
            count += 1;
            ensure!(
                ran.status.success(),
                "{}: {here}: {}\n{}{}",
                self.page,
                ran.status,
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            );
        }
        ensure!(
            left.is_empty() && count > 0,
            "{} has {count} such commands, and none with {left:?}",
            self.page
        );
        Ok(())
    }

    async fn command(&self, fleet: &Fleet, line: &str) -> Result<Output> {
        let binaries = tokio::task::spawn_blocking(binaries).await??;
        let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
        command.args(words(line).iter().skip(1)).current_dir(fleet.repository.work()).kill_on_drop(true);
        command.env("KUBECONFIG", fleet.kubeconfig()).envs(self.variables.iter().copied());
        // The work tree belongs to a repository that is beside it.
        command.env("GIT_DIR", fleet.repository.served()).env("GIT_WORK_TREE", fleet.repository.work());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if line.contains(" --watch") {
            // It ends with Ctrl-C: something is shown until then.
            let mut child = command.spawn()?;
            let mut first = [0; 1];
            let read = child.stdout.take().context("no pipe")?;
            tokio::time::timeout(PATIENCE, { read }.read_exact(&mut first)).await??;
            let id = rustix::process::Pid::from_raw(i32::try_from(child.id().context("it ended")?)?);
            rustix::process::kill_process(id.context("no process")?, rustix::process::Signal::INT)?;
            let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
            if status.code().is_some_and(|code| code != 0 && code != 130) {
                bail!("Ctrl-C ends it with {status}");
            }
            return Ok(Output {
                status: std::process::ExitStatus::default(),
                stdout: Vec::new(),
                stderr: Vec::new(),
            });
        }
        Ok(tokio::time::timeout(PATIENCE, command.output()).await??)
    }
}

/// Whether a command is run by the tests of the command line, see `cli/tests/it/main.rs`.
fn is_offline(line: &str) -> bool {
    line.starts_with("sluice create ") && line.ends_with(" --export")
        || line.starts_with("sluice test examples/")
        || line.starts_with("sluice helm ")
        || line.starts_with("sluice build ") && line.ends_with(" --dry-run")
        || line == "sluice install --export"
}

/// The words of a line of a shell without anything but single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match (character, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (character, Some(word)) => word.push(character),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
