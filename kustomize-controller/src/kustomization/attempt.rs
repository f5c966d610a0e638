//! One try: look whether anything is to be done, build, apply, prune, and begin to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_api::kustomize::{Kustomization, KustomizationSpec};
use sluice_api::meta::{Artifact, HEALTHY_CONDITION, READY_CONDITION};
use sluice_artifact::Rules;
use sluice_manifests::bases::Network;
use sluice_manifests::{Built, Decryptor, Input, Purpose, Variables};
use sluice_runtime::apply::{Action, IgnoreRules, Ledger, Plan, inventory};
use sluice_runtime::expressions::HealthRules;
use sluice_runtime::{Failure, ObjectKey, conditions};

use super::apply::prune;
use super::memory::{Applied, Inputs, Memory};
use super::run::Run;
use super::steps::{self, Changes};
use super::{Context, Done, dependencies, drift, failure, health, identity, reason, source};
use crate::artifacts::Unpacked;

/// Annotation that turns off the check that encrypted files are as they were made: `ignore`.
const IGNORE_MAC_ANNOTATION: &str = "sluice.dev/sops-mac";
/// How long watches are trusted before the server is asked about every object again.
const FULL_CHECK: Duration = Duration::from_hours(1);

/// One try to bring everything to where it belongs.
pub(super) async fn attempt(
    context: &Arc<Context>,
    run: &mut Run,
    memory: &mut Memory,
) -> Result<Done, Failure> {
    let ignore = IgnoreRules::compile(&run.object.spec.ignore)
        .map_err(|error| Failure::new(reason::RECONCILIATION_FAILED, error.to_string()))?;
    let rules = HealthRules::compile(&run.object.spec.health_check_exprs)
        .map_err(|error| failure::invalid_expression(&error))?;
    let account =
        run.object.spec.decryption.as_ref().map(|decryption| decryption.service_account_name.as_str());
    if account.is_some_and(|name| !name.is_empty()) && !context.settings.workload_identity {
        let message = "to use spec.decryption.serviceAccountName for decryption authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller";
        return Err(Failure::terminal(reason::FEATURE_GATE_DISABLED, message));
    }
    let artifact = source::require(context, &run.object).await?;
    run.work_on(&artifact);
    if dependencies::has_any(&run.object) {
        dependencies::check(context, &run.object, &artifact).await?;
    }
    let variables = variables(context, &run.object.spec, &run.object).await.map_err(|error| {
        run.status.last_attempted_revision.clone_from(&run.revision);
        failure::build(error)
    })?;
    let inputs = Inputs {
        generation: run.generation,
        revision: run.revision.clone(),
        artifact_digest: artifact.digest.clone(),
        variables: variables.as_ref().map(Variables::digest),
    };
    if run.is_requested() {
        confirm(run, memory).await;
    }
    if nothing_changed(run, memory, &inputs) {
        if let Some(applied) = &memory.applied {
            run.checksum.clone_from(&applied.checksum);
        }
        return Ok(Done::Finished);
    }
    let mode = drift::Mode::of(&run.object);
    let settled = run.is_settled();
    if settled && mode == drift::Mode::Ignore {
        run.checksum = run.status.history.first().map(|entry| entry.digest.clone()).unwrap_or_default();
        return Ok(Done::Finished);
    }
    memory.applied = None;

    let unpacked = fetch(context, run, &artifact).await?;
    let identity = identity(context, &run.object).await.map_err(|error| {
        Failure::new(reason::RECONCILIATION_FAILED, format!("failed to build kube client: {error}"))
    })?;
    let decryptor = decryptor(context, run).await?;
    let built = build(context, run, unpacked, variables, decryptor).await?;
    run.checksum.clone_from(&built.checksum);
    let plan = Plan::of(built.objects, steps::understands_argo(&run.object)).map_err(failure::build)?;
    let jobs = health::vanishing_jobs(plan.objects());
    if settled && mode == drift::Mode::Warn {
        return drift::tell(context, run, memory, &identity, plan, ignore).await.map(|()| Done::Finished);
    }
    conditions::remove(&mut run.status.conditions, drift::CONDITION);
    let Some(changes) =
        steps::apply_all(context, run, memory, &identity, plan, ignore, &rules, &inputs).await?
    else {
        return Ok(Done::Waiting);
    };
    prune(context, run, &identity, &changes.kept).await?;
    let Changes { all: changes, .. } = changes;

    memory.applied = Some(Applied {
        inputs: inputs.clone(),
        checksum: run.checksum.clone(),
        inventory: inventory::digest(run.status.inventory.as_ref()),
        checked: Instant::now(),
        cluster: identity.cluster.clone(),
    });
    let drifted = changes.iter().any(|change| change.action.is_change());
    run.corrects_drift = settled && drifted;
    let spec = &run.object.spec;
    let expectations = health::expectations(run, &changes, &jobs, &memory.ledger, &rules);
    let wanted = spec.wait && changes.iter().any(|change| change.action != Action::Skipped)
        || !spec.wait && !spec.health_checks.is_empty();
    if !wanted {
        conditions::remove(&mut run.status.conditions, HEALTHY_CONDITION);
        return Ok(Done::Finished);
    }
    // Most often an unchanged set is healthy already, and nothing need be written in between.
    let usual = spec.wait && jobs.is_empty() && spec.health_check_exprs.is_empty();
    if usual && !drifted && memory.ledger.is_healthy() || expectations.is_empty() {
        let was_healthy = health::is_healthy(run);
        health::passed(context, run, "0s", drifted, was_healthy);
        return Ok(Done::Finished);
    }
    memory.wait = Some(health::start(context, run, &identity, expectations, inputs, drifted, None).await);
    Ok(Done::Waiting)
}

