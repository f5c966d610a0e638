//! Image updates over what Git hosts speak, with logins, and what happens when they do not play along.

use crate::gitops::{GitOps, SOURCE, is_ready, login, message};
use crate::images::{AUTOMATION, IMAGE, Images, author, deployment, images_with};
use crate::notification::{ALERTS, notification_in};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Access, GitServer, Operation, Sink, SshServer};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

fn access(password: &str) -> Access {
    Access::Basic("robot".into(), password.into())
}

/// A server over HTTPS, with a login.
async fn https() -> Result<GitServer> {
    GitServer::builder().tls().access(access("s3cret")).start().await
}

/// The Secret for it, with this password.
async fn secret(ops: &GitOps, password: &str) -> Result<()> {
    let mut data = login(&access(password));
    data["ca.crt"] = json!(ops.server.ca().context("no CA")?);
    ops.secret("git", data).await
}

/// The GitRepository over HTTPS, and the image's file in it.
async fn begin(set: &Images, apps: &[&str]) -> Result<String> {
    for app in apps {
        set.registry.push(app, &["1.0.0"]).await?;
        let marker = format!("{}:{app}", set.ops.namespace);
        let image = format!("{}:1.0.0", set.registry.image(app));
        let text = deployment(&image, &marker).replace("shop", app);
        set.ops.repository.write(&format!("deploy/{app}/{app}.yaml"), text)?;
    }
    let first = set.ops.repository.commit("One")?;
    set.ops.repository.git(["config", "receive.denyCurrentBranch", "ignore"])?;
    secret(&set.ops, "s3cret").await?;
    set.ops.git_repository(json!({"secretRef": {"name": "git"}})).await?;
    for app in apps {
        set.image(app).await?;
    }
    Ok(first)
}

async fn image_of(set: &Images, app: &str) -> Result<Value> {
    let found = set.ops.api("apps/v1", "Deployment").await?.get(app).await?;
    Ok(found.data["spec"]["template"]["spec"]["containers"][0]["image"].clone())
}

