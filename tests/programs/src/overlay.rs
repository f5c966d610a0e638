//! `sluice kustomize build` beside kustomize, on five layers over many resources.

use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What one program took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Seconds of CPU.
    pub cpu: f64,
    /// The most memory, in MiB.
    pub memory: f64,
}

/// Both programs on the same overlay.
#[derive(Clone, Copy, Debug)]
pub struct Both {
    /// `sluice kustomize build`.
    pub ours: Took,
    /// `kustomize build`; nothing if it was stopped.
    pub theirs: Option<Took>,
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

/// Writes an overlay over `count` resources, builds it with both, and sees to it that the outputs are equal. A program that
/// takes longer than `limit` seconds is stopped: kustomize's time grows with the square of the resources.
pub fn compare(count: usize, kustomize: &Path, limit: u64) -> Result<Both> {
    let folder = tempfile::tempdir()?;
    for (index, layer) in LAYERS.iter().enumerate() {
        let path = folder.path().join(format!("l{index}"));
        fs::create_dir_all(&path)?;
        fs::write(path.join("kustomization.yaml"), layer)?;
    }
    fs::write(folder.path().join("l0/resources.yaml"), base(count))?;
    let target = folder.path().join("l4").display().to_string();
    let sluice = sluice_tests::binaries()?.get("sluice").context("the sluice binary is not there")?;
    let (left, right) = (folder.path().join("left"), folder.path().join("right"));
    let ours = measure(limit, sluice, &["kustomize", "build", &target], &right)?;
    let ours = ours.with_context(|| format!("sluice took more than {limit} s"))?;
    let theirs = measure(limit, kustomize, &["build", &target], &left)?;
    ensure!(theirs.is_none() || fs::read(&left)? == fs::read(&right)?, "the outputs differ");
    Ok(Both { ours, theirs })
}

/// Runs a program with its output in a file; nothing if it was stopped.
fn measure(limit: u64, program: &Path, arguments: &[&str], output: &Path) -> Result<Option<Took>> {
    let record = output.with_extension("time");
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%U %S %M", "-o"]).arg(&record).args(["timeout", &limit.to_string()]);
    let status = command.arg(program).args(arguments).stdout(fs::File::create(output)?).status();
    let status = status.context("/usr/bin/time (GNU time) cannot be run")?;
    if status.code() == Some(124) {
        return Ok(None);
    }
    ensure!(status.success(), "{} failed", program.display());
    let text = fs::read_to_string(record)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system, kilobytes] = numbers[..] else { bail!("no times in {text:?}") };
    Ok(Some(Took { cpu: user + system, memory: kilobytes / 1024.0 }))
}

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
