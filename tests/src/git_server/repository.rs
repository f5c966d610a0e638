//! A repository on the git server, and commits in it.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A bare repository that is served, with a work tree beside it. A commit is on the server the moment it is made.
#[derive(Debug)]
pub struct Repository {
    bare: PathBuf,
    work: PathBuf,
    url: String,
    commits: AtomicU64,
}

impl Repository {
    pub(super) fn create(bare: &Path, work: &Path, url: String) -> Result<Self> {
        fs::create_dir_all(work)?;
        let repository = Self { bare: bare.into(), work: work.into(), url, commits: AtomicU64::new(0) };
        let mut init = Command::new("git");
        isolate(&mut init);
        run(init.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(bare))?;
        for (key, value) in [
            ("core.bare", "false"),
            ("http.receivepack", "true"),
            // As the large hosts do.
            ("uploadpack.allowReachableSHA1InWant", "true"),
            ("uploadpack.allowFilter", "true"),
            ("gc.auto", "0"),
            // The work tree beside it is brought up to date by whoever looks at it.
            ("receive.denyCurrentBranch", "ignore"),
        ] {
            repository.git(["config", key, value])?;
        }
        Ok(repository)
    }

    /// Where clients find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder that is served.
    pub fn served(&self) -> &Path {
        &self.bare
    }

    /// The folder whose contents [`commit`](Self::commit) commits.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file of the work tree, with the folders above it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let file = self.work.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, content).with_context(|| file.display().to_string())
    }

    /// Removes a file or a folder of the work tree.
    pub fn remove(&self, path: &str) -> Result<()> {
        let file = self.work.join(path);
        if file.is_dir() { fs::remove_dir_all(&file) } else { fs::remove_file(&file) }
            .with_context(|| file.display().to_string())
    }

    /// Replaces `old`, which must be there, by `new` in a file of the work tree.
    pub fn replace(&self, path: &str, old: &str, new: &str) -> Result<()> {
        let text = fs::read_to_string(self.work.join(path)).with_context(|| path.to_owned())?;
        if !text.contains(old) {
            bail!("{path} does not contain {old:?}");
        }
        self.write(path, text.replace(old, new))
    }

    /// Commits the whole work tree to the current branch and returns the commit's id.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.git(["add", "--all", "."])?;
        self.git(["commit", "--quiet", "--allow-empty", "-m", message])?;
        self.head()
    }

    /// The commit of the current branch.
    pub fn head(&self) -> Result<String> {
        self.git(["rev-parse", "HEAD"])
    }

    /// Makes the current commit a new branch and goes there.
    pub fn branch(&self, name: &str) -> Result<()> {
        self.git(["checkout", "--quiet", "-b", name]).map(drop)
    }

    /// Goes to a branch that is there.
    pub fn checkout(&self, name: &str) -> Result<()> {
        self.git(["checkout", "--quiet", "--force", name]).map(drop)
    }

    /// Gives the current commit an annotated tag.
    pub fn tag(&self, name: &str) -> Result<()> {
        self.git(["tag", "--annotate", "-m", name, name]).map(drop)
    }

    /// Runs git in the work tree and returns what it printed.
    pub fn git<const N: usize>(&self, arguments: [&str; N]) -> Result<String> {
        let mut command = Command::new("git");
        isolate(&mut command);
        // Each commit is a minute after the one before, so ids depend on nothing but the content.
        let minute = self.commits.fetch_add(1, Ordering::Relaxed);
        let date = format!("{} +0000", 1_700_000_000 + 60 * minute);
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        command.arg("--git-dir").arg(&self.bare).arg("--work-tree").arg(&self.work);
        run(command.args(arguments).current_dir(&self.work))
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().context("git cannot be run")?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Nothing of the person's configuration counts.
pub(super) fn isolate(command: &mut Command) {
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_"))
    {
        command.env_remove(variable);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
}
