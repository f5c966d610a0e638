//! Parts of random kustomizations that lie in files of their own: configurations, schemas, plugins.

use fastrand::Rng;

use crate::overlay::pick;

/// A field, its text, and the file that it names.
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) list: bool,
    pub(crate) files: Vec<(String, String)>,
}

/// A field whose items name files.
pub(crate) fn declared(rng: &mut Rng) -> Declared {
    match rng.u8(..8) {
        0 | 1 => in_file("configurations", "config.yaml", configuration(rng)),
        2 => in_file("crds", "types.json", types(rng)),
        3 => Declared {
            name: "openapi",
            text: "{path: schema.json}\n".to_owned(),
            list: false,
            files: vec![("schema.json".to_owned(), schema(rng))],
        },
        4 => in_file("generators", "generator.yaml", generator(rng)),
        5 => in_directory(rng),
        6 => in_file("validators", "validator.yaml", validator(rng)),
        _ => in_file("transformers", "transformer.yaml", transformer(rng)),
    }
}

fn in_file(name: &'static str, file: &str, content: String) -> Declared {
    let files = vec![(file.to_owned(), content)];
    Declared { name, text: format!("- {file}\n"), list: true, files }
}

/// Plugin configurations that a kustomization of their own makes.
fn in_directory(rng: &mut Rng) -> Declared {
    let suffix = pick(rng, &["", "nameSuffix: -plug\n", "commonAnnotations: {from: directory}\n"]);
    let files = vec![
        ("plugins/kustomization.yaml".to_owned(), format!("resources: [one.yaml]\n{suffix}")),
        ("plugins/one.yaml".to_owned(), transformer(rng)),
    ];
    Declared { name: "transformers", text: "- plugins\n".to_owned(), list: true, files }
}

fn configuration(rng: &mut Rng) -> String {
    let parts = [
        "nameReference:\n- kind: ConfigMap\n  version: v1\n  fieldSpecs:\n  - kind: Widget\n    path: spec/size\n",
        "nameReference:\n- kind: Deployment\n  group: apps\n  fieldSpecs:\n  - kind: Widget\n    path: spec/list\n  - kind: ConfigMap\n    path: data/k\n",
        "namePrefix:\n- path: metadata/name\n- path: spec/size\n  kind: Widget\n",
        "nameSuffix:\n- path: spec/serviceName\n  kind: StatefulSet\n",
        "commonLabels:\n- path: spec/labels\n  kind: Widget\n  create: true\n",
        "labels:\n- path: spec/shown\n  kind: Widget\n  create: true\n",
        "templateLabels:\n- path: spec/inner/metadata/labels\n  kind: Widget\n  create: true\n",
        "commonAnnotations:\n- path: spec/notes\n  kind: Widget\n  create: true\n",
        "images:\n- path: spec/items[]/v\n  kind: Widget\n- path: spec/size\n  kind: Widget\n",
        "replicas:\n- path: spec/size\n  kind: Widget\n",
        "namespace:\n- path: spec/where\n  kind: Widget\n  create: true\n",
        "varReference:\n- path: data\n  kind: ConfigMap\n- path: spec/list\n  kind: Widget\n",
    ];
    let mut text = String::new();
    for part in parts {
        let name = part.split(':').next().unwrap_or_default();
        if rng.u8(..4) == 0 && !text.contains(&format!("{name}:")) {
            text.push_str(part);
        }
    }
    if text.is_empty() { parts[0].to_owned() } else { text }
}

fn types(rng: &mut Rng) -> String {
    let property = pick(
        rng,
        &[
            r#"{"type": "string", "x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap"}"#,
            r#"{"type": "object", "x-kubernetes-object-ref-api-version": "apps/v1", "x-kubernetes-object-ref-kind": "Deployment", "x-kubernetes-object-ref-name-key": "target"}"#,
            r#"{"type": "object", "x-kubernetes-annotation": ""}"#,
            r#"{"type": "object", "x-kubernetes-label-selector": ""}"#,
            r#"{"type": "string", "x-kubernetes-identity": ""}"#,
        ],
    );
    let field = pick(rng, &["size", "list", "extra"]);
    format!(
        r#"{{"com.example.v1.Widget": {{"Schema": {{"properties": {{"apiVersion": {{"type": "string"}}, "kind": {{"type": "string"}}, "metadata": {{"type": "object"}}, "spec": {{"$ref": "com.example.v1.WidgetSpec"}}}}}}}}, "com.example.v1.WidgetSpec": {{"Schema": {{"properties": {{"{field}": {property}}}}}}}}}
"#
    )
}

