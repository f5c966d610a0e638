//! Keeps the status of Receivers: their path, and whether they can be used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::Api;
use sluice_api::meta::{
    ConditionStatus, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION, RECONCILING_CONDITION, Reconcilable,
    STALLED_CONDITION, SUCCEEDED_REASON, Status,
};
use sluice_api::notification::{Receiver, ReceiverStatus, ReceiverType};
use sluice_runtime::{
    Cache, Manager, Next, ObjectKey, Reconciler, Severity, StatusWriter, conditions, errors, finalizer,
};

use super::filter::Filters;
use super::{oidc, path};

const OWNED: &[&str] = &[READY_CONDITION, RECONCILING_CONDITION, STALLED_CONDITION];
const DEFAULT_INTERVAL: Duration = Duration::from_mins(10);

/// Reconciles Receivers.
pub(crate) struct ReceiverReconciler {
    manager: Arc<Manager>,
    cache: Arc<Cache<Receiver>>,
    status: StatusWriter<Receiver>,
}

/// Why a Receiver cannot be used.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Only another spec helps: reason and message.
    Terminal(&'static str, String),
    /// The token cannot be read; it is tried again.
    Token(String),
}

impl ReceiverReconciler {
    pub(crate) fn new(manager: Arc<Manager>, cache: Arc<Cache<Receiver>>) -> Self {
        let status =
            StatusWriter::new(manager.client.clone(), cache.clone(), "gotk-notification-controller", OWNED);
        Self { manager, cache, status }
    }

    async fn prepare(&self, receiver: &Receiver) -> Result<String, Failure> {
        validate(receiver)?;
        let key = ObjectKey::of(receiver);
        let secret = read_secret(&self.manager.client, receiver).await.map_err(Failure::Token)?;
        let token = secret.get("token").map(Vec::as_slice).unwrap_or_default();
        Ok(path(token, &key.name, &key.namespace))
    }

    fn emit(&self, receiver: &Receiver, severity: Severity, reason: &str, message: String) {
        self.manager.recorder.emit(receiver, severity, reason, message, BTreeMap::new());
    }

    async fn write(&self, receiver: &Arc<Receiver>, status: &ReceiverStatus, next: Next) -> Next {
        match self.status.write(receiver, status).await {
            Ok(_) => next,
            Err(error) => {
                tracing::error!(error = %errors::describe(&error), "cannot write the status");
                Next::Backoff
            }
        }
    }
}

/// The rules of the API once more, for objects that are older than the rules, and the expressions.
fn validate(receiver: &Receiver) -> Result<(), Failure> {
    let spec = &receiver.spec;
    let expression = |problem| Failure::Terminal("InvalidCELExpression", problem);
    let invalid = |problem: &str| Err(Failure::Terminal("ValidationFailed", problem.to_owned()));
    Filters::compile(spec).map_err(expression)?;
    let oidc = spec.type_ == ReceiverType::GenericOidc;
    match () {
        () if oidc && spec.oidc_providers.is_empty() => {
            invalid("generic-oidc receiver requires at least one oidcProvider")
        }
        () if !oidc && !spec.oidc_providers.is_empty() => {
            invalid("oidcProviders can only be set when type is generic-oidc")
        }
        () if oidc && spec.secret_ref.is_some() => {
            invalid("secretRef cannot be set when type is generic-oidc")
        }
        () if !oidc && spec.secret_ref.is_none() => {
            invalid("secretRef is required when type is not generic-oidc")
        }
        () => oidc::validate(spec).map_err(|problem| match problem {
            oidc::Invalid::Spec(problem) => Failure::Terminal("ValidationFailed", problem),
            oidc::Invalid::Expression(problem) => expression(problem),
        }),
    }
}

