//! Starting, finding and sharing a control plane.

use crate::{child::Child, programs};
use anyhow::{Context, Result, anyhow, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Where a control plane is, as its supervisor tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    /// Kubeconfig of an administrator.
    pub kubeconfig: PathBuf,
    /// Kubeconfig for controllers under test that have no account: as mighty, but with an audit log of what they do.
    pub controllers: PathBuf,
    /// The API server's URL.
    #[serde(default)]
    pub server: String,
    /// The audit log, if one is written.
    #[serde(default)]
    pub audit: Option<PathBuf>,
    /// Process id of the supervisor: SIGTERM ends the control plane.
    #[serde(default)]
    pub supervisor: u32,
    /// Process ids by name, for measurements.
    #[serde(default)]
    pub processes: BTreeMap<String, u32>,
    /// How long the start took.
    #[serde(default)]
    pub seconds: f64,
}

/// What to start, for those who want a control plane of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Write an audit log of the controllers under test. It costs some time, so not in benchmarks.
    pub audit: bool,
    /// Stays when this process ends, until somebody sends SIGTERM to [`Facts::supervisor`].
    pub detached: bool,
}

/// A running control plane. It lives at least as long as this value.
#[derive(Debug)]
pub struct ControlPlane {
    facts: Facts,
    keep: Keep,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Keep::Own { supervisor, .. } = &self.keep {
            // Not a kill: it takes its folder away.
            let _ = supervisor.terminate(Duration::from_secs(10));
        }
    }
}

/// What keeps it alive.
#[derive(Debug)]
enum Keep {
    /// Not our business.
    Somebody,
    /// A connection to a shared supervisor.
    Lease { _connection: UnixStream },
    /// A supervisor of our own, which ends with its standard input.
    Own { supervisor: Child, orders: Mutex<Orders> },
}

/// The supervisor's standard input, and what it says.
type Orders = (PipeWriter, BufReader<PipeReader>);

/// How long a shared control plane waits for the next process of a test run.
const LINGER: &str = "15s";
/// Etcd and API server on a machine that is busy with a build.
const START_PATIENCE: Duration = Duration::from_secs(400);

impl ControlPlane {
    /// The control plane of this test run.
    ///
    /// The first process that asks starts it, all others of the same clone and user find it by a Unix socket. Each holds
    /// a connection until it ends; when none is left for some seconds, all is torn down.
    /// `SLUICE_TEST_KUBECONFIG` names another cluster to use, `KUBEBUILDER_ASSETS` other binaries to start.
    ///
    /// It blocks, the first time in a run for some seconds.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = SHARED.get() {
            return Ok(shared);
        }
        let plane = match env::var_os("SLUICE_TEST_KUBECONFIG") {
            Some(path) => Self::existing(PathBuf::from(path))?,
            None => Self::join_or_start()?,
        };
        Ok(SHARED.get_or_init(|| plane))
    }

    /// A control plane of its own, which ends with this value or with this process.
    pub fn start(options: Options) -> Result<Self> {
        let mut arguments = arguments()?;
        if options.audit {
            arguments.push("--audit".into());
        }
        let supervisor = programs::supervisor()?;
        if options.detached {
            let mut command = Command::new(&supervisor);
            command.args(&arguments).arg("--until=signal").process_group(0);
            let mut process =
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
            let facts = read_facts(BufReader::new(process.stdout.take().context("no pipe")?))?;
            return Ok(Self { facts, keep: Keep::Somebody });
        }
        let (answer, stdout) = std::io::pipe()?;
        let (stdin, life) = std::io::pipe()?;
        let supervisor = Child::start(&supervisor, |command| {
            command.args(&arguments).arg("--until=stdin");
            command.stdin(stdin).stdout(stdout).stderr(Stdio::inherit());
        })?;
        let mut answers = BufReader::new(answer);
        let facts = read_facts(&mut answers)?;
        Ok(Self { facts, keep: Keep::Own { supervisor, orders: Mutex::new((life, answers)) } })
    }

    /// `kill -9` for a part of a control plane of its own, such as `kube-apiserver` or `etcd`. It blocks until it is gone.
    pub fn kill_part(&self, name: &str) -> Result<()> {
        self.order(&format!("kill {name}\n"))
    }

    /// Starts a part again that was killed, and does not wait until it is ready.
    pub fn start_part(&self, name: &str) -> Result<()> {
        self.order(&format!("start {name}\n"))
    }

    fn order(&self, line: &str) -> Result<()> {
        let Keep::Own { orders, .. } = &self.keep else { bail!("the parts of a shared control plane stay") };
        let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.0.write_all(line.as_bytes())?;
        let mut answer = String::new();
        orders.1.read_line(&mut answer)?;
        let answer: serde_json::Value =
            serde_json::from_str(&answer).context("no answer of the supervisor")?;
        match answer["error"].as_str() {
            Some(error) => bail!("{}: {error}", line.trim_end()),
            None => Ok(()),
        }
    }

    /// What its supervisor told.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether it is the one of this test run, of ours.
    pub fn is_shared(&self) -> bool {
        matches!(self.keep, Keep::Lease { .. })
    }

    /// A client for an administrator. A client belongs to the async runtime that it was made on: one per test.
    pub async fn client(&self) -> Result<kube::Client> {
        client(&self.facts.kubeconfig).await
    }

    fn existing(kubeconfig: PathBuf) -> Result<Self> {
        if !kubeconfig.is_file() {
            bail!("SLUICE_TEST_KUBECONFIG names {}, which is no file", kubeconfig.display());
        }
        let facts = Facts {
            controllers: kubeconfig.clone(),
            kubeconfig,
            server: String::new(),
            audit: None,
            supervisor: 0,
            processes: BTreeMap::new(),
            seconds: 0.0,
        };
        Ok(Self { facts, keep: Keep::Somebody })
    }

    fn join_or_start() -> Result<Self> {
        let rendezvous = Rendezvous::new()?;
        let mut last = anyhow!("no attempt was made");
        for _ in 0..3 {
            match rendezvous.connect_or_spawn().and_then(|connection| {
                connection.set_read_timeout(Some(START_PATIENCE))?;
                let facts = read_facts(BufReader::new(&connection))?;
                Ok(Self { facts, keep: Keep::Lease { _connection: connection } })
            }) {
                Ok(plane) => return Ok(plane),
                // The supervisor that we found may have been about to leave.
                Err(error) => last = error,
            }
        }
        Err(last.context(format!("no control plane; see {}", rendezvous.log.display())))
    }
}

