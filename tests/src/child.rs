//! Child processes that cannot outlive us.

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A child process that is killed when this value is dropped, and also when this process is.
///
/// The latter is a request to the kernel, which `setpriv` (util-linux) makes for the child before it becomes the
/// program. It is bound to the *thread* that starts the child, so one thread that never ends starts them all.
#[derive(Debug)]
pub struct Child {
    process: Mutex<std::process::Child>,
    name: String,
}

type Job = (Command, mpsc::Sender<std::io::Result<std::process::Child>>);

impl Child {
    /// Starts `program` with what `prepare` adds: arguments, environment, where output goes.
    pub fn start(program: &Path, prepare: impl FnOnce(&mut Command)) -> Result<Self> {
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        prepare(&mut command);
        // A Ctrl-C at the terminal is for us: we end our children.
        command.process_group(0);
        let (answer, process) = mpsc::channel();
        starter().send((command, answer)).map_err(|_| anyhow!("the thread that starts children is gone"))?;
        let process = process.recv()?.with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self { process: Mutex::new(process), name: program.display().to_string() })
    }

    /// The process id, which is the program's own.
    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&self) {
        let mut process = self.lock();
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.id().cast_signed()).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGTERM, and waits until it is gone; an error after `patience`, and then it is killed.
    pub fn terminate(&self, patience: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.exited() {
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.kill();
                return Err(anyhow!("{} had not ended {patience:?} after SIGTERM", self.name));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, std::process::Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn starter() -> mpsc::Sender<Job> {
    static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    STARTER
        .get_or_init(|| {
            let (sender, jobs) = mpsc::channel::<Job>();
            thread::spawn(move || {
                for (mut command, answer) in jobs {
                    let _ = answer.send(command.spawn());
                }
            });
            sender
        })
        .clone()
}
