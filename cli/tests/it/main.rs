//! The program as a script sees it: streams, texts and exit codes, without a cluster.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What became of a run.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    code: i32,
    data: String,
    talk: String,
}

/// Runs `sluice` in a folder with nothing of this machine's configuration.
fn sluice<A: AsRef<OsStr>>(folder: &Path, arguments: &[A], input: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(variables.iter().copied());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A program that does not read its input closes it.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code().unwrap_or(-1),
        data: String::from_utf8(output.stdout).expect("UTF-8"),
        talk: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn run(line: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    sluice(folder.path(), &line.split_whitespace().collect::<Vec<_>>(), "", &[])
}

#[test]
fn data_goes_to_stdout_and_talk_to_stderr() {
    let ran = run("version --client");
    assert_eq!((ran.code, ran.data.as_str(), ran.talk.as_str()), (0, "sluice: v0.1.0\n", ""));
    let ran = run("version --client -o json");
    assert_eq!(ran.data, "{\n  \"sluice\": \"v0.1.0\"\n}\n");
}

#[test]
fn without_a_kubeconfig_it_says_what_to_do() {
    let ran = run("get all");
    assert_eq!((ran.code, ran.data.as_str()), (1, ""));
    assert!(ran.talk.starts_with("✗ there is no kubeconfig: ") && ran.talk.contains("\n  hint: "), "{ran:?}");
    let ran = run("get all --kubeconfig nowhere");
    assert!(ran.code == 1 && ran.talk.contains("nowhere"), "{ran:?}");
}

#[test]
fn a_server_that_is_none_or_away_is_told_and_fails() {
    let away = "✗ connection refused\n  hint: http://127.0.0.1:1 cannot be reached: is it running, and is this the right --context?\n";
    for line in ["get all", "get kustomizations", "stats", "version", "logs"] {
        let ran = run(&format!("{line} --server http://127.0.0.1:1"));
        assert_eq!((ran.code, ran.data.as_str(), ran.talk.as_str()), (1, "", away), "{line}");
    }
    let ran = run("get all --server ftp://127.0.0.1");
    assert!(
        ran.code == 1
            && ran.talk.starts_with("✗ \"ftp://127.0.0.1/\" is no address of an API server\n  hint: "),
        "{ran:?}"
    );
    let ran = run("get all --server http://[");
    assert!(
        ran.code == 1
            && ran.talk.starts_with("✗ --server \"http://[\" is no address: ")
            && ran.talk.contains("\n  hint: "),
        "{ran:?}"
    );
}

#[test]
fn what_is_missing_on_a_command_line_is_said_with_the_command_that_explains_it() {
    for (line, problem, help) in [
        ("create source git app --export", "url is required", "create source git app"),
        ("create kustomization app", "source is required", "create kustomization app"),
        ("reconcile kustomization", "Kustomization name is required", "reconcile kustomization"),
        ("delete source git", "source git name is required", "delete source git"),
        ("bootstrap git --branch=x", "--url is required", "bootstrap git"),
    ] {
        let ran = run(line);
        let talk = format!("✗ {problem}\n  hint: `sluice {help} --help` tells what it takes\n");
        assert_eq!((ran.code, ran.talk), (1, talk), "{line}");
    }
}

#[test]
fn a_wrong_command_line_is_told_in_a_line_and_hinted_at() {
    let ran = run("get kustomizations --no-heade");
    assert_eq!((ran.code, ran.data.as_str()), (1, ""));
    assert_eq!(ran.talk, "✗ unexpected argument '--no-heade' found\n  hint: did you mean `--no-header`?\n");
    // 1 would be taken for drift.
    assert_eq!(run("diff nothing").code, 2);
    assert_eq!(
        run("get kustomizations -n Not_A_Label").talk,
        "✗ namespace must be a valid DNS label: \"Not_A_Label\"\n"
    );
}

#[test]
fn envsubst_is_a_filter() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = sluice(folder.path(), &["envsubst"], "a ${NAME:-b}\n${OTHER}", &[("NAME", "x")]);
    assert_eq!(ran, Ran { code: 0, data: "a x\n\n".into(), talk: String::new() });
    let ran = sluice(folder.path(), &["envsubst", "--strict"], "${OTHER}\n", &[]);
    assert_eq!((ran.code, ran.talk.as_str()), (1, "✗ line 1: variable not set (strict mode): \"OTHER\"\n"));
}

