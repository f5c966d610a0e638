//! Images without Docker: what a registry has of them, and that what is in them runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use sluice_oci::{Client, ClientOptions, Reference};
use sluice_tests::Registry;

fn image(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("image").args(arguments).output().expect("xtask runs")
}

fn fine(arguments: &[&str]) -> String {
    let output = image(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(arguments: &[&str]) -> String {
    let output = image(arguments);
    assert!(!output.status.success(), "{arguments:?} is accepted");
    String::from_utf8(output.stderr).expect("text")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// A folder with a small program of this machine in place of ours.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy("/bin/echo", folder.path().join("source-controller")).expect("every Linux has echo");
    folder
}

#[test]
fn equal_programs_are_equal_images() {
    let (programs, one, two) =
        (programs(), tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let make = |folder: &Path| {
        let line = ["source-controller", "--bin-dir", text(programs.path()), "--output", text(folder)];
        let told = fine(&line);
        assert_eq!(told.trim(), text(&folder.join("source-controller.tar")));
        fs::read(told.trim()).expect("the layout")
    };
    let layout = make(one.path());
    assert_eq!(layout, make(two.path()));
    let listed =
        Command::new("tar").arg("-tf").arg(one.path().join("source-controller.tar")).output().expect("tar");
    let names = String::from_utf8(listed.stdout).expect("text");
    assert!(names.starts_with("oci-layout\nindex.json\nblobs/sha256/"), "{names}");
}

#[test]
fn what_cannot_be_made_is_told() {
    let programs = programs();
    let folder = text(programs.path());
    assert!(refused(&["source-controller"]).contains("--push HOST/PATH, or --output DIR"));
    let unknown = refused(&["x-controller", "--output", folder]);
    assert!(unknown.contains("x-controller has no image; there are source-controller"), "{unknown}");
    let missing = refused(&["helm-controller", "--bin-dir", folder, "--output", folder]);
    assert!(missing.contains("helm-controller cannot be read: build it first"), "{missing}");
    fs::write(programs.path().join("helm-controller"), "#!/bin/sh\n").expect("a script");
    let script = refused(&["helm-controller", "--bin-dir", folder, "--output", folder]);
    assert!(script.contains("helm-controller is no program for Linux"), "{script}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_has_what_was_pushed_and_it_runs() {
    let registry = Registry::start_closed().await.expect("a registry");
    let (user, password) = Registry::login();
    let (programs, creds) = (programs(), format!("{user}:{password}"));
    let prefix = registry.image("sluice");
    let line = [
        "source-controller",
        "--bin-dir",
        text(programs.path()),
        "--push",
        &prefix,
        "--tag",
        "v7",
        "--insecure-registry",
    ];
    assert!(refused(&line).contains("source-controller cannot be pushed"));
    let told = fine(&[&line[..], &["--creds", &creds]].concat());

    let reference = Reference::parse(&format!("{prefix}/source-controller:v7")).expect("a name");
    let credentials = sluice_oci::Credentials::Basic { username: user.into(), password: password.into() };
    let options = ClientOptions { credentials, insecure: true, ..ClientOptions::default() };
    let client = Client::new(&reference.registry, options).expect("a client");
    let (digest, manifest) = client.manifest(&reference).await.expect("the manifest");
    assert_eq!(told.trim(), format!("{reference}@{digest}"));
    let mut config = Vec::new();
    client.blob(&reference.repository, &manifest.config, &mut config).await.expect("the configuration");
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(config["config"]["User"], "65534:65534");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/local/bin/source-controller");
    assert_eq!((&config["os"], &config["created"]), (&"linux".into(), &"1970-01-01T00:00:00Z".into()));
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(manifest.layers.len()));

    let root = tempfile::tempdir().expect("a folder");
    for layer in &manifest.layers {
        assert_eq!(layer.media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
        let mut content = Vec::new();
        client.blob(&reference.repository, layer, &mut content).await.expect("a layer");
        let path = root.path().join("layer.tar.gz");
        fs::write(&path, content).expect("written");
        let mut unpack = Command::new("tar");
        unpack.args(["--no-same-owner", "-xpzf"]).arg(&path).arg("-C").arg(root.path());
        assert!(unpack.status().expect("tar").success());
        fs::remove_file(&path).expect("removed");
    }
    let read = |name: &str| fs::read_to_string(root.path().join(name)).expect(name);
    assert!(read("etc/passwd").contains("nobody:x:65534:65534:"));
    let authorities = read("etc/ssl/certs/ca-certificates.crt");
    assert!(authorities.matches("-----BEGIN CERTIFICATE-----\n").count() > 100);
    assert_eq!(fs::metadata(root.path().join("tmp")).expect("tmp").mode() & 0o7777, 0o1777);
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user", "chroot"]).arg(root.path());
    let ran = inside.args(["/usr/local/bin/source-controller", "it", "runs"]).output().expect("unshare");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "it runs\n", "{}", String::from_utf8_lossy(&ran.stderr));
}
