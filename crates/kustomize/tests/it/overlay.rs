//! Random trees of kustomizations, in parts that can be left out one by one.

use fastrand::Rng;

use crate::Files;
use crate::declared::{Declared, declared};
use crate::kinds::{self, odd_lines, specific};

/// A field of a kustomization: its name and the items of its list, or its whole value.
#[derive(Clone)]
struct Field {
    name: &'static str,
    items: Vec<String>,
    list: bool,
}

#[derive(Clone)]
struct Layer {
    path: String,
    component: bool,
    fields: Vec<Field>,
    /// Documents of `resources.yaml`.
    documents: Vec<String>,
    files: Vec<(String, String)>,
}

#[derive(Clone)]
pub(crate) struct Tree {
    layers: Vec<Layer>,
}

const NAMES: &[&str] = &["app", "web", "db", "cache"];
const IMAGES: &[&str] =
    &["nginx", "redis:6", "ghcr.io/a/b:v1", "registry:5000/x", "nginx@sha256:0123", "a/b"];
const VALUES: &[&str] =
    &["a", "\"1\"", "true", "1", "1.5", "\"true\"", "\"\"", "null", "a b", "'x: y'", "0x1F", "\"no\"", "1e3"];
const KINDS: &[&str] = &[
    "Deployment",
    "StatefulSet",
    "Service",
    "ConfigMap",
    "Secret",
    "Ingress",
    "ServiceAccount",
    "CronJob",
    "Widget",
];

pub(crate) fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

impl Tree {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let bases = rng.usize(1..=2);
        let components = rng.usize(0..=1);
        let overlays = rng.usize(0..=2);
        let mut layers = Vec::new();
        for index in 0..bases {
            layers.push(base(&mut rng, format!("base{index}")));
        }
        for index in 0..components {
            layers.push(component(&mut rng, format!("part{index}")));
        }
        for index in 0..overlays {
            layers.push(overlay(&mut rng, format!("mid{index}"), &layers));
        }
        let last = overlay(&mut rng, "over".to_owned(), &layers);
        layers.push(last);
        Self { layers }
    }

    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        for layer in &self.layers {
            let mut text = String::new();
            if layer.component {
                text.push_str("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n");
            }
            let resources = !layer.documents.is_empty();
            let mut listed = false;
            for field in &layer.fields {
                if field.list {
                    text.push_str(&format!("{}:\n", field.name));
                    if field.name == "resources" && resources {
                        text.push_str("- resources.yaml\n");
                        listed = true;
                    }
                    for item in &field.items {
                        text.push_str(item);
                    }
                } else {
                    text.push_str(&format!("{}: {}", field.name, field.items.concat()));
                }
            }
            if resources && !listed {
                text.push_str("resources:\n- resources.yaml\n");
            }
            files.insert(format!("{}/kustomization.yaml", layer.path), text);
            if resources {
                files.insert(format!("{}/resources.yaml", layer.path), layer.documents.join("---\n"));
            }
            for (path, content) in &layer.files {
                files.insert(format!("{}/{path}", layer.path), content.clone());
            }
        }
        files
    }

    /// The trees that have one part less.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut found = Vec::new();
        for index in 0..self.layers.len().saturating_sub(1) {
            let mut tree = self.clone();
            let path = tree.layers.remove(index).path;
            let entry = format!("- ../{path}\n");
            for field in tree.layers.iter_mut().flat_map(|layer| &mut layer.fields) {
                field.items.retain(|item| *item != entry);
            }
            found.push(tree);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            for field in 0..layer.fields.len() {
                let mut tree = self.clone();
                tree.layers[index].fields.remove(field);
                found.push(tree);
                if layer.fields[field].items.len() > 1 {
                    for item in 0..layer.fields[field].items.len() {
                        let mut tree = self.clone();
                        tree.layers[index].fields[field].items.remove(item);
                        found.push(tree);
                    }
                }
            }
            for document in 0..layer.documents.len() {
                let mut tree = self.clone();
                tree.layers[index].documents.remove(document);
                found.push(tree);
            }
        }
        found
    }
}

