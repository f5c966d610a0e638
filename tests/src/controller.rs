//! One of our controllers as a child process.

use crate::{ControlPlane, Usage, child::Child, identities, programs};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Settings of a [`Controller`].
#[derive(Debug)]
pub struct ControllerBuilder {
    binary: PathBuf,
    name: String,
    kubeconfig: PathBuf,
    /// Who it is has not been said: on the shared control plane it gets an account with its roles.
    account: bool,
    namespace: Option<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    below: Option<PathBuf>,
}

impl ControllerBuilder {
    /// Has its folder in this one: storage, temporary files and log.
    pub fn below(mut self, folder: &std::path::Path) -> Self {
        self.below = Some(folder.into());
        self
    }

    /// Watches this namespace only, and has its own there. Without it the controller watches all.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Another identity than that of the controllers under test.
    pub fn kubeconfig(mut self, path: &std::path::Path) -> Self {
        self.kubeconfig = path.into();
        self.account = false;
        self
    }

    /// One more argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more environment variable.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(mut self) -> Result<Controller> {
        if self.account {
            let leads = self.arguments.iter().any(|argument| argument == "--enable-leader-election");
            let leads_in = self.namespace.as_deref().filter(|_| leads);
            let plane = ControlPlane::shared()?;
            self.kubeconfig = identities::of_controller(plane, &self.name, leads_in).await?;
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix("sluice-controller-");
        let folder = match &self.below {
            Some(below) => builder.tempdir_in(below)?,
            None => builder.tempdir()?,
        };
        for name in ["data", "tmp"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let [health, metrics, own, webhooks] = free_ports()?;
        let mut controller = Controller {
            binary: self.binary.clone(),
            settings: self,
            folder,
            health,
            metrics,
            own,
            webhooks,
            child: None,
        };
        controller.launch()?;
        controller.ready().await?;
        Ok(controller)
    }
}

/// A running controller. It ends, and its folder goes, with this value; its ports and its storage survive a restart, as
/// those of a Pod's container do.
#[derive(Debug)]
pub struct Controller {
    settings: ControllerBuilder,
    binary: PathBuf,
    folder: tempfile::TempDir,
    health: u16,
    metrics: u16,
    /// Of the server that others call: artifacts, or events.
    own: u16,
    webhooks: u16,
    child: Option<Child>,
}

/// A line of the log, as JSON. A line that is none is under the key `text`.
pub type LogLine = Value;

/// The slowest start that is not a failure: the machine may be busy.
const READY_PATIENCE: Duration = Duration::from_mins(1);

impl Controller {
    /// The controller `name`, which builds the binaries if that is still to do.
    pub fn builder(plane: &ControlPlane, name: &str) -> Result<ControllerBuilder> {
        let binary =
            programs::binaries()?.get(name).with_context(|| format!("no binary is named {name}"))?.clone();
        Ok(ControllerBuilder {
            binary,
            name: name.into(),
            kubeconfig: plane.facts().controllers.clone(),
            account: plane.is_shared(),
            namespace: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            below: None,
        })
    }