/// The place where the processes of a test run meet.
struct Rendezvous {
    socket: PathBuf,
    lock: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    supervisor: PathBuf,
}

impl Rendezvous {
    fn new() -> Result<Self> {
        let folder =
            env::temp_dir().join(format!("sluice-controlplane-{}", rustix::process::getuid().as_raw()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let supervisor = programs::supervisor()?;
        let arguments = arguments()?;
        // Another clone, or the same with another version of the control plane, has one of its own.
        let mut hash = Sha256::new();
        hash.update(programs::workspace().as_os_str().as_encoded_bytes());
        hash.update(format!("{} {arguments:?}", supervisor.display()));
        let key: u64 = hash.finalize().iter().take(6).fold(0, |key, byte| key << 8 | u64::from(*byte));
        let file = |extension: &str| folder.join(format!("{key:012x}.{extension}"));
        Ok(Self { socket: file("sock"), lock: file("lock"), log: file("log"), arguments, supervisor })
    }

    fn connect_or_spawn(&self) -> Result<UnixStream> {
        let gate = File::create(&self.lock)?;
        gate.lock()?;
        if let Ok(connection) = UnixStream::connect(&self.socket) {
            return Ok(connection);
        }
        // What a supervisor left that was killed.
        let _ = fs::remove_file(&self.socket);
        let log = File::create(&self.log)?;
        let mut command = Command::new(&self.supervisor);
        command.args(&self.arguments).arg("--audit");
        command.args(["--until=lease", "--linger", LINGER, "--socket"]).arg(&self.socket);
        let mut process = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("the supervisor cannot be started")?;
        loop {
            if let Ok(connection) = UnixStream::connect(&self.socket) {
                return Ok(connection);
            }
            if let Some(status) = process.try_wait()? {
                bail!(
                    "the supervisor ended with {status}: {}",
                    fs::read_to_string(&self.log).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What every supervisor is told.
fn arguments() -> Result<Vec<String>> {
    let path = |path: &Path| path.display().to_string();
    let mut arguments = vec![
        format!("--program={}", path(&programs::control_plane()?)),
        format!("--kwok={}", path(&sluice_reference::try_tool("kwok").map_err(|message| anyhow!(message))?)),
        format!("--stages={}", path(&programs::workspace().join("tests/controlplane/pods.yaml"))),
    ];
    if let Some(assets) = env::var_os("KUBEBUILDER_ASSETS") {
        arguments.push(format!("--assets={}", path(Path::new(&assets))));
    }
    Ok(arguments)
}

fn read_facts(mut stream: impl BufRead) -> Result<Facts> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if line.is_empty() {
        bail!("the supervisor of the control plane ended before it was ready");
    }
    let value: serde_json::Value = serde_json::from_str(&line)?;
    if let Some(error) = value["error"].as_str() {
        bail!("the control plane did not start: {error}");
    }
    Ok(serde_json::from_value(value)?)
}

/// A client from one kubeconfig file and nothing else.
pub(crate) async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    // The first caller wins, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