fn metadata(rng: &mut Rng, name: &str) -> String {
    let mut text = format!("metadata:\n  name: {name}\n");
    if rng.u8(..4) == 0 {
        text.push_str(&format!("  namespace: {}\n", pick(rng, &["default", "ns1", "ns2"])));
    }
    if rng.u8(..3) == 0 {
        text.push_str(&format!(
            "  labels:\n    app: {name}\n    tier: {}\n",
            pick(rng, &["a", "\"1\"", "b"])
        ));
    }
    if rng.u8(..4) == 0 {
        text.push_str(&format!(
            "  annotations: {{note: {}}}\n",
            pick(rng, &["x", "\"y z\"", "'true'", "2020-01-01", "1.50", "yes", "~"])
        ));
    }
    text
}

fn containers(rng: &mut Rng, indent: &str) -> String {
    let mut text = format!("{indent}containers:\n");
    for index in 0..rng.usize(1..=2) {
        text.push_str(&format!("{indent}- name: c{index}\n{indent}  image: {}\n", pick(rng, IMAGES)));
        if rng.bool() {
            text.push_str(&format!(
                "{indent}  env:\n{indent}  - name: A\n{indent}    value: {}\n",
                pick(rng, &["x", "$(VAR)", "\"1\""])
            ));
            if rng.bool() {
                let name = pick(rng, NAMES);
                text.push_str(&format!(
                    "{indent}  - name: B\n{indent}    valueFrom:\n{indent}      configMapKeyRef: {{name: {name}, key: k}}\n"
                ));
            }
        }
        if rng.u8(..3) == 0 {
            text.push_str(&format!(
                "{indent}  envFrom:\n{indent}  - secretRef:\n{indent}      name: {}\n",
                pick(rng, NAMES)
            ));
        }
        if rng.u8(..3) == 0 {
            text.push_str(&format!(
                "{indent}  ports:\n{indent}  - containerPort: 80\n{indent}    name: http # web\n"
            ));
        }
        if rng.u8(..4) == 0 {
            text.push_str(&format!("{indent}  args: [\"--x\", '$(VAR)', plain]\n"));
        }
    }
    if rng.u8(..3) == 0 {
        text.push_str(&format!(
            "{indent}volumes:\n{indent}- name: v\n{indent}  configMap:\n{indent}    name: {}\n",
            pick(rng, NAMES)
        ));
    }
    if rng.u8(..3) == 0 {
        text.push_str(&format!("{indent}serviceAccountName: {}\n", pick(rng, NAMES)));
    }
    text
}

