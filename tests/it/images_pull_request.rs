//! Pull requests for the branches that automations push, at each host.

#[path = "../../crates/forge/tests/it/host.rs"]
mod host;

use crate::gitops::{GitOps, is_ready, login, message};
use crate::images::{AUTOMATION, IMAGE, author, deployment, images_with};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use host::{Hosts, Pull, TOKEN};
use http::StatusCode;
use serde_json::{Value, json};
use sluice_tests::{Access, GitServer, Operation, Repository};

/// Each host, and what a repository there is called.
const HOSTS: [(&str, &str); 6] = [
    ("github", "org/github"),
    ("gitlab", "org/gitlab"),
    ("gitea", "org/gitea"),
    ("bitbucket", "org/bitbucket"),
    ("bitbucketserver", "scm/prj/app"),
    ("azuredevops", "org/prj/_git/app"),
];

fn automation(name: &str, annotations: Value, push: Value) -> String {
    let template = "Update {{ range .Changed.Changes }}{{ .NewValue }}{{ end }}";
    let mut git = json!({"commit": {"author": author(), "messageTemplate": template}});
    if push.is_object() {
        git["push"] = push;
    }
    let source = json!({"kind": "GitRepository", "name": name});
    json!({
        "apiVersion": IMAGE, "kind": AUTOMATION, "metadata": {"name": name, "annotations": annotations},
        "spec": {"interval": "1h", "sourceRef": source, "git": git, "update": {"path": "./deploy"}},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_proposed_at_each_host_by_one_pull_request_that_is_kept_up_to_date() -> Result<()> {
    let hosts = Hosts::default();
    let access = Access::Basic("robot".into(), TOKEN.into());
    let server = GitServer::builder().tls().access(access.clone()).beside(hosts.routes()).start().await?;
    let ops = GitOps::start_with(Setting::new("images-pr").await?, server, &[], None).await?;
    images_with(ops, &[], async |set| {
        let image = set.registry.image("web");
        set.registry.push("web", &["1.0.0"]).await?;
        let marker = format!("{}:web", set.ops.namespace);
        let mut secret = login(&access);
        secret["ca.crt"] = json!(set.ops.server.ca().context("no CA")?);
        set.ops.secret("git", secret).await?;
        set.image("web").await?;
        let mut repositories: Vec<(&str, Repository)> = Vec::new();
        for (host, path) in HOSTS {
            let repository = set.ops.server.repository(path)?;
            repository.write("deploy/web.yaml", deployment(&format!("{image}:1.0.0"), &marker))?;
            repository.commit("One")?;
            let spec = json!({"secretRef": {"name": "git"}});
            set.ops.git_repository_named(host, repository.url(), spec).await?;
            let annotations = json!({"sluice.dev/pull-request": host});
            set.ops.apply(&automation(host, annotations, json!({"branch": "updates"}))).await?;
            repositories.push((host, repository));
        }
        for (host, _) in HOSTS {
            set.until(AUTOMATION, host, "ready", is_ready).await?;
        }
        ensure!(hosts.writes().is_empty(), "there is nothing to propose yet");
        let one = |host: &str| -> Result<Pull> {
            let pulls = hosts.pulls(host);
            ensure!(pulls.len() == 1, "{host}: {pulls:?}");
            Ok(pulls[0].clone())
        };
        let entry = |pull: &Pull, tag: &str| {
            let entry = format!("`{image}:1.0.0` → `{image}:{tag}`");
            ensure!(pull.text.matches('→').count() == 1 && pull.text.contains(&entry), "{}", pull.text);
            Ok(())
        };

        // The branch is pushed, and one pull request is opened for it.
        set.release("web", "1.1.0").await?;
        let mut pushed = Vec::new();
        for (host, repository) in &repositories {
            pushed.push(set.pushed(host, "").await?);
            let pull = one(host)?;
            entry(&pull, "1.1.0")?;
            ensure!((pull.source.as_str(), pull.target.as_str()) == ("updates", "main"), "{pull:?}");
            ensure!(pull.title == format!("Update {image}:1.1.0"), "{pull:?}");
            ensure!(pull.text.contains("`deploy/web.yaml`, line 15 (Deployment `shop`)"), "{}", pull.text);
            ensure!(repository.git(["rev-list", "--count", "main"])? == "1", "{host}: main was pushed");
            let opened = |_: &str, reason: &str, text: &str| {
                reason == "PullRequestOpened" && text.contains("opened pull request https://host.test/")
            };
            set.ops.told(AUTOMATION, host, "of the pull request", opened).await?;
        }
        ensure!(hosts.writes().len() == HOSTS.len());

        // The next update goes to the same branch, and the text tells all of it. What people wrote stays.
        hosts.edit(|pull| pull.text = format!("Wait for Monday.\n\n{}", pull.text));
        set.release("web", "1.2.0").await?;
        for ((host, _), pushed) in repositories.iter().zip(&mut pushed) {
            *pushed = set.pushed(host, pushed).await?;
            let pull = one(host)?;
            entry(&pull, "1.2.0")?;
            ensure!(pull.text.starts_with("Wait for Monday.\n\n"), "{}", pull.text);
        }

        // What the host refuses is told; the push stays, and the next run asks again without another commit.
        hosts.refuse(Some((StatusCode::FORBIDDEN, json!({"message": "Resource not accessible"}))));
        set.release("web", "1.3.0").await?;
        for ((host, repository), pushed) in repositories.iter().zip(&mut pushed) {
            let failed = set.ops.fails(IMAGE, AUTOMATION, host, "PullRequestFailed").await?;
            let told = message(&failed);
            ensure!(told.contains("the token may not do this") && told.contains("not accessible"), "{told}");
            ensure!(!told.contains(TOKEN), "{told}");
            *pushed = failed.data["status"]["lastPushCommit"].as_str().context("no push")?.to_owned();
            ensure!(repository.git(["rev-parse", "updates"])? == *pushed, "{host}");
        }
        let pushes = set.ops.server.count(Operation::Push);
        hosts.refuse(None);
        for (host, _) in &repositories {
            let again = set.ops.reconcile_kind(IMAGE, AUTOMATION, host).await?;
            ensure!(is_ready(&again), "{host}: {}", message(&again));
            entry(&one(host)?, "1.3.0")?;
        }
        ensure!(set.ops.server.count(Operation::Push) == pushes, "a commit without a change");

        // Merged: nothing is left to propose, and nothing is asked for.
        hosts.edit(|pull| pull.open = false);
        hosts.writes();
        for (host, repository) in &repositories {
            repository.git(["update-ref", "refs/heads/main", "refs/heads/updates"])?;
            set.ops.reconcile_kind(IMAGE, AUTOMATION, host).await?;
        }
        ensure!(hosts.writes().is_empty(), "a pull request without a change");

        // What cannot be a pull request is told before anything is pushed.
        for (name, annotation, push, text) in [
            ("forgejo", "forgejo", json!({"branch": "more"}), "'forgejo' is none of github, gitlab, gitea"),
            ("unknown", "true", json!({"branch": "more"}), "which API '127.0.0.1' has cannot be told"),
            ("same", "gitea", Value::Null, "another one in .spec.git.push.branch"),
        ] {
            let (_, repository) = &repositories[0];
            let spec = json!({"secretRef": {"name": "git"}});
            set.ops.git_repository_named(name, repository.url(), spec).await?;
            set.ops.apply(&automation(name, json!({"sluice.dev/pull-request": annotation}), push)).await?;
            let failed = set.ops.fails(IMAGE, AUTOMATION, name, "PullRequestFailed").await?;
            ensure!(message(&failed).contains(text), "{}", message(&failed));
        }
        ensure!(set.ops.server.count(Operation::Push) == pushes);
        Ok(())
    })
    .await
}
