//! The repository of the demo: a base and two overlays, with a generated ConfigMap and a patch.

use anyhow::Result;
use sluice_tests::Repository;

const FILES: [(&str, &str); 9] = [
    (
        "base/kustomization.yaml",
        "resources:
- deployment.yaml
- service.yaml
",
    ),
    (
        "base/deployment.yaml",
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
      - name: shop
        image: ghcr.io/example/shop:1.0.0
        envFrom:
        - configMapRef: {name: settings}
",
    ),
    (
        "base/service.yaml",
        "apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  selector: {app: shop}
  ports:
  - port: 80
",
    ),
    (
        "overlays/staging/kustomization.yaml",
        "namespace: staging
resources:
- ../../base
- namespace.yaml
configMapGenerator:
- name: settings
  literals:
  - GREETING=hello
",
    ),
    ("overlays/staging/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: staging\n"),
    (
        "overlays/production/kustomization.yaml",
        "namespace: production
resources:
- ../../base
- namespace.yaml
- backup.yaml
configMapGenerator:
- name: settings
  literals:
  - GREETING=welcome
patches:
- path: replicas.yaml
",
    ),
    (
        "overlays/production/namespace.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: production\n",
    ),
    (
        "overlays/production/replicas.yaml",
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 3
",
    ),
    (
        "overlays/production/backup.yaml",
        "apiVersion: batch/v1
kind: CronJob
metadata:
  name: backup
spec:
  schedule: 0 3 * * *
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
          - name: backup
            image: ghcr.io/example/backup:1.0.0
",
    ),
];

pub(crate) fn write(repository: &Repository) -> Result<()> {
    FILES.iter().try_for_each(|(path, content)| repository.write(path, content))
}

/// The files as a tree.
pub(crate) fn tree() -> &'static str {
    "base/                  Deployment, Service
overlays/staging/      namespace, a generated ConfigMap
overlays/production/   namespace, a generated ConfigMap, a patch (3 replicas), a CronJob
"
}

/// What a person would put beside it to have it reconciled.
pub(crate) fn objects(url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: shop, namespace: flux-system}}
spec:
  interval: 1m
  url: {url}
  ref: {{branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: staging, namespace: flux-system}}
spec:
  interval: 10m
  path: ./overlays/staging
  prune: true
  wait: true
  timeout: 1m
  sourceRef: {{kind: GitRepository, name: shop}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: production, namespace: flux-system}}
spec:
  interval: 10m
  path: ./overlays/production
  prune: true
  wait: true
  timeout: 1m
  dependsOn: [{{name: staging}}]
  sourceRef: {{kind: GitRepository, name: shop}}
"
    )
}