fn resource(rng: &mut Rng, kind: &str, name: &str) -> String {
    let head = |rng: &mut Rng, version: &str| {
        let comment = if rng.u8(..8) == 0 { "# leading\n" } else { "" };
        format!("{comment}apiVersion: {version}\nkind: {kind}\n{}", metadata(rng, name))
    };
    match kind {
        "Deployment" | "StatefulSet" => {
            let mut text = head(rng, "apps/v1");
            text.push_str("spec:\n");
            if rng.bool() {
                text.push_str("  replicas: 2\n");
            }
            text.push_str(&format!("  selector:\n    matchLabels:\n      app: {name}\n"));
            if kind == "StatefulSet" {
                text.push_str(&format!("  serviceName: {}\n", pick(rng, NAMES)));
            }
            text.push_str(&format!(
                "  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n"
            ));
            text + &containers(rng, "      ")
        }
        "CronJob" => {
            let text = head(rng, "batch/v1");
            text + "spec:\n  schedule: \"* * * * *\"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n"
                + &containers(rng, "          ")
        }
        "Service" => {
            let text = head(rng, "v1");
            text + &format!(
                "spec:\n  selector:\n    app: {name}\n  ports:\n  - port: 80\n    targetPort: http\n  - {{port: 443, protocol: TCP}}\n"
            )
        }
        "ConfigMap" => {
            let mut text = head(rng, "v1") + "data:\n";
            for key in ["k", "l", "m"] {
                if rng.bool() || key == "k" {
                    let value = pick(
                        rng,
                        &[
                            "x",
                            "\"1\"",
                            "\"true\"",
                            "|\n    a\n    b",
                            "'$(VAR)'",
                            ">-\n    a\n    b",
                            "\"a\\tb\"",
                            "web-app",
                            ">\n    a\n    b\n\n      c\n    d",
                            "|+\n    a\n\n  # below",
                            "|\n    # top\n    a: b # beside\n    list:\n    # head\n    - x\n    # foot\n    c: {d: 'e'}",
                            "'{\"a\": {\"b\": [1, 1.50]}, \"list\": []}'",
                            "|\n    {\n      \"a\": null,\n      \"list\": [1]\n    }",
                        ],
                    );
                    text.push_str(&format!("  {key}: {value}\n"));
                }
            }
            text
        }
        "Secret" => head(rng, "v1") + "type: Opaque\ndata:\n  k: YWJj\nstringData:\n  s: x\n",
        "Ingress" => {
            let service = pick(rng, NAMES);
            let secret = pick(rng, NAMES);
            head(rng, "networking.k8s.io/v1")
                + &format!(
                    "spec:\n  rules:\n  - http:\n      paths:\n      - path: /\n        backend:\n          service:\n            name: {service}\n            port: {{number: 80}}\n  tls:\n  - secretName: {secret}\n"
                )
        }
        "Widget" => {
            let value = pick(rng, VALUES);
            head(rng, "example.com/v1")
                + &format!(
                    "spec:\n  size: {value}\n  list: [a, {value}]\n  items:\n  - name: a\n    v: 1\n  odd:\n"
                )
                + &odd_lines(rng, "    ")
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let account = pick(rng, NAMES);
            let mut text = head(rng, "rbac.authorization.k8s.io/v1");
            text.push_str("roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n");
            text.push_str(&format!(
                "  name: {}\nsubjects:\n- kind: ServiceAccount\n  name: {account}\n",
                pick(rng, NAMES)
            ));
            if rng.bool() {
                text.push_str(&format!("  namespace: {}\n", pick(rng, &["default", "ns1"])));
            }
            text
        }
        "ClusterRole" => {
            head(rng, "rbac.authorization.k8s.io/v1")
                + "rules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]\n"
        }
        "HorizontalPodAutoscaler" => {
            let (kind, name) = (pick(rng, &["Deployment", "StatefulSet"]), pick(rng, NAMES));
            head(rng, "autoscaling/v2")
                + &format!(
                    "spec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: {kind}, name: {name}}}\n  maxReplicas: 3\n"
                )
        }
        "Namespace" => format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n",
            pick(rng, &["ns1", "ns2", "default"])
        ),
        other if kinds::KINDS.contains(&other) => {
            let (version, body) = specific(rng, other, NAMES);
            head(rng, version) + &body
        }
        _ => head(rng, "v1"),
    }
}

fn field(name: &'static str, items: Vec<String>) -> Field {
    Field { name, items, list: true }
}

fn value(name: &'static str, text: String) -> Field {
    Field { name, items: vec![text], list: false }
}

fn base(rng: &mut Rng, path: String) -> Layer {
    let mut layer =
        Layer { path, component: false, fields: Vec::new(), documents: Vec::new(), files: Vec::new() };
    let kinds: &[&str] = &[
        "Deployment",
        "Deployment",
        "StatefulSet",
        "Service",
        "ConfigMap",
        "Secret",
        "Ingress",
        "ServiceAccount",
        "CronJob",
        "Widget",
        "RoleBinding",
        "ClusterRoleBinding",
        "ClusterRole",
        "HorizontalPodAutoscaler",
        "Namespace",
    ];
    let mut seen = Vec::new();
    for _ in 0..rng.usize(1..=5) {
        let kinds = if rng.u8(..3) == 0 { kinds::KINDS } else { kinds };
        let chosen = (pick(rng, kinds), pick(rng, NAMES));
        if chosen.0 == "Namespace" && seen.iter().any(|(kind, _)| *kind == "Namespace")
            || seen.contains(&chosen)
        {
            continue;
        }
        seen.push(chosen);
        layer.documents.push(resource(rng, chosen.0, chosen.1));
    }
    layer.fields.push(field("resources", Vec::new()));
    fields(rng, &mut layer, 3);
    layer
}

fn component(rng: &mut Rng, path: String) -> Layer {
    let mut layer =
        Layer { path, component: true, fields: Vec::new(), documents: Vec::new(), files: Vec::new() };
    fields(rng, &mut layer, 3);
    layer
}

