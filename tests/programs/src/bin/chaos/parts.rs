//! The controllers: two of each, one of which leads, and the proxies between the first of them and the API server.

use crate::fleet::{Fleet, NAMESPACE};
use crate::say;
use crate::watch::Watch;
use anyhow::{Context as _, Result};
use sluice_tests::{ApiProxy, CONTROLLERS, Controller, of_controller};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Their places in [`CONTROLLERS`].
pub(crate) const SOURCE: usize = 0;
pub(crate) const NOTIFICATION: usize = 3;

/// Leases that another replica takes soon.
const LEASE: [&str; 3] = [
    "--leader-election-lease-duration=6s",
    "--leader-election-renew-deadline=4s",
    "--leader-election-retry-period=500ms",
];
/// Leases that are not lost on a machine that is busy with other things.
const CALM_LEASE: [&str; 3] = [
    "--leader-election-lease-duration=2m",
    "--leader-election-renew-deadline=110s",
    "--leader-election-retry-period=5s",
];

/// One controller.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) replicas: [Controller; 2],
    /// Whether a fault keeps it down at present.
    pub(crate) down: [bool; 2],
    /// Whether the way to the API server is cut for the first.
    pub(crate) cut: bool,
    /// In front of the API server of the first.
    pub(crate) proxy: ApiProxy,
}

pub(crate) struct Parts {
    pub(crate) all: Vec<Part>,
    pub(crate) disk: Disk,
}

/// Where the controllers have their storage: a file system of its own, so that it can be filled.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
    /// Why it is not of its own, in which case it is never filled.
    pub(crate) shared: Option<String>,
}

/// Mebibytes; the fleet needs less than one.
const DISK: u64 = 32;

impl Disk {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sluice-chaos-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK}m"), "sluice-chaos"]).arg(folder.path());
        let shared = match mount.output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        Ok(Self { folder, shared })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        let mut file = fs::File::create(self.filler())?;
        let piece = [0; 4096];
        for _ in 0..=DISK * 256 {
            if file.write_all(&piece).is_err() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn free(&self) {
        let _ = fs::remove_file(self.filler());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.shared.is_none() {
            let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
        }
    }
}

impl Parts {
    /// `calm`: nobody is going to end, so that nobody need take over soon.
    pub(crate) async fn start(fleet: &Fleet, calm: bool) -> Result<Self> {
        let disk = Disk::new()?;
        if let Some(why) = &disk.shared {
            say(&format!("the disk is never filled: {why}"));
        }
        let mut all = Vec::new();
        for name in CONTROLLERS {
            let kubeconfig = of_controller(&fleet.plane, name, Some(NAMESPACE)).await?;
            let proxy = ApiProxy::before(&kubeconfig).await?;
            let mut replicas = Vec::new();
            for (index, kubeconfig) in [proxy.kubeconfig(), kubeconfig].iter().enumerate() {
                let mut builder = Controller::builder(&fleet.plane, name)?
                    .kubeconfig(kubeconfig)
                    .below(disk.path())
                    .namespace(NAMESPACE)
                    .argument("--enable-leader-election");
                for argument in if calm { CALM_LEASE } else { LEASE } {
                    builder = builder.argument(argument);
                }
                if name != CONTROLLERS[NOTIFICATION] {
                    builder =
                        builder.argument(format!("--events-addr=http://{}/", fleet.links.events.address()));
                }
                if name == CONTROLLERS[SOURCE] {
                    let address = fleet.links.artifacts[index].address();
                    builder = builder
                        .argument(format!("--storage-adv-addr={address}"))
                        .argument("--artifact-retention-ttl=20s");
                }
                replicas.push(builder.start().await?);
            }
            let replicas = replicas.try_into().ok().context("two replicas")?;
            all.push(Part { name, replicas, down: [false; 2], cut: false, proxy });
        }
        let parts = Self { all, disk };
        for index in 0..2 {
            fleet.links.artifacts[index].lead_to(&parts.all[SOURCE].replicas[index].artifacts());
        }
        parts.lead_events(fleet);
        Ok(parts)
    }

    /// As a Service does: events go to one that is there.
    pub(crate) fn lead_events(&self, fleet: &Fleet) {
        let replicas = &self.all[NOTIFICATION].replicas;
        let one = replicas.iter().find(|replica| replica.is_running()).unwrap_or(&replicas[0]);
        let url = one.events();
        fleet.links.events.lead_to(url.trim_start_matches("http://").trim_end_matches('/'));
    }

    pub(crate) fn all_run(&self) -> bool {
        self.all.iter().all(|part| part.replicas.iter().all(Controller::is_running))
    }

    /// Starts those again that ended by themselves, as a kubelet does.
    pub(crate) fn revive(&mut self, watch: &Watch) -> Result<()> {
        for part in &mut self.all {
            for (index, replica) in part.replicas.iter_mut().enumerate() {
                if !part.down[index] && !replica.is_running() {
                    say(&format!("      {}/{index} has ended by itself and is started again", part.name));
                    watch.ended(part.name);
                    replica.kill();
                    replica.launch()?;
                }
            }
        }
        Ok(())
    }

    /// Everything is up again.
    pub(crate) async fn mend(&mut self, fleet: &Fleet, watch: &Watch) -> Result<()> {
        self.disk.free();
        for (_, link) in fleet.links.all() {
            link.set(sluice_tests::LinkState::Up);
        }
        for part in &mut self.all {
            part.proxy.calm();
        }
        // A start takes a while on a busy machine, and may fail as long as the API server is not there.
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            self.revive(watch)?;
            let mut ready = true;
            for replica in self.all.iter().flat_map(|part| &part.replicas) {
                ready &= replica.is_running() && replica.ready().await.is_ok();
            }
            if ready {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "the controllers do not come up again");
        }
        self.lead_events(fleet);
        Ok(())
    }

    /// What controllers said that they must never say.
    pub(crate) fn panics(&self) -> Vec<String> {
        let mut found = Vec::new();
        for part in &self.all {
            for (index, replica) in part.replicas.iter().enumerate() {
                let log = fs::read(replica.log_file()).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                for line in log.lines().filter(|line| line.contains("panicked")) {
                    found.push(format!("{}/{index}: {line}", part.name));
                }
            }
        }
        found
    }

    /// Copies the logs of the controllers and of the control plane.
    pub(crate) fn keep_logs(&self, fleet: &Fleet, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let plane = fleet.plane.facts().kubeconfig.parent().context("no folder of the control plane")?;
        for entry in fs::read_dir(plane)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log")
                && let Some(name) = path.file_name()
            {
                fs::copy(&path, folder.join(name))?;
            }
        }
        for part in &self.all {
            for (index, replica) in part.replicas.iter().enumerate() {
                fs::copy(replica.log_file(), folder.join(format!("{}-{index}.log", part.name)))?;
            }
        }
        Ok(())
    }
}
