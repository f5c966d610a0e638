//! Rules of fields: defaults and what follows from them.

use serde_json::{Value, json};
use sluice_api::helm::{
    HelmRelease, InstallRemediation, Remediation, RemediationStrategy, UpgradeRemediation,
};
use sluice_api::kustomize::{DeletionPolicy, Kustomization};
use sluice_api::meta::{Condition, Duration, Reconcilable, Status};
use sluice_api::source::{
    ArtifactGenerator, CloudProvider, ExternalArtifact, GitRepository, GitVerificationMode, HelmChart, Source,
};

fn read<K: serde::de::DeserializeOwned>(kind: &str, spec: Value) -> K {
    let object = json!({"apiVersion": "any/v1", "kind": kind, "metadata": {"name": "a", "namespace": "b"}, "spec": spec});
    serde_json::from_value(object).expect("object")
}

fn kustomization(more: Value) -> Kustomization {
    let mut spec =
        json!({"interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "a"}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    read("Kustomization", spec)
}

#[test]
fn the_timeout_of_a_kustomization_is_a_little_less_than_its_interval_and_has_a_floor() {
    let timeout = |more| kustomization(more).spec.timeout();
    assert_eq!(timeout(json!({})), Duration::from_secs(570));
    assert_eq!(timeout(json!({"interval": "40s"})), Duration::from_secs(30));
    assert_eq!(timeout(json!({"timeout": "5s"})), Duration::from_secs(30));
    assert_eq!(timeout(json!({"timeout": "2h"})), Duration::from_secs(7200));
}

#[test]
fn what_is_not_set_has_its_default() {
    let plain = kustomization(json!({}));
    assert_eq!(plain.spec.retry_interval(), Duration::from_secs(600));
    assert_eq!(plain.spec.deletion_policy(), DeletionPolicy::MirrorPrune);
    assert!(!plain.suspend() && plain.interval() == Some(Duration::from_secs(600)));
    let git: GitRepository = read("GitRepository", json!({"interval": "1m", "url": "https://a"}));
    assert_eq!(git.spec.timeout(), Duration::from_secs(60));
    let chart: HelmChart = read(
        "HelmChart",
        json!({"chart": "a", "interval": "1m", "sourceRef": {"kind": "Bucket", "name": "a"},
            "valuesFile": "old.yaml", "valuesFiles": ["new.yaml"]}),
    );
    assert_eq!(chart.spec.version(), "*");
    assert_eq!(chart.spec.values_files(), ["old.yaml", "new.yaml"]);
    assert_eq!(CloudProvider::default(), CloudProvider::Generic);
}

#[test]
fn the_old_spelling_of_a_mode_means_the_new_one() {
    let mode = |mode: &str| {
        let verify = json!({"mode": mode, "secretRef": {"name": "a"}});
        let git: GitRepository =
            read("GitRepository", json!({"interval": "1m", "url": "https://a", "verify": verify}));
        git.spec.verify.expect("verification").mode()
    };
    assert_eq!(mode("head"), GitVerificationMode::Head);
    assert_eq!(mode("TagAndHEAD"), GitVerificationMode::TagAndHead);
}

#[test]
fn fields_without_effect_are_told() {
    assert!(kustomization(json!({})).ignored_fields().is_empty());
    assert_eq!(kustomization(json!({"validation": "client"})).ignored_fields(), ["spec.validation"]);
    let git: GitRepository = read(
        "GitRepository",
        json!({"interval": "1m", "url": "https://a", "gitImplementation": "libgit2", "accessFrom": {"namespaceSelectors": []}}),
    );
    assert_eq!(git.ignored_fields(), ["spec.accessFrom", "spec.gitImplementation"]);
}

#[test]
fn a_release_is_named_after_its_object_and_target() {
    let release = |more: Value| {
        let mut spec = json!({"interval": "1m"});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        read::<HelmRelease>("HelmRelease", spec)
    };
    let names = |release: HelmRelease| {
        let (name, namespace) = (release.release_name(), release.release_namespace().to_owned());
        (name, namespace, release.storage_namespace().to_owned())
    };
    let expect = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(names(release(json!({}))), expect("a", "b", "b"));
    assert_eq!(names(release(json!({"targetNamespace": "t"}))), expect("t-a", "t", "b"));
    assert_eq!(
        names(release(json!({"targetNamespace": "t", "releaseName": "r", "storageNamespace": "s"}))),
        expect("r", "t", "s")
    );
    assert_eq!(release(json!({})).spec.timeout(), Duration::from_secs(300));
    assert_eq!(release(json!({})).spec.max_history(), 5);
}

#[test]
fn remediation_ends_after_its_retries() {
    let install = InstallRemediation::default();
    assert!(!install.exhausted(0) && install.exhausted(1) && !install.remediate_last_failure());
    assert_eq!(install.strategy(), RemediationStrategy::Uninstall);
    let upgrade = UpgradeRemediation { retries: 2, ..UpgradeRemediation::default() };
    assert!(!upgrade.exhausted(2) && upgrade.exhausted(3) && upgrade.remediate_last_failure());
    assert!(upgrade.ignore_test_failures(true) && !upgrade.ignore_test_failures(false));
    assert!(!UpgradeRemediation { retries: -1, ..UpgradeRemediation::default() }.exhausted(i64::MAX));
}

#[test]
fn kinds_without_the_usual_fields_answer_all_the_same() {
    let mut generator: ArtifactGenerator = read("ArtifactGenerator", json!({"artifacts": [], "sources": []}));
    assert!(!generator.suspend() && generator.interval() == Some(Duration::from_secs(3600)));
    generator.metadata.annotations =
        Some([("source.extensions.fluxcd.io/reconcile".to_owned(), "Disabled".to_owned())].into());
    assert!(generator.suspend());
    let mut external: ExternalArtifact = read("ExternalArtifact", json!({}));
    assert!(external.artifact().is_none() && external.conditions().is_empty());
    let ready: Condition = serde_json::from_value(json!({
        "type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "observedGeneration": 4,
        "lastTransitionTime": "2026-01-02T03:04:05Z"
    }))
    .expect("condition");
    external.status_mut().get_or_insert_default().conditions_mut().push(ready);
    assert_eq!(external.status().map(Status::observed_generation), Some(4));
}