fn overlay(rng: &mut Rng, path: String, below: &[Layer]) -> Layer {
    let mut layer =
        Layer { path, component: false, fields: Vec::new(), documents: Vec::new(), files: Vec::new() };
    let entry = |layer: &Layer| format!("- ../{}\n", layer.path);
    let plain: Vec<String> = below.iter().filter(|layer| !layer.component).map(entry).collect();
    let parts: Vec<String> = below.iter().filter(|layer| layer.component).map(entry).collect();
    let mut chosen = vec![plain[rng.usize(..plain.len())].clone()];
    if rng.u8(..4) == 0 {
        let other = plain[rng.usize(..plain.len())].clone();
        if !chosen.contains(&other) {
            chosen.push(other);
        }
    }
    layer.fields.push(field("resources", chosen));
    if rng.bool() && !parts.is_empty() {
        layer.fields.push(field("components", parts));
    }
    if rng.u8(..4) == 0 {
        let (kind, name) = (pick(rng, KINDS), format!("extra-{}", pick(rng, NAMES)));
        layer.documents.push(resource(rng, kind, &name));
    }
    fields(rng, &mut layer, 5);
    layer
}

/// Adds up to `most` fields, each at most once.
fn fields(rng: &mut Rng, layer: &mut Layer, most: usize) {
    for _ in 0..rng.usize(0..=most) {
        let choice = rng.u8(..26);
        let new = one_field(rng, choice, layer);
        if layer.fields.iter().all(|old| old.name != new.name) {
            layer.fields.push(new);
        }
    }
    if rng.u8(..3) == 0 && layer.fields.len() > 1 {
        rng.shuffle(&mut layer.fields);
    }
}

fn one_field(rng: &mut Rng, choice: u8, layer: &mut Layer) -> Field {
    match choice {
        0 => value("namespace", format!("{}\n", pick(rng, &["ns1", "ns2", "default"]))),
        1 => value("namePrefix", format!("{}\n", pick(rng, &["p-", "q-", "x"]))),
        2 => value("nameSuffix", format!("{}\n", pick(rng, &["-s", "-t", "y"]))),
        3 => field("labels", (0..rng.usize(1..=2)).map(|_| label(rng)).collect()),
        4 => value("commonLabels", format!("{{{}: {}}}\n", pick(rng, &["app", "team", "a/b"]), pick(rng, &["x", "\"1\"", "web"]))),
        5 => value(
            "commonAnnotations",
            format!("\n  {}: {}\n  z: {}\n", pick(rng, &["note", "a/b"]), pick(rng, &["x", "\"true\"", "'a: b'"]), pick(rng, &["x", "'1'"])),
        ),
        6 => field("images", (0..rng.usize(1..=2)).map(|_| image(rng)).collect()),
        7 => field("replicas", vec![format!("- name: {}\n  count: {}\n", pick(rng, NAMES), rng.u8(0..5))]),
        8 | 9 => {
            let name = pick(rng, &["gen", "gen2"]);
            field("configMapGenerator", vec![generator(rng, layer, name, false)])
        }
        10 => {
            let name = pick(rng, &["gen", "sec"]);
            field("secretGenerator", vec![generator(rng, layer, name, true)])
        }
        11 => value(
            "generatorOptions",
            pick(rng, &["{disableNameSuffixHash: true}\n", "\n  labels: {g: \"1\"}\n", "{immutable: true, annotations: {h: i}}\n"]).to_owned(),
        ),
        12..=14 => field("patches", (0..rng.usize(1..=3)).map(|_| patch(rng)).collect()),
        15 => field("patchesStrategicMerge", vec![format!("- |-\n{}", indented(&strategic(rng), "  "))]),
        16 => {
            let (kind, name) = (pick(rng, &["Deployment", "Service"]), pick(rng, NAMES));
            let group = if kind == "Deployment" { "group: apps, " } else { "" };
            let operation = operation(rng);
            field("patchesJson6902", vec![format!("- target: {{{group}version: v1, kind: {kind}, name: {name}}}\n  patch: |-\n    - {operation}\n")])
        }
        17 => field("replacements", vec![replacement(rng)]),
        18 => {
            let (kind, name) = (pick(rng, &["Service", "ConfigMap"]), pick(rng, NAMES));
            let path = pick(rng, &["", "", "  fieldref: {fieldPath: metadata.namespace}\n", "  fieldref: {fieldPath: 'spec.ports[0].port'}\n", "  fieldref: {fieldPath: data.k}\n"]);
            field("vars", vec![format!("- name: VAR\n  objref: {{apiVersion: v1, kind: {kind}, name: {name}}}\n{path}")])
        }
        19 => value("sortOptions", pick(rng, &["{order: legacy}\n", "{order: fifo}\n", "\n  order: legacy\n  legacySortOptions:\n    orderFirst: [Service]\n    orderLast: [Secret]\n"]).to_owned()),
        20 => value("buildMetadata", pick(rng, &["[managedByLabel]\n", "[originAnnotations]\n", "[transformerAnnotations]\n", "[managedByLabel, originAnnotations]\n"]).to_owned()),
        21 => field("transformers", vec![transformer(rng)]),
        _ => {
            let Declared { name, text, list, files } = declared(rng);
            // A file that is there already belongs to a field of this name, which stays.
            if layer.fields.iter().all(|old| old.name != name) {
                layer.files.extend(files);
            }
            Field { name, items: vec![text], list }
        }
    }
}

