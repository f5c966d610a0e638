//! `KEEP=1`: the demo runs in a process of its own, which stays when the one at the terminal has ended.

use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Tells the second process that it is one, and which file to make when the demo is over.
const MARKER: &str = "SLUICE_DEMO_MARKER";

/// The file to make, in the process that stays.
pub(crate) fn marker() -> Option<PathBuf> {
    std::env::var_os(MARKER).map(PathBuf::from)
}

/// Whether everything is to stay at the end.
pub(crate) fn wanted() -> bool {
    std::env::var_os("KEEP").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Starts the process that stays and waits until its demo is over. When we end before that, it does too: it reads the end
/// of its standard input.
pub(crate) async fn run() -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let marker = folder.path().join("over");
    let mut command = Command::new(std::env::current_exe()?);
    command.env(MARKER, &marker).stdin(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context("the demo cannot be started")?;
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            _ = tokio::signal::ctrl_c() => drop(child.stdin.take()),
        }
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if marker.exists() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Ends when the person wants the demo to stop.
pub(crate) async fn stopped() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    let front = async {
        if marker().is_some() {
            let (end, ended) = oneshot::channel();
            // A thread, since the runtime would wait for a read that it has begun.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                let _ = end.send(());
            });
            let _ = ended.await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = front => {}
    }
}

/// Lets the process at the terminal go, and stays until SIGTERM.
pub(crate) async fn stay() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Whoever reads our output, such as `tee`, is not to wait for us.
    let nowhere = File::create("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    if let Some(marker) = marker() {
        File::create(marker)?;
    }
    terminate.recv().await;
    Ok(())
}