#[test]
fn overlays_are_built_and_errors_are_those_of_kustomize() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("kustomization.yaml", "namePrefix: pre-\nresources: [map.yaml]\n");
    write("map.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n");
    let expected = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pre-a\n";
    let ran = sluice(folder.path(), &["kustomize", "build", "."], "", &[]);
    assert_eq!(ran, Ran { code: 0, data: expected.into(), talk: String::new() });
    std::fs::create_dir(folder.path().join("out")).expect("a folder");
    assert_eq!(sluice(folder.path(), &["kustomize", "build", "-o", "out"], "", &[]).code, 0);
    let written = std::fs::read_to_string(folder.path().join("out/v1_configmap_pre-a.yaml"));
    assert_eq!(written.expect("a file"), expected);
    let ran = sluice(folder.path(), &["kustomize", "build", "out"], "", &[]);
    assert!(
        ran.code == 1 && ran.talk.starts_with("Error: unable to find one of 'kustomization.yaml'"),
        "{ran:?}"
    );
}

#[test]
fn charts_are_rendered_packed_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let chart = folder.path().join("web");
    std::fs::create_dir_all(chart.join("templates")).expect("folders");
    let write = |name: &str, text: &str| std::fs::write(chart.join(name), text).expect("written");
    write("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3\n");
    write("values.yaml", "size: 1\n");
    write(
        "templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata: {size: \"{{ .Values.size }}\"}\n",
    );
    let ran = sluice(folder.path(), &["helm", "template", "x", "web", "--set", "size=2"], "", &[]);
    let expected = "---\n# Source: web/templates/map.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata: {size: \"2\"}\n";
    assert_eq!(ran, Ran { code: 0, data: expected.into(), talk: String::new() });
    let ran = sluice(folder.path(), &["helm", "package", "web"], "", &[]);
    assert!(ran.code == 0 && ran.data.ends_with("/web-1.2.3.tgz\n"), "{ran:?}");
    assert_eq!(
        sluice(folder.path(), &["helm", "show", "values", "web-1.2.3.tgz"], "", &[]).data.trim_end(),
        "size: 1"
    );
    let ran = sluice(folder.path(), &["helm", "template", "x", "nothing"], "", &[]);
    assert!(ran.code == 1 && ran.talk.starts_with("Error: "), "{ran:?}");
    // What is no YAML is shown to who asks for it.
    write("templates/map.yaml", "size: [{{ .Values.size }}\n");
    for (flags, shown) in
        [(&["--debug"][..], "---\n# Source: web/templates/map.yaml\nsize: [1\n\n"), (&[][..], "")]
    {
        let ran = sluice(folder.path(), &[&["helm", "template", "x", "web"], flags].concat(), "", &[]);
        assert!(
            ran.code == 1 && ran.talk.starts_with("Error: YAML parse error on web/templates/map.yaml: "),
            "{ran:?}"
        );
        assert!(ran.talk.contains("\n  printed by web/templates/map.yaml:1\n"), "{ran:?}");
        assert_eq!(ran.data, shown);
    }
}

#[test]
fn objects_are_created_as_yaml_without_a_cluster() {
    let ran = run(
        "create kustomization apps --source repo.infra --path ./apps --prune --wait --interval 10m --export",
    );
    let expected = "\
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: apps
  namespace: flux-system
spec:
  interval: 10m0s
  path: ./apps
  prune: true
  sourceRef:
    kind: GitRepository
    name: repo
    namespace: infra
  timeout: 2m0s
  wait: true
";
    assert_eq!(ran, Ran { code: 0, data: expected.into(), talk: String::new() });
    let ran = run("create source git app --url https://example.com/app");
    assert!(ran.code == 1 && ran.talk.starts_with("✗ a Git ref is required"), "{ran:?}");
}