fn label(rng: &mut Rng) -> String {
    let mut text = format!(
        "- pairs:\n    {}: {}\n",
        pick(rng, &["app", "team", "env"]),
        pick(rng, &["x", "\"1\"", "'on'"])
    );
    match rng.u8(..4) {
        0 => text.push_str("  includeSelectors: true\n"),
        1 => text.push_str("  includeTemplates: true\n"),
        2 => text.push_str("  fields:\n  - path: spec/extra\n    create: true\n    kind: Widget\n"),
        _ => {}
    }
    text
}

fn image(rng: &mut Rng) -> String {
    let mut text =
        format!("- name: {}\n", pick(rng, &["nginx", "redis", "ghcr.io/a/b", "registry:5000/x", "a/b"]));
    match rng.u8(..5) {
        0 => text.push_str("  newTag: \"1.2\"\n"),
        1 => text.push_str("  newName: other/name\n"),
        2 => text.push_str("  digest: sha256:abc\n"),
        3 => text.push_str("  tagSuffix: -dev\n"),
        _ => text.push_str("  newName: mirror:5000/n\n  newTag: v2\n"),
    }
    text
}

fn generator(rng: &mut Rng, layer: &mut Layer, name: &str, secret: bool) -> String {
    let mut text = format!("- name: {name}\n");
    match rng.u8(..6) {
        0 => text.push_str("  behavior: merge\n"),
        1 => text.push_str("  behavior: replace\n"),
        _ => {}
    }
    text.push_str(&format!(
        "  literals:\n  - {}={}\n",
        pick(rng, &["a", "b"]),
        pick(rng, &["x", "1", "'y z'", "a=b"])
    ));
    if rng.u8(..3) == 0 {
        let content =
            pick(rng, &["text\n", "a: b\nc: d\n", "line \nwith space\n", "no end", "tab\there\n", ""]);
        layer.files.push(("data.txt".to_owned(), content.to_owned()));
        text.push_str("  files:\n  - data.txt\n  - key=data.txt\n");
    }
    if rng.u8(..4) == 0 {
        layer.files.push(("some.env".to_owned(), "# comment\nE=1\nF=\"q\"\n\nG=x=y\n".to_owned()));
        text.push_str("  envs:\n  - some.env\n");
    }
    if secret && rng.bool() {
        text.push_str("  type: example.com/kind\n");
    }
    match rng.u8(..5) {
        0 => text.push_str("  options: {disableNameSuffixHash: true}\n"),
        1 => text.push_str("  options:\n    labels: {o: p}\n    immutable: true\n"),
        2 => text.push_str("  namespace: ns1\n"),
        _ => {}
    }
    text
}

fn operation(rng: &mut Rng) -> String {
    pick(
        rng,
        &[
            "{op: add, path: /metadata/annotations/x, value: y}",
            "{op: add, path: /spec/extra, value: {a: [1, \"2\"]}}",
            "{op: replace, path: /metadata/name, value: renamed}",
            "{op: add, path: /metadata/labels, value: {only: this}}",
            "{op: remove, path: /spec/replicas}",
            "{op: replace, path: /spec/replicas, value: 7}",
            "{op: add, path: /spec/template/spec/containers/-, value: {name: z, image: z}}",
            "{op: add, path: /spec/template/spec/containers/0/args, value: [\"a\"]}",
            "{op: copy, from: /metadata/name, path: /spec/copied}",
            "{op: move, from: /spec/selector, path: /spec/moved}",
            "{op: test, path: /metadata/name, value: app}",
        ],
    )
    .to_owned()
}