fn schema(rng: &mut Rng) -> String {
    let key = pick(rng, &["name", "v"]);
    let strategy = pick(rng, &["merge", "replace", "merge,retainKeys"]);
    let kind = r#"{"get": {"x-kubernetes-group-version-kind": {"group": "example.com", "kind": "Widget", "version": "v1"}}}"#;
    let path = pick(rng, &["", "widgets/{name}", "namespaces/{namespace}/widgets/{name}"]);
    let paths = match path {
        "" => String::new(),
        path => format!(r#""paths": {{"/apis/example.com/v1/{path}": {kind}}}, "#),
    };
    format!(
        r#"{{{paths}"definitions": {{"com.example.v1.Widget": {{"type": "object", "properties": {{"spec": {{"type": "object", "properties": {{"items": {{"type": "array", "items": {{"type": "object"}}, "x-kubernetes-patch-merge-key": "{key}", "x-kubernetes-patch-strategy": "{strategy}"}}, "list": {{"type": "array", "items": {{"type": "string"}}, "x-kubernetes-patch-strategy": "{strategy}"}}}}}}}}, "x-kubernetes-group-version-kind": [{{"group": "example.com", "kind": "Widget", "version": "v1"}}]}}}}}}
"#
    )
}

fn generator(rng: &mut Rng) -> String {
    let head = |kind: &str| format!("apiVersion: builtin\nkind: {kind}\nmetadata:\n  name: made\n");
    match rng.u8(..4) {
        0 => head("ConfigMapGenerator") + "literals: [a=b, c=d]\n",
        1 => {
            head("ConfigMapGenerator")
                + "behavior: merge\nliterals:\n- z=1\noptions: {labels: {from: file}}\n"
        }
        2 => {
            head("SecretGenerator")
                + "type: Opaque\nliterals: [p=q]\noptions: {disableNameSuffixHash: true}\n"
        }
        _ => {
            head("ConfigMapGenerator").replace("name: made", "name: made\n  namespace: ns1")
                + "literals: [a=\"b\"]\n---\n"
                + &head("SecretGenerator")
                + "literals:\n- x=y\n"
        }
    }
}

fn validator(rng: &mut Rng) -> String {
    let what = pick(
        rng,
        &[
            "kind: LabelTransformer\nmetadata: {name: v}\nlabels: {validated-by: us}\nfieldSpecs:\n- path: metadata/labels\n  create: true\n",
            "kind: PrefixTransformer\nmetadata: {name: v}\nprefix: \"\"\nfieldSpecs:\n- path: metadata/name\n",
            "kind: LabelTransformer\nmetadata: {name: v}\nlabels: {other: us}\nfieldSpecs:\n- path: metadata/labels\n",
        ],
    );
    format!("apiVersion: builtin\n{what}")
}

fn transformer(rng: &mut Rng) -> String {
    let what = pick(
        rng,
        &[
            "kind: PatchStrategicMergeTransformer\nmetadata: {name: f}\npaths: []\npatches: |-\n  apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: app}\n  spec: {paused: true}\n",
            "kind: PatchTransformer\nmetadata: {name: f}\npatch: |-\n  apiVersion: v1\n  kind: Any\n  metadata: {name: any, annotations: {by: file}}\ntarget: {kind: Deployment|Widget}\n",
            "kind: PatchJson6902Transformer\nmetadata: {name: f}\ntarget: {group: apps, version: v1, kind: Deployment, name: app}\njsonOp: '[{\"op\": \"add\", \"path\": \"/spec/x\", \"value\": 1}]'\n",
            "kind: ValueAddTransformer\nmetadata: {name: f}\nvalue: added\ntargets:\n- fieldPath: spec/where\n- selector: {kind: Ingress}\n  fieldPath: spec/rules/http/paths/path\n  filePathPosition: 1\n",
            "kind: ReplacementTransformer\nmetadata: {name: f}\nreplacements:\n- source: {kind: ConfigMap, fieldPath: metadata.name}\n  targets:\n  - select: {kind: Widget}\n    fieldPaths: [spec.size]\n    options: {create: true}\n",
            "kind: HashTransformer\nmetadata: {name: f}\n",
            "kind: NamespaceTransformer\nmetadata: {name: f, namespace: fns}\nsetRoleBindingSubjects: none\nfieldSpecs:\n- path: metadata/name\n  kind: Namespace\n  create: true\n",
            "kind: PrefixSuffixTransformer\nmetadata: {name: f}\nprefix: b-\nsuffix: -e\nfieldSpecs:\n- path: metadata/name\n",
            "kind: ImageTagTransformer\nmetadata: {name: f}\nimageTag: {name: nginx, newName: n2, digest: \"sha256:1\"}\n",
            "kind: LabelTransformer\nmetadata: {name: f}\nlabels: {number: 5, flag: true}\nfieldSpecs:\n- path: metadata/labels\n  create: true\n- path: spec/selector\n  kind: Service\n",
        ],
    );
    format!("apiVersion: builtin\n{what}")
}