#[test]
fn an_installation_can_be_printed() {
    let ran = run("install --export -n gitops --log-level debug");
    assert_eq!((ran.code, ran.talk.as_str()), (0, ""));
    assert!(ran.data.starts_with("---\n# This manifest was generated by sluice. DO NOT EDIT.\n"));
    for text in [
        "kind: CustomResourceDefinition\n",
        "name: kustomize-controller\n",
        "--log-level=debug\n",
        "namespace: gitops\n",
    ] {
        assert!(ran.data.contains(text), "{text:?} is missing");
    }
    assert_eq!(
        run("install --export --components nothing").talk,
        "✗ component nothing is not available, must be one of: source-controller, kustomize-controller, helm-controller, \
         notification-controller, image-controller\n"
    );
}

#[test]
fn what_is_not_encrypted_is_not_decrypted() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("plain.yaml"), "a: b\n").expect("written");
    let ran = sluice(folder.path(), &["sops", "decrypt", "plain.yaml"], "", &[]);
    assert_eq!((ran.code, ran.data.as_str(), ran.talk.as_str()), (1, "", "sops metadata not found\n"));
    assert_eq!(sluice(folder.path(), &["sops", "decrypt", "nothing.yaml"], "", &[]).code, 100);
}

#[test]
fn completion_scripts_ask_the_program() {
    assert!(run("completion bash").data.contains("sluice __complete"));
    let ran = run("__complete -- get sour");
    assert_eq!(ran.data, "sources\tSources: Git, OCI, Helm, buckets\n");
}

/// Copies a folder of the workspace.
fn copied(from: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a folder") {
            let path = entry.expect("an entry").path();
            let target = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                copy(&path, &target);
            } else {
                std::fs::copy(&path, &target).expect("a copy");
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(from), folder.path());
    folder
}

#[test]
fn the_example_repository_passes_and_each_fault_is_found() {
    let folder = copied("examples/multi-tenancy");
    let ran = sluice(folder.path(), &["test"], "", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.data, ran.talk);
    assert!(ran.data.contains("Kustomization") && ran.talk.starts_with("✔ "), "{ran:?}");

    let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).expect("written");
    let sync = |name: &str, spec: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\nspec: {{interval: 1m, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}, {spec}}}\n"
        )
    };
    write("clusters/staging/lost.yaml", &sync("lost", "path: ./nowhere"));
    write("clusters/staging/a.yaml", &sync("a", "path: ./tenants, dependsOn: [{name: b}]"));
    write("clusters/staging/b.yaml", &sync("b", "path: ./tenants, dependsOn: [{name: a}]"));
    write("clusters/staging/typo.yaml", &sync("typo", "path: ./tenants, prunee: true"));
    write(
        "clusters/staging/nobody.yaml",
        &sync("nobody", "path: ./tenants, dependsOn: [{name: nobody-else}]"),
    );
    write(
        "clusters/staging/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n",
    );
    write("clusters/staging/broken.yaml", "a: [\n");
    write("tenants/base/ops-team/kustomization.yaml", "resources: [gone.yaml]\n");
    let ran = sluice(folder.path(), &["test"], "", &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for rule in
        ["path", "dependency-cycle", "schema", "missing-reference", "unencrypted-secret", "syntax", "build"]
    {
        assert!(ran.data.contains(&format!("[{rule}]\n")), "{rule} is not in {}", ran.data);
    }
    assert!(!ran.data.contains("hunter2"), "a secret is shown");
    let sarif = sluice(folder.path(), &["test", "--output=sarif"], "", &[]);
    let report: serde_json::Value = serde_json::from_str(&sarif.data).expect("JSON");
    assert!(report["runs"][0]["results"].as_array().is_some_and(|results| results.len() >= 7), "{report}");
    let junit = sluice(folder.path(), &["test", "--output=junit", "--output-file=report.xml"], "", &[]);
    assert_eq!((junit.code, junit.data.as_str()), (1, ""));
    assert!(
        std::fs::read_to_string(folder.path().join("report.xml"))
            .expect("a report")
            .contains("<failure type=\"path\"")
    );
}

