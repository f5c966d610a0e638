//! Kinds of random resources that refer to others, or whose scope or fields are special.

use fastrand::Rng;

use crate::overlay::pick;

/// Kinds that [`specific`] knows.
pub(crate) const KINDS: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "APIService",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "PriorityClass",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "CustomResourceDefinition",
    "DaemonSet",
    "Pod",
    "ConfigMapList",
];

/// The API version of a kind, and what follows its metadata. References are to one of `names`.
pub(crate) fn specific(rng: &mut Rng, kind: &str, names: &[&str]) -> (&'static str, String) {
    let other = pick(rng, names);
    let place = pick(rng, &["default", "ns1", "ns2"]);
    match kind {
        "ValidatingWebhookConfiguration" => (
            "admissionregistration.k8s.io/v1",
            format!(
                "webhooks:\n- name: one\n  clientConfig:\n    service: {{name: {other}, namespace: {place}}}\n- name: two\n  clientConfig: {{url: 'https://x'}}\n"
            ),
        ),
        "APIService" => (
            "apiregistration.k8s.io/v1",
            format!("spec:\n  service:\n    name: {other}\n    namespace: {place}\n"),
        ),
        "PersistentVolumeClaim" => {
            ("v1", format!("spec:\n  storageClassName: {other}\n  volumeName: {}\n", pick(rng, names)))
        }
        "PersistentVolume" => (
            "v1",
            format!(
                "spec:\n  storageClassName: {other}\n  azureFile: {{secretName: {}}}\n  nfs: {{server: $(VAR)}}\n",
                pick(rng, names)
            ),
        ),
        "StorageClass" => (
            "storage.k8s.io/v1",
            format!("parameters: {{secretName: {other}, adminSecretName: {}}}\n", pick(rng, names)),
        ),
        "PriorityClass" => ("scheduling.k8s.io/v1", "value: 1_000\n".to_owned()),
        "NetworkPolicy" => (
            "networking.k8s.io/v1",
            "spec:\n  podSelector: {}\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: web}}\n    - namespaceSelector: {}\n  egress:\n  - to: [{podSelector: {matchLabels: }}]\n"
                .to_owned(),
        ),
        "PodDisruptionBudget" => {
            ("policy/v1", "spec:\n  minAvailable: 50%\n  selector: {matchLabels: {app: web}}\n".to_owned())
        }
        "Role" => (
            "rbac.authorization.k8s.io/v1",
            format!(
                "rules:\n- apiGroups: ['']\n  resources: [configmaps]\n  resourceNames: [{other}, {}]\n  verbs: ['*']\n",
                pick(rng, names)
            ),
        ),
        "CustomResourceDefinition" => (
            "apiextensions.k8s.io/v1",
            format!(
                "spec:\n  group: example.com\n  conversion: {{webhook: {{clientConfig: {{service: {{name: {other}, namespace: {place}}}}}}}}}\n"
            ),
        ),
        "DaemonSet" => (
            "apps/v1",
            format!(
                "spec:\n  template:\n    spec:\n      priorityClassName: {other}\n      containers:\n      - name: c0\n        image: 'nginx:1'\n      volumes:\n      - name: v\n        projected:\n          sources:\n          - configMap: {{name: {}}}\n          - secret: {{name: {}}}\n      - {{name: w, persistentVolumeClaim: {{claimName: {}}}}}\n",
                pick(rng, names),
                pick(rng, names),
                pick(rng, names)
            ),
        ),
        "Pod" => (
            "v1",
            format!(
                "spec:\n  imagePullSecrets: [{{name: {other}}}]\n  containers: &list\n  - {{name: c0, image: redis, command: [$(VAR), '$$(VAR)']}}\n  initContainers: *list\n"
            ),
        ),
        _ => (
            "v1",
            format!(
                "items:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: {other}-item, namespace: {place}}}\n  data: {}\n",
                odd_map(rng)
            ),
        ),
    }
}

/// Scalars in all styles, on which readers and printers differ.
const SCALARS: &[&str] = &[
    "2020-01-01",
    "2020-1-2 3:4:5",
    "0o17",
    "017",
    "1_0",
    "1e3",
    "-0.0",
    "1:30",
    ".5",
    "~",
    "y",
    "'on'",
    "\"\\u00e9 \\U0001F600\"",
    "'it''s'",
    "\"a\\nb\\n\"",
    "\" a\\n b\"",
    "!!str 12",
    "!!binary aGk=",
    "'lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt  ut labore'",
    "\"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod \\ttempor incididunt ut labore\"",
    "'#x'",
    "a#b",
    "'a: b'",
    "<<",
    "'='",
    "12345678901234567890",
];

/// A map in braces of odd scalars.
pub(crate) fn odd_map(rng: &mut Rng) -> String {
    let entries: Vec<String> =
        (0..rng.usize(1..=4)).map(|at| format!("k{at}: {}", pick(rng, SCALARS))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Lines of a map of odd scalars, plain and as blocks.
pub(crate) fn odd_lines(rng: &mut Rng, indent: &str) -> String {
    const BLOCKS: &[&str] =
        &["|\nAa\nA  b\nA c\n", ">-\nAa\nAb\n\nAc\n", "|+\nAa\n\n", "|2-\nA a\n", ">\nAa\n\nA  b\nAc\n"];
    let mut text = String::new();
    for at in 0..rng.usize(1..=4) {
        if rng.u8(..4) == 0 {
            let block = pick(rng, BLOCKS).replace('A', &format!("{indent}  "));
            text.push_str(&format!("{indent}o{at}: {block}"));
        } else {
            text.push_str(&format!("{indent}o{at}: {}\n", pick(rng, SCALARS)));
        }
    }
    text
}