fn git(message: &str) -> Value {
    json!({"commit": {"author": author(), "messageTemplate": message}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_rolled_out_over_https_and_over_ssh_and_slack_is_told() -> Result<()> {
    let ops = GitOps::start_with(Setting::new("images-git").await?, https().await?, &[], None).await?;
    let notification = notification_in(&ops.namespace).await?;
    let events = format!("--events-addr={}", notification.events());
    let arguments = [events.as_str()];
    let outcome = images_with(ops, &arguments, async |set| {
        let slack = Sink::start().await?;
        set.ops.secret("slack", json!({"address": slack.url("/hook")})).await?;
        let object = |kind: &str, spec: Value| {
            json!({"apiVersion": ALERTS, "kind": kind, "metadata": {"name": "slack"}, "spec": spec})
                .to_string()
        };
        let spec = json!({"type": "slack", "channel": "releases", "secretRef": {"name": "slack"}});
        set.ops.apply(&object("Provider", spec)).await?;
        let sources = json!([{"kind": "ImageUpdateAutomation", "name": "*"}]);
        let spec = json!({"providerRef": {"name": "slack"}, "eventSources": sources});
        set.ops.apply(&object("Alert", spec)).await?;

        let ssh = SshServer::start()?;
        let first = begin(set, &["web", "api"]).await?;
        let keys = json!({"identity": ssh.new_key()?, "known_hosts": ssh.known_hosts()?});
        set.ops.secret("ssh", keys).await?;
        let spec = json!({"secretRef": {"name": "ssh"}});
        set.ops.git_repository_named("ssh", &ssh.url(set.ops.repository.served()), spec).await?;
        set.ops.stored("ssh", &format!("main@sha1:{first}")).await?;
        set.ops.kustomization("apps", json!({"path": "./deploy"})).await?;
        set.ops.applied("apps", &first).await?;
        let template = "Update {{ range .Changed.Changes }}{{ .NewValue }}{{ end }}";
        set.automation("https", git(template), json!({"path": "./deploy/web"})).await?;
        set.automation_of("ssh", "ssh", git(template), json!({"path": "./deploy/api"})).await?;
        for name in ["https", "ssh"] {
            set.until(AUTOMATION, name, "ready", is_ready).await?;
        }

        for (app, automation) in [("web", "https"), ("api", "ssh")] {
            set.release(app, "1.1.0").await?;
            let commit = set.pushed(automation, "").await?;
            let new = format!("{}:1.1.0", set.registry.image(app));
            let repository = &set.ops.repository;
            ensure!(repository.git(["log", "-1", "--format=%s", &commit])?.trim() == format!("Update {new}"));
            let changed = repository.git(["show", "--numstat", "--format=", &commit])?;
            ensure!(changed == format!("1\t1\tdeploy/{app}/{app}.yaml"), "{changed}");
            set.ops.request_reconcile(SOURCE, "GitRepository", "app").await?;
            set.ops.applied("apps", &commit).await?;
            ensure!(image_of(set, app).await? == new.as_str());
            let says = |subject: &str, text: &str| {
                let (subject, text) = (format!("{subject}.{}", set.ops.namespace), text.to_owned());
                move |told: &sluice_tests::Delivery| {
                    let attachment = &told.json()["attachments"][0];
                    let body = String::from_utf8_lossy(&told.body);
                    attachment["author_name"] == subject.as_str() && body.contains(&text)
                }
            };
            let pushed = format!("pushed commit '{}' to branch 'main'", &commit[..7]);
            let subject = format!("imageupdateautomation/{automation}");
            let told = slack.wait("the push", says(&subject, &pushed)).await?.json();
            ensure!(told["channel"] == "releases" && told["attachments"][0]["color"] == "good", "{told}");
        }
        let count = set.ops.repository.git(["rev-list", "--count", "main"])?;
        ensure!(count == "3", "{count} commits");
        Ok(())
    });
    let outcome = outcome.await;
    outcome
        .map_err(|error| error.context(format!("--- notification-controller\n{}", notification.log_tail())))
}

/// A hook of the served repository; gone with an empty script.
fn hook(set: &Images, name: &str, script: &str) -> Result<()> {
    let file: PathBuf = set.ops.repository.served().join("hooks").join(name);
    if script.is_empty() {
        return Ok(fs::remove_file(file)?);
    }
    fs::create_dir_all(file.parent().context("no folder")?)?;
    let new = file.with_extension("new");
    fs::write(&new, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    Ok(fs::rename(new, file)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_remote_does_nothing_is_lost_and_the_reason_is_told() -> Result<()> {
    let ops = GitOps::start_with(Setting::new("images-remote").await?, https().await?, &[], None).await?;
    images_with(ops, &[], async |set| {
        begin(set, &["web"]).await?;
        set.automation("auto", git("Update"), json!({"path": "./deploy"})).await?;
        set.until(AUTOMATION, "auto", "ready", is_ready).await?;
        let (ops, repository) = (&set.ops, &set.ops.repository);
        let commits = || repository.git(["rev-list", "--count", "main"]);
        let has = |tag: &str| -> Result<()> {
            let file = repository.git(["show", "main:deploy/web/web.yaml"])?;
            ensure!(file.contains(&format!("{}:{tag}'", set.registry.image("web"))), "{file}");
            Ok(())
        };

        // A branch that is protected: told in the host's words, tried again with patience, nothing is committed.
        hook(set, "pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1")?;
        set.release("web", "1.1.0").await?;
        let refused = ops.fails(IMAGE, AUTOMATION, "auto", "GitOperationFailed").await?;
        ensure!(message(&refused).contains("GH006: Protected branch update failed"), "{}", message(&refused));
        ensure!(refused.data["status"]["lastPushCommit"].is_null() && commits()? == "1");
        // Another branch is not: a pull request can be made of it.
        let git_spec = |message: &str, push: Value| {
            let mut spec = git(message);
            spec["push"] = push;
            json!({"spec": {"git": spec}})
        };
        hook(
            set,
            "pre-receive",
            "while read old new ref; do case $ref in refs/heads/main) exit 1;; esac; done",
        )?;
        ops.patch(IMAGE, AUTOMATION, "auto", git_spec("Propose", json!({"branch": "updates"}))).await?;
        let pushed = set.pushed("auto", "").await?;
        ensure!(repository.git(["rev-parse", "updates"])? == pushed && commits()? == "1");
        hook(set, "pre-receive", "")?;
        // Another message, so that a commit of the same second is not the same commit.
        ops.patch(IMAGE, AUTOMATION, "auto", git_spec("Update", Value::Null)).await?;
        let pushed = set.pushed("auto", &pushed).await?;
        ensure!(repository.git(["rev-parse", "main"])? == pushed && commits()? == "2");
        has("1.1.0")?;

        // Somebody rewrites the history: the update is made anew on what is there, without what was there.
        repository.git(["reset", "--hard", "HEAD~1"])?;
        repository.write("deploy/notes.txt", "rewritten")?;
        repository.git(["add", "."])?;
        repository.git(["commit", "--amend", "-m", "Rewritten"])?;
        let rewritten = repository.head()?;
        ops.request_reconcile(IMAGE, AUTOMATION, "auto").await?;
        let pushed = set.pushed("auto", &pushed).await?;
        ensure!(repository.git(["rev-parse", &format!("{pushed}~1")])? == rewritten && commits()? == "2");
        has("1.1.0")?;
        ensure!(repository.git(["show", "main:deploy/notes.txt"])? == "rewritten");

        // A login that is worth nothing any more, until the Secret has the new one.
        ops.server.set_access(access("n3w"));
        set.release("web", "1.2.0").await?;
        let locked_out = ops.fails(IMAGE, AUTOMATION, "auto", "GitOperationFailed").await?;
        let told = message(&locked_out);
        ensure!(told.contains("authenticat") || told.contains("401"), "{told}");
        ensure!(!told.contains("s3cret"), "{told}");
        secret(ops, "n3w").await?;
        ops.request_reconcile(IMAGE, AUTOMATION, "auto").await?;
        let pushed = set.pushed("auto", &pushed).await?;
        ensure!(repository.git(["rev-parse", "main"])? == pushed && commits()? == "3");
        has("1.2.0")?;

        // Nothing is new: nothing is pushed, however often it is asked for.
        let pushes = ops.server.count(Operation::Push);
        for _ in 0..3 {
            ops.reconcile_kind(IMAGE, AUTOMATION, "auto").await?;
        }
        ensure!(ops.server.count(Operation::Push) == pushes && commits()? == "3");
        Ok(())
    })
    .await
}