/// Somebody who asks for a run wants what was changed just before to count, even where the watches have not told of it yet.
async fn confirm(run: &Run, memory: &mut Memory) {
    let Some(applied) = memory.applied.take() else {
        memory.ledger = Ledger::default();
        return;
    };
    let key = ObjectKey::of(&*run.object);
    let group = sluice_api::kustomize::GROUP;
    let owned = format!("{group}/name={},{group}/namespace={}", key.name, key.namespace);
    if memory.ledger.confirm(&applied.cluster, &owned).await {
        memory.applied = Some(applied);
    }
}

/// Whether the last run had the same inputs, went well, and nobody has touched an object since.
pub(super) fn nothing_changed(run: &Run, memory: &Memory, inputs: &Inputs) -> bool {
    let spec = &run.object.spec;
    let Some(applied) = &memory.applied else { return false };
    // Keys are read anew each time: whether they still fit is known only by using them.
    spec.decryption.is_none()
        && spec.health_check_exprs.is_empty()
        && applied.inputs == *inputs
        && applied.inventory == inventory::digest(run.status.inventory.as_ref())
        && applied.checked.elapsed() < FULL_CHECK
        && conditions::is_true(&run.status.conditions, READY_CONDITION)
        && run.status.last_applied_revision == inputs.revision
        && memory.ledger.is_untouched()
        && (spec.wait && memory.ledger.is_healthy() || !spec.wait && spec.health_checks.is_empty())
}

pub(super) async fn variables(
    context: &Context,
    spec: &KustomizationSpec,
    object: &Kustomization,
) -> Result<Option<Variables>, String> {
    let Some(post_build) = &spec.post_build else { return Ok(None) };
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let strict = context.settings.strict_substitution;
    Variables::load(&context.manager.client, namespace, post_build, strict).await.map(Some)
}

/// The content of the artifact, with the path of the spec in it.
pub(super) async fn fetch(
    context: &Context,
    run: &mut Run,
    artifact: &Artifact,
) -> Result<Arc<Unpacked>, Failure> {
    let fetched = run.phase(context, "Fetching manifests", context.artifacts.get(artifact)).await;
    let unpacked = fetched.map_err(|error| {
        failure::fetch(&error, context.settings.requeue_dependency, context.artifacts.silent_for(artifact))
    })?;
    let directory = sluice_manifests::scoped_join(unpacked.path(), &run.object.spec.path);
    if let Err(error) = std::fs::metadata(&directory) {
        let path = directory.strip_prefix(unpacked.path()).unwrap_or(&directory).display().to_string();
        let cause = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        return Err(Failure::new(
            reason::ARTIFACT_FAILED,
            format!("kustomization path not found: stat {path}: {cause}"),
        ));
    }
    run.status.last_attempted_revision.clone_from(&run.revision);
    Ok(unpacked)
}

/// The keys for decryption, where the spec asks for it.
pub(super) async fn decryptor(context: &Context, run: &Run) -> Result<Option<Decryptor>, Failure> {
    let Some(decryption) = run.object.spec.decryption.as_ref().filter(|it| it.provider == "sops") else {
        return Ok(None);
    };
    let manager = &context.manager;
    let own = run.object.metadata.namespace.as_deref().unwrap_or_default();
    let global = context.settings.sops_age_secret.as_str();
    let (secret, only_age) = match &decryption.secret_ref {
        Some(reference) => (Some((own, reference.name.as_str())), false),
        None if global.is_empty() => (None, false),
        None => (Some((manager.runtime_namespace.as_str(), global)), true),
    };
    let switch = run.object.metadata.annotations.as_ref().and_then(|tags| tags.get(IGNORE_MAC_ANNOTATION));
    let verify = switch.map(String::as_str) != Some("ignore");
    let surroundings = context.logins.of(own, &decryption.service_account_name);
    let loaded = Decryptor::load(&manager.client, secret, only_age, verify, surroundings).await;
    loaded.map(Some).map_err(failure::build)
}

pub(super) async fn build(
    context: &Context,
    run: &mut Run,
    artifact: Arc<Unpacked>,
    variables: Option<Variables>,
    decryptor: Option<Decryptor>,
) -> Result<Built, Failure> {
    let key = ObjectKey::of(&*run.object);
    let input = Input {
        root: artifact.path().to_owned(),
        spec: run.object.spec.clone(),
        variables,
        decryptor,
        purpose: Purpose::Apply,
        ignored: Rules::default(),
        network: context.http.clone().map(|http| Arc::new(Network::new(http, Vec::new()))),
        owner_name: key.name,
        owner_namespace: key.namespace,
    };
    let work = async {
        // The semaphore is never closed.
        let _permit = context.builds.acquire().await;
        tokio::task::spawn_blocking(move || {
            // Held as long as somebody reads there.
            let _artifact = artifact;
            sluice_manifests::build(&input)
        })
        .await
    };
    match run.phase(context, "Building manifests", work).await {
        Ok(Ok(built)) => Ok(built),
        Ok(Err(message)) => Err(failure::build(message)),
        Err(error) => Err(failure::build(format!("recovered from kustomize build panic: {error}"))),
    }
}