/// Serves files on loopback to whoever asks, for as long as the test runs.
fn serve(files: Vec<(&'static str, Vec<u8>)>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0_u8; 4096];
            let read = std::io::Read::read(&mut stream, &mut request).expect("a request");
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let found = files.iter().find(|(name, _)| *name == path);
            let (status, body) = found.map_or(("404 Not Found", &[][..]), |(_, body)| ("200 OK", body));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    format!("http://{address}")
}

#[test]
fn a_plugin_is_installed_runs_as_a_command_and_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = b"#!/bin/sh\necho \"greets $*\"\nexit 7\n".to_vec();
    let digest = sluice_digest(&program);
    let catalog = "apiVersion: cli.fluxcd.io/v1beta1\nkind: PluginCatalog\nplugins: [{name: greet, description: Says hello}]\n";
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let server = serve(vec![("/flux-greet", program)]);
    let manifest = |checksum: &str| {
        format!(
            "apiVersion: cli.fluxcd.io/v1beta1\nkind: Plugin\nname: greet\nbin: flux-greet\nversions:\n- version: 1.0.0\n  platforms: [{{os: {os}, arch: {arch}, url: '{server}/flux-greet', checksum: '{checksum}'}}]\n"
        )
    };
    let base = serve(vec![
        ("/good/catalog.yaml", catalog.into()),
        ("/good/greet.yaml", manifest(&digest).into_bytes()),
        ("/bad/greet.yaml", manifest("sha256:00").into_bytes()),
    ]);
    let plugins = folder.path().join("plugins").display().to_string();
    let with = |line: &str, catalog: &str| {
        let variables = [
            ("FLUXCD_PLUGINS", plugins.as_str()),
            ("FLUXCD_PLUGIN_CATALOG", catalog),
            ("PATH", "/bin:/usr/bin"),
        ];
        sluice(folder.path(), &line.split(' ').collect::<Vec<_>>(), "", &variables)
    };
    let good = format!("{base}/good/");
    let ran = with("plugin install greet", &format!("{base}/bad/"));
    assert!(ran.code == 1 && ran.talk.contains("checksum verification failed"), "{ran:?}");
    assert_eq!(with("plugin list", &good).data, "No plugins found\n");
    let ran = with("plugin install nobody", &good);
    assert!(ran.talk.starts_with("✗ plugin \"nobody\" not found in catalog"), "{ran:?}");
    let ran = with("plugin install greet@1.0.0", &good);
    assert_eq!((ran.code, ran.talk.as_str()), (0, "✔ installed greet v1.0.0\n"), "{ran:?}");
    assert!(with("plugin search hello", &good).data.contains("greet"));
    assert!(with("plugin ls", &good).data.contains("1.0.0"));
    let ran = with("greet you -n me --help", &good);
    assert_eq!((ran.code, ran.data.as_str()), (7, "greets you -n me --help\n"), "{ran:?}");
    assert!(with("plugin update", &good).talk.contains("✔ greet already up to date (v1.0.0)"));
    assert!(with("__complete -- gre", &good).data.starts_with("greet\t"));
    assert_eq!(with("plugin delete greet", &good).code, 0);
    assert_eq!(with("greet", &good).code, 1);
}

