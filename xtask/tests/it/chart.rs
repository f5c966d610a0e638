//! The chart, as the reference Helm sees it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("charts").join("sluice")
}

fn helm(arguments: &[&str]) -> Output {
    Command::new(sluice_reference::tool("helm"))
        .args(arguments)
        .current_dir(chart())
        .output()
        .expect("helm runs")
}

/// Runs Helm, which must succeed, and returns what it prints.
fn printed(arguments: &[&str]) -> String {
    let output = helm(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("helm prints text")
}

/// Kind and name of every object in a rendered chart, sorted.
fn objects(rendered: &str) -> Vec<String> {
    let mut objects = Vec::new();
    for document in rendered.split("\n---\n") {
        let field = |prefix: &str| document.lines().find_map(|line| line.strip_prefix(prefix));
        if let (Some(kind), Some(name)) = (field("kind: "), field("  name: ")) {
            objects.push(format!("{kind}/{name}"));
        }
    }
    objects.sort_unstable();
    objects
}

#[test]
fn the_chart_passes_the_linter() {
    printed(&["lint", "--strict", "."]);
}

#[test]
fn a_plain_installation_has_flux_objects_under_their_names() {
    let rendered = printed(&["template", "sluice", ".", "--namespace", "flux-system"]);
    assert_eq!(
        objects(&rendered),
        [
            "ClusterRole/flux-edit-flux-system",
            "ClusterRole/flux-view-flux-system",
            "ClusterRole/helm-controller-flux-system",
            "ClusterRole/kustomize-controller-flux-system",
            "ClusterRole/notification-controller-flux-system",
            "ClusterRole/source-controller-flux-system",
            "ClusterRoleBinding/cluster-reconciler-flux-system",
            "ClusterRoleBinding/helm-controller-flux-system",
            "ClusterRoleBinding/kustomize-controller-flux-system",
            "ClusterRoleBinding/notification-controller-flux-system",
            "ClusterRoleBinding/source-controller-flux-system",
            "Deployment/helm-controller",
            "Deployment/kustomize-controller",
            "Deployment/notification-controller",
            "Deployment/source-controller",
            "NetworkPolicy/allow-egress",
            "NetworkPolicy/allow-scraping",
            "NetworkPolicy/allow-webhooks",
            "ResourceQuota/critical-pods-flux-system",
            "Role/helm-controller-leader-election",
            "Role/kustomize-controller-leader-election",
            "Role/notification-controller-leader-election",
            "Role/source-controller-leader-election",
            "RoleBinding/helm-controller-leader-election",
            "RoleBinding/kustomize-controller-leader-election",
            "RoleBinding/notification-controller-leader-election",
            "RoleBinding/source-controller-leader-election",
            "Service/notification-controller",
            "Service/source-controller",
            "Service/webhook-receiver",
            "ServiceAccount/helm-controller",
            "ServiceAccount/kustomize-controller",
            "ServiceAccount/notification-controller",
            "ServiceAccount/source-controller",
        ]
    );
    for line in [
        "            - --storage-path=/data",
        "            - --storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.cluster.local.",
        "            - --enable-leader-election",
    ] {
        assert!(rendered.lines().any(|found| found == line), "no {line}");
    }
}

#[test]
fn tenants_are_kept_apart_on_demand() {
    let set = "multitenancy.enabled=true,multitenancy.privileged=false,sourceController.create=false,namespace.create=true";
    let rendered = printed(&["template", "sluice", ".", "--namespace", "flux-system", "--set", set]);
    for argument in
        ["--no-cross-namespace-refs=true", "--no-remote-bases=true", "--default-service-account=default"]
    {
        assert!(rendered.contains(argument), "no {argument}");
    }
    assert!(!rendered.contains("cluster-admin"));
    let objects = objects(&rendered);
    assert!(objects.contains(&"Namespace/flux-system".to_owned()), "{objects:?}");
    assert!(!objects.contains(&"Deployment/source-controller".to_owned()), "{objects:?}");
}

#[test]
fn artifact_generators_are_seen_to_on_demand() {
    let rendered = printed(&["template", "sluice", ".", "--set", "artifactGenerators.enabled=true"]);
    let count = |gate: &str| rendered.matches(&format!("--feature-gates={gate}=true")).count();
    assert_eq!((count("ArtifactGenerator"), count("ExternalArtifact")), (1, 2));
}

#[test]
fn the_source_controller_asks_for_tokens_of_service_accounts_with_the_gate_only() {
    let gate = "sourceController.container.additionalArgs={--feature-gates=ObjectLevelWorkloadIdentity=true}";
    let with = printed(&["template", "sluice", ".", "--set", gate]);
    let without = printed(&["template", "sluice", "."]);
    // Two are those of kustomize- and helm-controller, for spec.kubeConfig.configMapRef.
    let count = |rendered: &str| rendered.matches("serviceaccounts/token").count();
    assert_eq!((count(&with), count(&without)), (3, 2));
}

#[test]
fn a_misspelt_value_is_refused() {
    let output = helm(&["template", "sluice", ".", "--set", "sourceController.imagee=x"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("imagee"));
}

#[test]
fn every_definition_is_part_of_the_chart() {
    let rendered = printed(&["template", "sluice", ".", "--include-crds"]);
    for crd in sluice_api::crd::all() {
        let name = crd.metadata.name.expect("a definition has a name");
        assert!(objects(&rendered).contains(&format!("CustomResourceDefinition/{name}")), "no {name}");
    }
}

#[test]
fn prometheus_is_told_of_all_controllers_on_demand() {
    let set = "prometheus.serviceMonitor.create=true,prometheus.serviceMonitor.labels.release=prometheus,prometheus.podMonitor.create=true";
    let rendered = printed(&["template", "sluice", ".", "--set", set]);
    let objects = objects(&rendered);
    for object in ["PodMonitor/sluice", "ServiceMonitor/sluice", "Service/sluice-metrics"] {
        assert!(objects.contains(&object.to_owned()), "no {object}");
    }
    assert!(rendered.contains("    release: prometheus\n"));
}
