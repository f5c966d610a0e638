//! Whether each right in the roles of the controllers is needed: runs a command, mostly the API cases, on a control plane
//! where the controllers have their roles and nothing else, and compares what they did with what they may do.
//!
//! The API server's audit log says what they did. What a controller applies for somebody it asks for in his name, so that
//! it is not counted here (`SLUICE_TEST_LOCKDOWN`, see `tests/src/identities.rs`).

#![expect(clippy::print_stdout, reason = "it talks to a person")]

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role};
use kube::api::Api;
use sluice_programs::flux::BINARIES;
use sluice_tests::{Audit, ControlPlane, install_crds};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::{Command, ExitCode};

/// Where the accounts of the controllers under test are.
const NAMESPACE: &str = "sluice-identities";

/// Rights that cases may leave unused, with the reason why they stay: controller, group, resource, verb, reason. A pattern
/// may begin with `*`, for whatever comes before the rest.
const KEPT: [[&str; 5]; 14] = [
    ["*", SOURCE, "externalartifacts", "create", "a patch that creates is audited as a patch"],
    ["*", SOURCE, "helmcharts", "create", "a patch that creates is audited as a patch"],
    [
        "*",
        "",
        "events",
        "patch",
        "an event that repeats itself is counted up; all controllers tell events alike",
    ],
    [
        "helm-controller",
        "",
        "serviceaccounts/token",
        "create",
        "kubeConfig.configMapRef, as for a Kustomization",
    ],
    ["source-controller", FLUX, "*", "get", "an object is read again after a conflict over its status"],
    ["image-controller", FLUX, "*", "get", "as above, or a source that the watch has not shown yet"],
    ["image-controller", FLUX, "*", "patch", "a finalizer that Flux has left is taken off"],
    ["image-controller", "", "namespaces", "get", "accessFrom selects namespaces by their labels"],
    [
        "kustomize-controller",
        FLUX,
        "*",
        "get",
        "a source that the watch has not shown yet, a dependency of another kind",
    ],
    [
        "helm-controller",
        FLUX,
        "*",
        "get",
        "a source that the watch has not shown yet, a dependency of another kind",
    ],
    ["notification-controller", NOTIFICATION, "*", "patch", "a finalizer that Flux has left is taken off"],
    ["notification-controller", FLUX, "*", "get", "an Alert selects by labels, a Receiver by an expression"],
    ["notification-controller", FLUX, "*", "list", "a Receiver may name any kind that can be reconciled"],
    ["notification-controller", FLUX, "*", "patch", "a Receiver may name any kind that can be reconciled"],
];

/// All groups of Flux.
const FLUX: &str = "*.fluxcd.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io";

/// Compares what the controllers do during a command with what their roles allow.
#[derive(Parser)]
struct Arguments {
    /// The command with its arguments.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// One thing that a role allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = if self.group.is_empty() { "core" } else { &self.group };
        write!(out, "{} {} of {group}", self.verb, self.resource)
    }
}

/// How often each controller used a right, and how often it was refused.
#[derive(Default)]
struct Uses {
    allowed: BTreeMap<Right, usize>,
    refused: BTreeMap<Right, usize>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let Arguments { command } = Arguments::parse();
    let plane = tokio::task::spawn_blocking(ControlPlane::shared).await??;
    install_crds(&plane.client().await?).await?;
    let audit = Audit::mark(plane)?.context("the control plane keeps no audit log")?;
    let (program, arguments) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    child.args(arguments).env("SLUICE_TEST_LOCKDOWN", "1");
    let status = tokio::task::spawn_blocking(move || child.status()).await??;

    let granted = granted(&plane.client().await?).await?;
    let mut uses: BTreeMap<&str, Uses> = BTreeMap::new();
    audit.each(|call| {
        let account = call.user.strip_prefix("system:serviceaccount:sluice-identities:");
        let Some(controller) = controllers().find(|name| account == Some(name)) else { return };
        let uses = uses.entry(controller).or_default();
        let (right, refused) = if call.impersonated.is_some() {
            let [group, resource, verb] = ["", "serviceaccounts", "impersonate"].map(str::to_owned);
            (Right { group, resource, verb }, false)
        } else {
            (Right { group: call.group, resource: call.resource, verb: call.verb }, call.code == 403)
        };
        // Discovery is for everybody.
        if !right.resource.is_empty() {
            *if refused { &mut uses.refused } else { &mut uses.allowed }.entry(right).or_default() += 1;
        }
    })?;

    let mut needless = 0;
    for controller in controllers() {
        println!("{controller}");
        let none = Uses::default();
        let uses = uses.get(controller).unwrap_or(&none);
        for right in granted.get(controller).context("no role")? {
            let count = uses.allowed.get(right).copied().unwrap_or_default();
            match (count, reason(controller, right)) {
                (0, Some(reason)) => println!("       kept  {right}: {reason}"),
                (0, None) => {
                    needless += 1;
                    println!("   NEVER USED  {right}");
                }
                (count, _) => println!("  {count:9}  {right}"),
            }
        }
        for (right, count) in &uses.refused {
            println!("    refused  {right}, {count} times");
        }
    }
    ensure!(status.success(), "the command failed: {status}");
    if needless > 0 {
        bail!("{needless} rights of the chart's roles are not needed");
    }
    Ok(ExitCode::SUCCESS)
}

fn controllers() -> impl Iterator<Item = &'static str> {
    BINARIES.into_iter().map(|(name, _)| name)
}

/// Why a right stays that no case uses.
fn reason(controller: &str, right: &Right) -> Option<&'static str> {
    let is = |pattern: &str, text: &str| match pattern.strip_prefix('*') {
        Some(end) => text.ends_with(end),
        None => pattern == text,
    };
    KEPT.into_iter()
        .find(|[who, group, resource, verb, _]| {
            is(who, controller)
                && is(group, &right.group)
                && is(resource, &right.resource)
                && is(verb, &right.verb)
        })
        .map(|[.., reason]| reason)
}

/// What the roles of the controllers allow.
async fn granted(client: &kube::Client) -> Result<BTreeMap<&'static str, BTreeSet<Right>>> {
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let admin = bindings.get_opt(&format!("cluster-reconciler-{NAMESPACE}")).await?;
    ensure!(admin.is_none(), "controllers are administrators here: end the other test run first");
    let (everywhere, own): (Api<ClusterRole>, Api<Role>) =
        (Api::all(client.clone()), Api::namespaced(client.clone(), NAMESPACE));
    let mut granted = BTreeMap::new();
    for controller in controllers() {
        let wide = everywhere.get(&format!("{controller}-{NAMESPACE}")).await?.rules.unwrap_or_default();
        let narrow = own.get(&format!("{controller}-leader-election")).await?.rules.unwrap_or_default();
        granted.insert(controller, wide.iter().chain(&narrow).flat_map(rights).collect());
    }
    Ok(granted)
}

fn rights(rule: &PolicyRule) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                rights.push(Right { group: group.clone(), resource: resource.clone(), verb: verb.clone() });
            }
        }
    }
    rights
}
