//! What controllers make of the environment in which they are started.

use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use sluice_tests::{Controller, ControllerBuilder};

#[tokio::test(flavor = "multi_thread")]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
async fn the_allocator_gives_memory_back_unless_somebody_has_settings_of_his_own() -> Result<()> {
    const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_=131072";
    let setting = Setting::new("environment").await?;
    let builder = || Controller::builder(setting.plane, "notification-controller");

    let (controller, variables) = started(builder()?).await?;
    ensure!(variables.iter().any(|variable| variable == THRESHOLD), "{variables:?}");
    // It is found by its name still.
    let id = controller.id().context("it has ended")?;
    ensure!(std::fs::read_to_string(format!("/proc/{id}/comm"))?.trim() == "notification-co");
    drop(controller);

    let (_controller, variables) = started(builder()?.variable("MALLOC_ARENA_MAX", "7")).await?;
    let own: Vec<_> = variables.iter().filter(|variable| variable.starts_with("MALLOC_")).collect();
    ensure!(own == ["MALLOC_ARENA_MAX=7"], "{own:?}");
    Ok(())
}

/// A controller that is ready, and its environment.
async fn started(builder: ControllerBuilder) -> Result<(Controller, Vec<String>)> {
    let controller = builder.start().await?;
    let id = controller.id().context("it has ended")?;
    let variables = std::fs::read_to_string(format!("/proc/{id}/environ"))?;
    Ok((controller, variables.split('\0').map(str::to_owned).collect()))
}