    /// The process id.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it has cost so far.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id().context("not running")?)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// SIGSTOP: it hangs, with all its connections open.
    pub fn pause(&self) -> Result<()> {
        self.child.as_ref().context("not running")?.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on where it was.
    pub fn resume(&self) -> Result<()> {
        self.child.as_ref().context("not running")?.signal(Signal::CONT)
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        let child = self.child.take().context("not running")?;
        child.terminate(Duration::from_secs(30)).with_context(|| self.log_tail())
    }

    /// Starts it again after [`kill`](Self::kill) or [`terminate`](Self::terminate).
    pub async fn restart(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts it again and does not wait for anything.
    pub fn launch(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let (storage, settings) = (self.folder.path().join("data"), &self.settings);
        let child = Child::start(&self.binary, |command| {
            command
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", self.folder.path())
                .env("TMPDIR", self.folder.path().join("tmp"))
                .env("KUBECONFIG", &settings.kubeconfig)
                .envs(settings.environment.iter().map(|(name, value)| (name, value)))
                .arg(format!("--health-addr=127.0.0.1:{}", self.health))
                .arg(format!("--metrics-addr=127.0.0.1:{}", self.metrics))
                .args(["--log-encoding=json"]);
            if let Some(namespace) = &settings.namespace {
                command.env("RUNTIME_NAMESPACE", namespace).arg("--watch-all-namespaces=false");
            }
            if settings.account
                && identities::locked_down()
                && ["kustomize-controller", "helm-controller"].contains(&settings.name.as_str())
            {
                command.arg(format!("--default-service-account={}", identities::APPLIER));
            }
            if settings.name == "source-controller" {
                command
                    .arg(format!("--storage-path={}", storage.display()))
                    .arg(format!("--storage-addr=127.0.0.1:{}", self.own))
                    .arg(format!("--storage-adv-addr=127.0.0.1:{}", self.own));
            }
            if settings.name == "image-controller" {
                command.arg(format!("--storage-path={}", storage.display()));
            }
            if settings.name == "notification-controller" {
                command
                    .arg(format!("--events-addr=127.0.0.1:{}", self.own))
                    .arg(format!("--receiverAddr=127.0.0.1:{}", self.webhooks));
            }
            command.args(&settings.arguments).stdin(Stdio::null());
            if let Ok(errors) = log.try_clone() {
                command.stderr(errors);
            }
            command.stdout(log);
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the readiness probe succeeds.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_PATIENCE;
        loop {
            let answer = http().get(format!("http://127.0.0.1:{}/readyz", self.health)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.as_ref().and_then(Child::exited) {
                bail!("{} ended with {status}:\n{}", self.settings.name, self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after {READY_PATIENCE:?}:\n{}", self.settings.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether the process is there.
    pub fn is_running(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.exited().is_none())
    }

    /// Where the metrics page is.
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics)
    }

    /// The metrics page.
    pub async fn metrics(&self) -> Result<String> {
        Ok(http().get(self.metrics_url()).send().await?.text().await?)
    }

    /// Where notification-controller takes events.
    pub fn events(&self) -> String {
        format!("http://127.0.0.1:{}/", self.own)
    }

    /// Where notification-controller takes webhooks, without the path.
    pub fn webhooks(&self) -> String {
        format!("http://127.0.0.1:{}", self.webhooks)
    }

    /// The folder of source-controller's artifacts.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where source-controller serves artifacts: `host:port`.
    pub fn artifacts(&self) -> String {
        format!("127.0.0.1:{}", self.own)
    }

    /// All lines that it has logged, over all restarts.
    pub fn log(&self) -> Vec<LogLine> {
        let text = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| serde_json::json!({ "text": line })))
            .collect()
    }

    /// The end of the log, for a failing test.
    pub fn log_tail(&self) -> String {
        let text = fs::read(self.log_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Where the log is.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.child = None;
        // A test that fails shows what the controllers said; cargo keeps it back from the others.
        if std::thread::panicking() || std::env::var_os("SLUICE_SHOW_LOGS").is_some() {
            show(&format!("--- the end of the log of {} ---\n{}", self.settings.name, self.log_tail()));
        }
    }
}

#[expect(clippy::print_stderr, reason = "the output of a test that fails")]
fn show(text: &str) {
    eprintln!("{text}");
}

fn http() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // No connection is kept: it would belong to the runtime of a test that is over.
        reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap_or_default()
    })
}

/// Ports that are free on loopback: below those that the kernel gives to whoever connects or asks for any, so that nobody
/// takes them before the controller does, nor while it is restarted.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    const FIRST: u16 = 10_000;
    const COUNT: u64 = 20_000;
    const TRIES: usize = 1_000;
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = (0..TRIES).find_map(|_| {
            let random = RandomState::new().hash_one(0) % COUNT;
            let port = FIRST.saturating_add(u16::try_from(random).ok()?);
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        });
        let listener = listener.context("no port is free on loopback")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