fn strategic_body(rng: &mut Rng, kind: &str) -> String {
    match kind {
        "Deployment" | "StatefulSet" => pick(
            rng,
            &[
                "spec:\n  replicas: 9\n",
                "spec:\n  template:\n    spec:\n      containers:\n      - name: c0\n        image: patched:1\n",
                "spec:\n  template:\n    spec:\n      containers:\n      - name: new\n        image: new\n",
                "spec:\n  template:\n    spec:\n      containers:\n      - name: c0\n        $patch: delete\n",
                "spec:\n  template:\n    spec:\n      containers:\n      - name: c0\n        env:\n        - {name: A, value: n}\n        - {name: N, value: \"1\"}\n",
                "spec:\n  template:\n    spec:\n      $patch: replace\n      containers:\n      - name: only\n",
                "spec:\n  replicas: null\n",
                "$patch: delete\n",
                "spec:\n  template:\n    spec:\n      containers:\n      - name: c0\n        ports:\n        - containerPort: 80\n          protocol: TCP\n        - containerPort: 81\n",
                "spec:\n  template:\n    spec:\n      volumes:\n      - name: v\n        emptyDir: {}\n        configMap: null\n",
            ],
        ),
        "Service" => pick(rng, &["spec:\n  ports:\n  - port: 80\n    name: http\n", "spec:\n  type: NodePort\n", "spec:\n  selector: null\n", "$patch: delete\n"]),
        "ConfigMap" => pick(rng, &["data:\n  k: new\n", "data:\n  n: |\n    x\n    y\n", "data: null\n", "data:\n  $patch: replace\n  only: a\n", "data:\n  k: null\n"]),
        _ => pick(rng, &["spec:\n  size: 2\n", "spec:\n  list: [z]\n", "spec:\n  items:\n  - name: b\n", "metadata:\n  labels: {x: y}\n", "spec: null\n"]),
    }
    .to_owned()
}

/// A patch that says itself what it is for.
fn strategic(rng: &mut Rng) -> String {
    let (kind, name) = (pick(rng, &["Deployment", "Service", "ConfigMap", "Widget"]), pick(rng, NAMES));
    let version = match kind {
        "Deployment" => "apps/v1",
        "Widget" => "example.com/v1",
        _ => "v1",
    };
    let body = strategic_body(rng, kind);
    let metadata =
        if body.starts_with("metadata:") { body } else { format!("metadata:\n  name: {name}\n{body}") };
    format!("apiVersion: {version}\nkind: {kind}\n{metadata}")
}

fn indented(text: &str, indent: &str) -> String {
    let mut result = String::new();
    for line in text.lines() {
        result.push_str(indent);
        result.push_str(line);
        result.push('\n');
    }
    result
}

fn patch(rng: &mut Rng) -> String {
    if rng.u8(..6) == 0 {
        let documents: Vec<String> = (0..rng.usize(1..=2)).map(|_| strategic(rng)).collect();
        return format!("- patch: |-\n{}", indented(&documents.join("---\n"), "    "));
    }
    let kind = pick(rng, KINDS);
    let target = match rng.u8(..5) {
        0 => "  target: {kind: Deployment}\n".to_owned(),
        1 => format!("  target:\n    name: {}\n", pick(rng, &["app", "web|db", "a.*", ".*"])),
        2 => format!(
            "  target: {{kind: {kind}, labelSelector: {}}}\n",
            pick(rng, &["app=app", "tier", "\"tier in (a,b)\"", "\"!tier\""])
        ),
        3 => format!("  target: {{kind: {kind}, name: {}}}\n", pick(rng, NAMES)),
        _ => format!("  target: {{annotationSelector: {}}}\n", pick(rng, &["note=x", "note", "z!=x"])),
    };
    let options = pick(
        rng,
        &["", "", "", "", "  options: {allowNameChange: true}\n", "  options:\n    allowKindChange: true\n"],
    );
    if rng.bool() {
        format!("- patch: |-\n    - {}\n{target}{options}", operation(rng))
    } else {
        let body = strategic_body(rng, kind);
        let metadata =
            if body.starts_with("metadata:") { String::new() } else { "metadata:\n  name: any\n".to_owned() };
        let document = format!("apiVersion: v1\nkind: {kind}\n{metadata}{body}");
        let document = if document.contains("name:") {
            document
        } else {
            document.replacen("metadata:\n", "metadata:\n  name: any\n", 1)
        };
        format!("- patch: |-\n{}{target}{options}", indented(&document, "    "))
    }
}

