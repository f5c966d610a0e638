//! Health rules for custom resources that people often meet, for when a user gives none of his own.
//!
//! The general rule (condition `Ready`) never sees a failure of these kinds, or looks at the wrong condition.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};
use sluice_cel::Expression;
use sluice_kstatus::Status;

/// Group, kinds, and when an object has failed and when it is current. What is neither is in progress.
type Entry = (&'static str, &'static [&'static str], &'static str, &'static str);

const READY: &str = "C.exists(c, c.type == 'Ready' && c.status == 'True')";
const NOT_READY: &str = "C.exists(c, c.type == 'Ready' && c.status == 'False')";

/// `C` stands for the list of conditions.
const LIBRARY: [Entry; 15] = [
    (
        "cert-manager.io",
        &["Certificate"],
        "C.exists(c, c.type == 'Issuing' && c.status == 'False' && c.reason in ['Failed', 'Denied', 'InvalidRequest'])",
        READY,
    ),
    (
        "cert-manager.io",
        &["Issuer", "ClusterIssuer"],
        "C.exists(c, c.type == 'Ready' && c.status == 'False' && c.?reason.orValue('').startsWith('Err'))",
        READY,
    ),
    (
        "external-secrets.io",
        &["ExternalSecret", "SecretStore", "ClusterSecretStore", "PushSecret"],
        NOT_READY,
        READY,
    ),
    (
        "bitnami.com",
        &["SealedSecret"],
        "C.exists(c, c.type == 'Synced' && c.status == 'False')",
        "C.exists(c, c.type == 'Synced' && c.status == 'True')",
    ),
    (
        "argoproj.io",
        &["Rollout"],
        "status.?phase.orValue('') == 'Degraded'",
        "status.?phase.orValue('') == 'Healthy'",
    ),
    (
        "flagger.app",
        &["Canary"],
        "status.?phase.orValue('') == 'Failed'",
        "status.?phase.orValue('') in ['Initialized', 'Succeeded']",
    ),
    (
        "gateway.networking.k8s.io",
        &["Gateway"],
        "C.exists(c, c.type in ['Accepted', 'Programmed'] && c.status == 'False' && c.?reason.orValue('') == 'Invalid')",
        "C.exists(c, c.type == 'Programmed' && c.status == 'True')",
    ),
    (
        "gateway.networking.k8s.io",
        &["GatewayClass"],
        "C.exists(c, c.type == 'Accepted' && c.status == 'False')",
        "C.exists(c, c.type == 'Accepted' && c.status == 'True')",
    ),
    (
        "gateway.networking.k8s.io",
        &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"],
        "status.?parents.orValue([]).exists(p, p.conditions.exists(c, c.type == 'Accepted' && c.status == 'False'))",
        "size(status.?parents.orValue([])) > 0 && status.parents.all(p, p.conditions.exists(c, c.type == 'Accepted' && c.status == 'True'))",
    ),
    (
        "cluster.x-k8s.io",
        &["Cluster"],
        "status.?phase.orValue('') == 'Failed'",
        "status.?phase.orValue('') == 'Provisioned'",
    ),
    (
        "cluster.x-k8s.io",
        &["Machine"],
        "status.?phase.orValue('') == 'Failed'",
        "status.?phase.orValue('') == 'Running'",
    ),
    (
        "apiextensions.crossplane.io",
        &["CompositeResourceDefinition"],
        "C.exists(c, c.type == 'Established' && c.status == 'False' && c.?reason.orValue('') == 'TerminatingCompositeResource')",
        "C.exists(c, c.type == 'Established' && c.status == 'True')",
    ),
    (
        "pkg.crossplane.io",
        &["Provider", "Configuration", "Function"],
        "C.exists(c, c.type == 'Installed' && c.status == 'False' && c.?reason.orValue('') != 'ActivePackageRevision')",
        "C.exists(c, c.type == 'Installed' && c.status == 'True') && C.exists(c, c.type == 'Healthy' && c.status == 'True')",
    ),
    ("serving.knative.dev", &["Service", "Configuration", "Revision", "Route"], NOT_READY, READY),
    (
        "monitoring.coreos.com",
        &["Prometheus", "Alertmanager", "ThanosRuler", "PrometheusAgent"],
        "C.exists(c, c.type == 'Reconciled' && c.status == 'False')",
        "C.exists(c, c.type == 'Available' && c.status == 'True')",
    ),
];

struct Rule {
    failed: Expression,
    current: Expression,
}

type Rules = HashMap<&'static str, HashMap<&'static str, Rule>>;

/// The status by the rule of the library, if it has one for the kind. `general`: what the general rules say.
pub(crate) fn judge(object: &Value, general: &(Status, String)) -> Option<(Status, String)> {
    static RULES: LazyLock<Rules> = LazyLock::new(compile);
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (group, _) = text("apiVersion")?.split_once('/')?;
    let rule = RULES.get(group)?.get(text("kind")?)?;
    // Deletion, generation and the standard conditions mean the same everywhere.
    if matches!(general.0, Status::Terminating | Status::Failed) {
        return None;
    }
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if observed.is_some() && observed != object.pointer("/metadata/generation").and_then(Value::as_i64) {
        return Some((Status::InProgress, general.1.clone()));
    }
    let empty = json!({});
    let variables = |name: &str| object.get(name).or_else(|| (name == "status").then_some(&empty));
    for (expression, status) in [(&rule.failed, Status::Failed), (&rule.current, Status::Current)] {
        match expression.evaluate_bool(&variables) {
            Ok(true) => return Some((status, general.1.clone())),
            Ok(false) => {}
            Err(error) => return Some((Status::Unknown, error.to_string())),
        }
    }
    Some((Status::InProgress, general.1.clone()))
}

fn compile() -> Rules {
    let mut rules = Rules::new();
    for (group, kinds, failed, current) in LIBRARY {
        for kind in kinds {
            let parse =
                |text: &str| Expression::parse(&text.replace("C.", "status.?conditions.orValue([])."));
            // A test parses them all.
            if let (Ok(failed), Ok(current)) = (parse(failed), parse(current)) {
                rules.entry(group).or_default().insert(kind, Rule { failed, current });
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(group: &str, kind: &str, status: &Value) -> Status {
        let object = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "b"}, "status": status});
        super::super::health::judge(&object).0
    }

    fn condition(type_: &str, state: &str, reason: &str) -> Value {
        json!({"conditions": [{"type": type_, "status": state, "reason": reason}]})
    }

    #[test]
    fn every_entry_parses() {
        let compiled: usize = compile().values().map(HashMap::len).sum();
        assert_eq!(compiled, LIBRARY.iter().map(|(_, kinds, _, _)| kinds.len()).sum::<usize>());
    }

    #[test]
    fn the_reference_lists_every_rule() {
        let page = include_str!("../../../docs/reference/health.md");
        for (group, kinds, failed, current) in LIBRARY {
            let row = format!("| `{group}` | {} | `{failed}` | `{current}` |\n", kinds.join(", "));
            assert!(page.contains(&row), "docs/reference/health.md lacks\n{row}");
        }
    }

    #[test]
    fn ready_progressing_and_failed_objects_are_told_apart() {
        let parents =
            |state: &str| json!({"parents": [{"conditions": [{"type": "Accepted", "status": state}]}]});
        for (group, kind, ready, progressing, failed) in [
            (
                "cert-manager.io",
                "Certificate",
                condition("Ready", "True", "Ready"),
                condition("Ready", "False", "DoesNotExist"),
                condition("Issuing", "False", "Failed"),
            ),
            (
                "cert-manager.io",
                "ClusterIssuer",
                condition("Ready", "True", "ACMEAccountRegistered"),
                json!({}),
                condition("Ready", "False", "ErrRegisterACMEAccount"),
            ),
            (
                "external-secrets.io",
                "ExternalSecret",
                condition("Ready", "True", "SecretSynced"),
                json!({}),
                condition("Ready", "False", "SecretSyncedError"),
            ),
            (
                "bitnami.com",
                "SealedSecret",
                condition("Synced", "True", ""),
                json!({}),
                condition("Synced", "False", ""),
            ),
            (
                "argoproj.io",
                "Rollout",
                json!({"phase": "Healthy"}),
                json!({"phase": "Paused"}),
                json!({"phase": "Degraded"}),
            ),
            (
                "flagger.app",
                "Canary",
                json!({"phase": "Succeeded"}),
                json!({"phase": "Progressing"}),
                json!({"phase": "Failed"}),
            ),
            (
                "gateway.networking.k8s.io",
                "Gateway",
                condition("Programmed", "True", "Programmed"),
                condition("Programmed", "False", "Pending"),
                condition("Accepted", "False", "Invalid"),
            ),
            (
                "gateway.networking.k8s.io",
                "GatewayClass",
                condition("Accepted", "True", "Accepted"),
                condition("Accepted", "Unknown", "Waiting"),
                condition("Accepted", "False", "InvalidParameters"),
            ),
            ("gateway.networking.k8s.io", "HTTPRoute", parents("True"), json!({}), parents("False")),
            (
                "cluster.x-k8s.io",
                "Cluster",
                json!({"phase": "Provisioned"}),
                json!({"phase": "Pending"}),
                json!({"phase": "Failed"}),
            ),
            (
                "cluster.x-k8s.io",
                "Machine",
                json!({"phase": "Running"}),
                json!({"phase": "Pending"}),
                json!({"phase": "Failed"}),
            ),
            (
                "apiextensions.crossplane.io",
                "CompositeResourceDefinition",
                condition("Established", "True", "WatchingCompositeResource"),
                json!({}),
                condition("Established", "False", "TerminatingCompositeResource"),
            ),
            (
                "pkg.crossplane.io",
                "Provider",
                json!({"conditions": [{"type": "Installed", "status": "True"}, {"type": "Healthy", "status": "True"}]}),
                condition("Installed", "True", "ActivePackageRevision"),
                condition("Installed", "False", "UnpackingPackage"),
            ),
            (
                "serving.knative.dev",
                "Service",
                condition("Ready", "True", ""),
                condition("Ready", "Unknown", ""),
                condition("Ready", "False", "RevisionFailed"),
            ),
            (
                "monitoring.coreos.com",
                "Prometheus",
                condition("Available", "True", ""),
                condition("Available", "False", "NoPodReady"),
                condition("Reconciled", "False", "ReconciliationFailed"),
            ),
        ] {
            assert_eq!(status(group, kind, &ready), Status::Current, "{kind}");
            assert_eq!(status(group, kind, &progressing), Status::InProgress, "{kind}");
            assert_eq!(status(group, kind, &failed), Status::Failed, "{kind}");
        }
    }
}
