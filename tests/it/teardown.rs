//! Nothing is left behind, however a run ends.

use anyhow::{Context, Result, ensure};
use sluice_tests::{ControlPlane, Options};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn running(processes: &BTreeMap<String, u32>) -> Vec<&str> {
    // A process that has ended and waits for its parent to notice is no longer running.
    let runs = |id: &u32| {
        std::fs::read_to_string(format!("/proc/{id}/stat"))
            .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
    };
    processes.iter().filter(|(_, id)| runs(id)).map(|(name, _)| name.as_str()).collect()
}

fn all_gone(processes: &BTreeMap<String, u32>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !running(processes).is_empty() {
        ensure!(Instant::now() < deadline, "still there: {:?}", running(processes));
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn the_parts_end_with_their_supervisor_even_when_that_is_killed_and_the_next_run_sweeps_its_folder()
-> Result<()> {
    let killed = ControlPlane::start(Options::default())?;
    let facts = killed.facts().clone();
    ensure!(running(&facts.processes).len() == 5, "{facts:?}");
    let folder = facts.kubeconfig.parent().and_then(Path::parent).context("no folder")?.to_owned();
    ensure!(Command::new("kill").args(["-KILL", &facts.supervisor.to_string()]).status()?.success(), "kill");
    all_gone(&facts.processes)?;
    drop(killed);

    let dropped = ControlPlane::start(Options::default())?;
    ensure!(!folder.exists(), "{} is still there", folder.display());
    let facts = dropped.facts().clone();
    drop(dropped);
    all_gone(&facts.processes)?;
    ensure!(!facts.kubeconfig.exists(), "{} is still there", facts.kubeconfig.display());
    Ok(())
}