fn replacement(rng: &mut Rng) -> String {
    let (kind, name) = (pick(rng, &["Service", "ConfigMap", "Deployment", "Widget"]), pick(rng, NAMES));
    let source = pick(
        rng,
        &[
            "",
            "    fieldPath: metadata.name\n",
            "    fieldPath: data.k\n",
            "    fieldPath: spec.selector\n",
            "    fieldPath: metadata.name\n    options: {delimiter: '-', index: 0}\n",
        ],
    );
    let select = pick(
        rng,
        &[
            "kind: Deployment",
            "kind: ConfigMap",
            "name: app",
            "kind: Ingress",
            "kind: W.*",
            "namespace: ns1",
            "version: v1, name: web|db",
        ],
    );
    let reject = pick(
        rng,
        &[
            "",
            "",
            "",
            "    reject: [{name: web}]\n",
            "    reject: [{labelSelector: app=app}, {kind: Widget}]\n",
        ],
    );
    let path = pick(
        rng,
        &[
            "metadata.annotations.r",
            "metadata.annotations[a.b/c]",
            "spec.template.spec.containers.*.image",
            "spec.template.spec.containers.[name=c0].image",
            "spec.template.spec.containers.0.env.[name=A].value",
            "spec.replicas",
            "data.k",
            "data.new",
            "data.k.a",
            "data.k.a.b",
            "data.k.list.0",
            "data.l.new",
            "metadata.name",
            "spec.list.[=a]",
            "spec.rules.0.http.paths.0.path",
        ],
    );
    let options = pick(
        rng,
        &[
            "",
            "",
            "    options: {create: true}\n",
            "    options: {create: true}\n",
            "    options:\n      delimiter: ':'\n      index: 1\n",
            "    options: {delimiter: '/', index: -1}\n",
        ],
    );
    let from = if rng.u8(..5) == 0 {
        let value = pick(rng, &["text", "'5'", "a-b", "\"\""]);
        format!("- sourceValue: {value}\n")
    } else {
        format!("- source:\n    kind: {kind}\n    name: {name}\n{source}")
    };
    format!("{from}  targets:\n  - select: {{{select}}}\n{reject}    fieldPaths:\n    - {path}\n{options}")
}

fn transformer(rng: &mut Rng) -> String {
    let config = pick(
        rng,
        &[
            "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: t}\nprefix: tp-\nfieldSpecs:\n- path: metadata/name\n",
            "apiVersion: builtin\nkind: SuffixTransformer\nmetadata: {name: t}\nsuffix: -ts\nfieldSpecs:\n- path: metadata/name\n  kind: Service\n",
            "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: t}\nlabels: {t: u}\nfieldSpecs:\n- path: metadata/labels\n  create: true\n",
            "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: t}\nannotations: {t: \"1\"}\nfieldSpecs:\n- path: metadata/annotations\n  create: true\n- path: spec/template/metadata/annotations\n  create: true\n  kind: Deployment\n",
            "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata: {name: t, namespace: tns}\nunsetOnly: true\nfieldSpecs:\n- path: metadata/namespace\n  create: true\n",
            "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata: {name: t, namespace: tns}\nsetRoleBindingSubjects: allServiceAccounts\n",
            "apiVersion: builtin\nkind: ReplicaCountTransformer\nmetadata: {name: t}\nreplica: {name: app, count: 4}\nfieldSpecs:\n- path: spec/replicas\n  create: true\n  kind: Deployment\n",
            "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: t}\ntarget: {kind: Deployment}\npatch: '[{op: add, path: /spec/paused, value: true}]'\n",
            "apiVersion: builtin\nkind: ImageTagTransformer\nmetadata: {name: t}\nimageTag: {name: nginx, newTag: t9}\nfieldSpecs:\n- path: spec/template/spec/containers/image\n",
        ],
    );
    format!("- |-\n{}", indented(config, "  "))
}