/// The Secret of a Receiver, with a token that is not empty. Nothing for types without a Secret.
pub(super) async fn read_secret(
    client: &kube::Client,
    receiver: &Receiver,
) -> Result<BTreeMap<String, Vec<u8>>, String> {
    if receiver.spec.type_ == ReceiverType::GenericOidc {
        return Ok(BTreeMap::new());
    }
    let name = receiver.spec.secret_ref.as_ref().map(|reference| reference.name.clone()).unwrap_or_default();
    let key = ObjectKey::new(receiver.namespace().unwrap_or_default(), name);
    let secret =
        Api::<Secret>::namespaced(client.clone(), &key.namespace).get(&key.name).await.map_err(|error| {
            format!("unable to read token from secret '{key}' error: {}", errors::describe(&error))
        })?;
    let data = secret.data.unwrap_or_default();
    let data: BTreeMap<String, Vec<u8>> = data.into_iter().map(|(key, value)| (key, value.0)).collect();
    // An empty token would let everybody in.
    if data.get("token").is_none_or(Vec::is_empty) {
        return Err(format!("invalid '{key}' secret data: required fields 'token'"));
    }
    Ok(data)
}

impl Reconciler for ReceiverReconciler {
    type Kind = Receiver;

    async fn reconcile(&self, receiver: Arc<Receiver>) -> Next {
        let changed = if receiver.metadata.deletion_timestamp.is_some() {
            finalizer::remove(&self.manager.client, &self.cache, &receiver).await
        } else if finalizer::is_present(&*receiver) {
            Ok(Some(receiver.clone()))
        } else {
            finalizer::add(&self.manager.client, &self.cache, &receiver).await
        };
        let receiver = match changed {
            Ok(Some(receiver)) if receiver.metadata.deletion_timestamp.is_none() => receiver,
            Ok(_) => return Next::AwaitChange,
            Err(error) => {
                tracing::error!(error = %errors::describe(&error), "cannot change the finalizer");
                return Next::Backoff;
            }
        };

        let generation = receiver.metadata.generation.unwrap_or_default();
        let mut status = receiver.status().cloned().unwrap_or_default();
        if let Some(token) = receiver.requested_at() {
            status.set_last_handled_reconcile_at(token.to_owned());
        }
        if receiver.suspend() {
            return self.write(&receiver, &status, Next::AwaitChange).await;
        }
        let interval = receiver.interval().map_or(DEFAULT_INTERVAL, sluice_api::meta::Duration::to_std);
        let next = match self.prepare(&receiver).await {
            Ok(path) => {
                let message = format!("Receiver initialized for path: {path}");
                status.webhook_path = path;
                status.set_observed_generation(generation);
                let conditions = status.conditions_mut();
                conditions::remove(conditions, RECONCILING_CONDITION);
                conditions::remove(conditions, STALLED_CONDITION);
                conditions::set(
                    conditions,
                    generation,
                    READY_CONDITION,
                    ConditionStatus::True,
                    SUCCEEDED_REASON,
                    message,
                );
                let every = sluice_runtime::flags::format_duration(interval);
                let message = format!("Reconciliation finished, next run in {every}");
                self.emit(&receiver, Severity::Trace, SUCCEEDED_REASON, message);
                Next::After(interval)
            }
            Err(Failure::Terminal(reason, problem)) => {
                let message =
                    format!("Reconciliation failed terminally due to configuration error: {problem}");
                status.set_observed_generation(generation);
                let conditions = status.conditions_mut();
                conditions::mark_stalled(conditions, generation, reason, message.clone());
                conditions::set(
                    conditions,
                    generation,
                    READY_CONDITION,
                    ConditionStatus::False,
                    reason,
                    message.clone(),
                );
                self.emit(&receiver, Severity::Error, reason, message);
                Next::AwaitChange
            }
            Err(Failure::Token(message)) => {
                status.webhook_path = String::new();
                let conditions = status.conditions_mut();
                let progress = "Reconciliation in progress";
                conditions::mark_reconciling(conditions, generation, PROGRESSING_WITH_RETRY_REASON, progress);
                let ready = ConditionStatus::False;
                conditions::set(
                    conditions,
                    generation,
                    READY_CONDITION,
                    ready,
                    "TokenNotFound",
                    message.clone(),
                );
                self.emit(&receiver, Severity::Error, "Failed", message);
                Next::Backoff
            }
        };
        self.write(&receiver, &status, next).await
    }
}
