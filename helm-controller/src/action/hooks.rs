//! Hooks: documents of a chart that run at a certain time, one after the other.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams, PropagationPolicy};
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::Release;
use sluice_releases::{Item, parse_hook, resolve};

use super::{Error, Method, Session, apply, delete, now, wait};

const BEFORE_CREATION: &str = "before-hook-creation";
const SUCCEEDED: &str = "hook-succeeded";
const FAILED: &str = "hook-failed";

/// How many lines of a container's log are told.
const LOG_LINES: i64 = 20;

/// Runs the hooks of an event that `wanted` names, by weight and name. Their runs are recorded on the way.
pub(crate) async fn run(
    session: &Session<'_>,
    release: &mut Release,
    event: HookEvent,
    timeout: Duration,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let method = super::render::method_of(release);
    let mut order: Vec<usize> = (0..release.hooks.len())
        .filter(|index| release.hooks[*index].runs_on(event) && wanted(&release.hooks[*index].name))
        .collect();
    order.sort_by(|a, b| {
        let (a, b) = (&release.hooks[*a], &release.hooks[*b]);
        a.weight.cmp(&b.weight).then_with(|| a.name.cmp(&b.name))
    });
    let mut done: Vec<(usize, Vec<Item>)> = Vec::new();
    for index in order {
        match run_one(session, release, index, method, timeout).await {
            Ok(items) => done.push((index, items)),
            Err(failure) => {
                let path = release.hooks[index].path.clone();
                release.hooks[index].last_run.completed_at = now();
                "Failed".clone_into(&mut release.hooks[index].last_run.phase);
                if let Some(items) = failure.created {
                    tell_logs(session, release, index, &items, FAILED).await;
                    let policies = release.hooks[index].delete_policies.clone();
                    if policies.iter().any(|policy| policy == FAILED) {
                        clean(session, release, index, &items, timeout).await;
                    }
                    for (earlier, items) in done {
                        after_success(session, release, earlier, &items, timeout).await;
                    }
                    return Err(Error::Hook(failure.message));
                }
                return Err(Error::Hook(format!(
                    "warning: Hook {} {path} failed: {}",
                    event.name(),
                    failure.message
                )));
            }
        }
    }
    for (index, items) in done.into_iter().rev() {
        after_success(session, release, index, &items, timeout).await;
    }
    Ok(())
}

struct Failure {
    /// The objects of the hook, if they were there.
    created: Option<Vec<Item>>,
    message: String,
}

/// Runs a hook to its end, and gives its objects.
async fn run_one(
    session: &Session<'_>,
    release: &mut Release,
    index: usize,
    method: Method,
    timeout: Duration,
) -> Result<Vec<Item>, Failure> {
    let before = |error: &dyn std::fmt::Display| Failure { created: None, message: error.to_string() };
    let items = items(session, release, index).await.map_err(|error| before(&error))?;
    let policies = &release.hooks[index].delete_policies;
    if policies.is_empty() || policies.iter().any(|policy| policy == BEFORE_CREATION) {
        remove(session, &items, timeout).await.map_err(|error| before(&error))?;
    }
    let run = &mut release.hooks[index].last_run;
    run.started_at = now();
    "Running".clone_into(&mut run.phase);
    session.update(release).await.map_err(|error| before(&error))?;
    let mut created = Vec::with_capacity(items.len());
    for item in &items {
        let answer = apply::create(session, item, method).await.map_err(|error| before(&error))?;
        created.push(answer.resource_version().parse().unwrap_or_default());
    }
    for (item, version) in items.iter().zip(created) {
        let ended = Box::pin(wait::ended(session, item, version, timeout));
        if let Err(error) = session.without(release, ended).await {
            return Err(Failure { created: Some(items), message: error.to_string() });
        }
    }
    release.hooks[index].last_run.completed_at = now();
    "Succeeded".clone_into(&mut release.hooks[index].last_run.phase);
    Ok(items)
}

async fn items(session: &Session<'_>, release: &Release, index: usize) -> Result<Vec<Item>, Error> {
    let objects = parse_hook(&release.hooks[index].manifest)?;
    Ok(resolve(session.cluster, objects, &release.namespace).await?)
}

async fn remove(session: &Session<'_>, items: &[Item], timeout: Duration) -> Result<(), Error> {
    let mut gone = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| !item.object.is_crd()) {
        let deletion = delete::delete(session, &item.resource, &item.id, PropagationPolicy::Background);
        deletion.await.map_err(Error::Apply)?;
        gone.push(delete::tracked(item));
    }
    wait::gone(session, gone, timeout).await
}

/// Deletes the objects of a hook. That it cannot be done is told, and is no failure of the release.
async fn clean(session: &Session<'_>, release: &Release, index: usize, items: &[Item], timeout: Duration) {
    if let Err(error) = remove(session, items, timeout).await {
        session
            .log
            .push(format!("warning: hook {} could not be deleted: {error}", release.hooks[index].name));
    }
}

async fn after_success(
    session: &Session<'_>,
    release: &Release,
    index: usize,
    items: &[Item],
    timeout: Duration,
) {
    tell_logs(session, release, index, items, SUCCEEDED).await;
    if release.hooks[index].delete_policies.iter().any(|policy| policy == SUCCEEDED) {
        clean(session, release, index, items, timeout).await;
    }
}

/// Tells what the containers of a hook have logged, where the hook asks for it.
async fn tell_logs(session: &Session<'_>, release: &Release, index: usize, items: &[Item], policy: &str) {
    let hook = &release.hooks[index];
    if !hook.output_log_policies.iter().any(|wanted| wanted == policy) {
        return;
    }
    for item in items {
        let pods = Api::<Pod>::namespaced(session.client.clone(), item.object.namespace());
        let selector = match item.id.kind.as_str() {
            "Job" => ListParams::default().labels(&format!("job-name={}", item.id.name)),
            "Pod" => ListParams::default().fields(&format!("metadata.name={}", item.id.name)),
            _ => continue,
        };
        let Ok(found) = pods.list(&selector).await else { continue };
        for pod in found {
            let name = pod.metadata.name.unwrap_or_default();
            let parameters = LogParams { tail_lines: Some(LOG_LINES), ..LogParams::default() };
            match pods.logs(&name, &parameters).await {
                Ok(text) => text.lines().for_each(|line| session.log.push(format!("{name}: {line}"))),
                Err(error) => session.log.push(format!("warning: no logs of {name}: {error}")),
            }
        }
    }
}
