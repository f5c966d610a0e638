//! Writes five layers over many resources, builds them with kustomize and with this crate, and prints time and memory.
//!
//! `bench [--limit SECONDS] KUSTOMIZE BUILD [COUNT…]`: the two programs, and how many resources.
//! A program that takes longer than the limit is stopped; kustomize's time grows with the square of the resources.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

fn base(count: usize) -> String {
    let mut text = String::new();
    for index in 0..count / 4 {
        let _ = write!(
            text,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app{index}\n  labels: {{app: app{index}}}\nspec:\n  \
             replicas: 1\n  selector:\n    matchLabels: {{app: app{index}}}\n  template:\n    metadata:\n      labels: \
             {{app: app{index}}}\n    spec:\n      serviceAccountName: app{index}\n      containers:\n      - name: main\n        \
             image: nginx:1.25\n        ports:\n        - containerPort: 8080\n        env:\n        - name: MODE\n          \
             value: fast\n        envFrom:\n        - configMapRef: {{name: app{index}}}\n---\napiVersion: v1\nkind: \
             Service\nmetadata:\n  name: app{index}\nspec:\n  selector: {{app: app{index}}}\n  ports:\n  - port: 80\n    \
             targetPort: 8080\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app{index}\ndata:\n  key: value\n  \
             text: |\n    one\n    two\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app{index}\n---\n"
        );
    }
    text
}

const LAYERS: [&str; 5] = [
    "resources: [resources.yaml]\nconfigMapGenerator:\n- name: generated\n  literals: [a=b]\n",
    "resources: [../l0]\nlabels:\n- pairs: {team: blue}\n  includeSelectors: true\ncommonAnnotations: {owner: us}\n",
    "resources: [../l1]\nnamePrefix: pre-\nimages:\n- {name: nginx, newName: mirror/nginx, newTag: \"1.27\"}\n",
    "resources: [../l2]\npatches:\n- target: {kind: Deployment, name: app1.*}\n  patch: |-\n    - {op: replace, path: \
     /spec/replicas, value: 3}\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: app1}\n    \
     spec: {template: {spec: {containers: [{name: main, resources: {limits: {cpu: 1}}}]}}}\n",
    "resources: [../l3]\nnamespace: prod\nnameSuffix: -v1\nreplacements:\n- source: {kind: Service, name: app1, fieldPath: \
     metadata.name}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.service]\n    options: {create: \
     true}\n",
];

/// Seconds after which a program is stopped, unless `--limit` says otherwise.
const LIMIT: &str = "300";

/// Seconds of CPU, and the most memory in MiB; nothing if it was stopped.
fn measure(
    limit: &str,
    program: &str,
    arguments: &[&str],
    output: &Path,
) -> std::io::Result<Option<(f64, f64)>> {
    let record = output.with_extension("time");
    let status = Command::new("/usr/bin/time")
        .args(["-f", "%e %U %S %M", "-o"])
        .arg(&record)
        .args(["timeout", limit])
        .arg(program)
        .args(arguments)
        .stdout(std::fs::File::create(output)?)
        .status()?;
    if status.code() == Some(124) {
        return Ok(None);
    }
    if !status.success() {
        return Err(std::io::Error::other(format!("{program} failed")));
    }
    let text = std::fs::read_to_string(record)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [_, user, system, kilobytes] => Ok(Some((user + system, kilobytes / 1024.0))),
        _ => Err(std::io::Error::other("no times")),
    }
}

fn main() -> std::io::Result<()> {
    use std::io::Write as _;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (limit, arguments) = match arguments.as_slice() {
        [option, limit, rest @ ..] if option == "--limit" => (limit.as_str(), rest),
        rest => (LIMIT, rest),
    };
    let [reference, ours, counts @ ..] = arguments else {
        return Err(std::io::Error::other("bench [--limit SECONDS] KUSTOMIZE BUILD [COUNT…]"));
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>9}  {:>22}  {:>22}  factor",
        "resources", "sluice CPU s / MiB", "kustomize CPU s / MiB"
    )?;
    for count in counts.iter().filter_map(|count| count.parse::<usize>().ok()) {
        let directory = tempfile::tempdir()?;
        for (index, layer) in LAYERS.iter().enumerate() {
            let path = directory.path().join(format!("l{index}"));
            std::fs::create_dir_all(&path)?;
            std::fs::write(path.join("kustomization.yaml"), layer)?;
        }
        std::fs::write(directory.path().join("l0/resources.yaml"), base(count))?;
        let target = directory.path().join("l4").display().to_string();
        let (left, right) = (directory.path().join("left"), directory.path().join("right"));
        let Some((our_time, our_memory)) = measure(limit, ours, &[&target], &right)? else {
            return Err(std::io::Error::other("too slow"));
        };
        write!(out, "{count:>9}  {our_time:>19.2} / {our_memory:>5.0}  ")?;
        out.flush()?;
        let Some((time, memory)) = measure(limit, reference, &["build", &target], &left)? else {
            writeln!(out, "{:>27}", format!("more than {limit} s"))?;
            continue;
        };
        writeln!(
            out,
            "{time:>19.2} / {memory:>5.0}  {:.1}x time, {:.1}x memory",
            time / our_time.max(0.01),
            memory / our_memory
        )?;
        if std::fs::read(&left)? != std::fs::read(&right)? {
            return Err(std::io::Error::other("the outputs differ"));
        }
    }
    Ok(())
}