fn sluice_digest(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn git(folder: &Path, line: &str) {
    let mut command = Command::new("git");
    command.current_dir(folder).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]);
    let output = command.args(line.split(' ')).output().expect("git runs");
    assert!(output.status.success(), "git {line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn two_revisions_of_a_repository_are_compared_by_what_they_apply() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    let sync = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\nspec: {url: 'https://example.com/fleet', interval: 1m}\n---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\nspec: {interval: 1m, prune: true, path: ./apps/prod, sourceRef: {kind: GitRepository, name: flux-system}, postBuild: {substitute: {tier: gold}}}\n";
    write("clusters/prod/sync.yaml", sync);
    write("apps/base/kustomization.yaml", "resources: [map.yaml]\n");
    write(
        "apps/base/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {greeting: hello, tier: '${tier}'}\n",
    );
    write("apps/prod/kustomization.yaml", "resources: [../base]\nnamePrefix: prod-\n");
    git(folder.path(), "init -q");
    git(folder.path(), "add .");
    git(folder.path(), "commit -qm one");
    let compare = |line: &str| {
        let path = std::env::var("PATH").unwrap_or_default();
        sluice(folder.path(), &line.split(' ').collect::<Vec<_>>(), "", &[("PATH", &path)])
    };
    let ran = compare("diff revisions HEAD");
    assert_eq!((ran.code, ran.talk.as_str()), (0, "✔ nothing that is applied changes\n"), "{ran:?}");
    write(
        "apps/base/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {greeting: goodbye, tier: '${tier}'}\n",
    );
    git(folder.path(), "commit -qam two");
    // Once, by the Kustomization, and not for the base besides.
    let ran = compare("diff revisions HEAD~1..HEAD");
    assert_eq!(ran.code, 1, "{ran:?}");
    let expected = "📁 Kustomization/flux-system/apps\n► ConfigMap/prod-a changed\n\ndata.greeting\n  ± value change\n    - hello\n    + goodbye\n";
    assert_eq!(ran.data, expected, "{ran:?}");
    let ran = compare("diff revisions HEAD~1...HEAD --output=markdown");
    assert!(ran.data.contains("1 object(s) change:\n\n```diff\n📁"), "{ran:?}");
    // What does not build any more is told, and is no deletion.
    write("apps/prod/kustomization.yaml", "resources: [../nothing]\n");
    let ran = compare("diff revisions HEAD");
    assert!(
        ran.code == 2 && ran.talk.contains("Kustomization/flux-system/apps: ") && ran.data.is_empty(),
        "{ran:?}"
    );
    let ran = compare("diff revisions nowhere");
    assert!(
        ran.code == 2 && ran.talk.contains("nowhere is no revision") && ran.talk.contains("hint: "),
        "{ran:?}"
    );
}

/// The words of a line of a shell without anything but single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            character => words.last_mut().expect("a word").push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_commands_of_the_guides_that_need_no_cluster_do_what_they_are_there_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(
        root.join("examples").canonicalize().expect("examples"),
        folder.path().join("examples"),
    )
    .expect("a link");
    std::fs::write(folder.path().join("ca.crt"), "-----BEGIN CERTIFICATE-----\n").expect("a file");
    let mut pages: Vec<_> = std::fs::read_dir(root.join("docs/guides"))
        .expect("guides")
        .map(|entry| entry.expect("a page").path())
        .collect();
    pages.push(root.join("docs/getting-started.md"));
    let examples = std::fs::read_dir(root.join("examples")).expect("examples");
    pages.extend(examples.map(|entry| entry.expect("an example").path().join("README.md")));
    let mut count = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("sluice ")) {
            let offline = (line.starts_with("sluice create ") && line.ends_with(" --export"))
                || line.starts_with("sluice test examples/")
                || line.starts_with("sluice helm ")
                || line.starts_with("sluice build ") && line.ends_with(" --dry-run")
                || line == "sluice install --export";
            if !offline {
                continue;
            }
            let ran = sluice(folder.path(), &words(line)[1..], "", &[]);
            assert_eq!(ran.code, 0, "{}: {line}: {ran:?}", page.display());
            assert!(!ran.data.is_empty(), "{}: {line} prints nothing", page.display());
            count += 1;
        }
    }
    assert!(count > 35, "only {count} commands were found");
}
