//! Git hosts: commit statuses, comments, dispatches by a GitHub App.

use super::*;

#[tokio::test]
async fn commit_statuses() {
    let same = |state: &str, key: &str| json!([{key: "kustomization/webapp/7c4d1f00", "state": state, "status": state, "description": "reconciliation succeeded"}]);
    let body = json!({"state": "failure", "context": "kustomization/webapp/7c4d1f00", "description": "reconciliation succeeded"});

    let github = target("github", "https://github.com/org/repo.git");
    let seen = exchange(github.clone(), of_commit("error"), vec![fine(json!([]))]).await;
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    let list = format!("GET api.github.com/repos/org/repo/commits/{COMMIT}/statuses?per_page=50");
    assert_eq!(lines, [list.clone(), format!("POST api.github.com/repos/org/repo/statuses/{COMMIT}")]);
    assert_eq!((seen[1].header("authorization"), seen[1].json()), ("Bearer s3cr3t", body.clone()));
    let seen = exchange(github, of_commit("error"), vec![fine(same("failure", "context"))]).await;
    assert_eq!(seen.len(), 1, "it stands there already");

    let enterprise = target("github", "ssh://git@ghe.test/org/repo");
    let seen = exchange(enterprise, of_commit("info"), vec![fine(json!([]))]).await;
    assert_eq!(
        (seen[1].line(), &seen[1].json()["state"]),
        (format!("POST ghe.test/api/v3/repos/org/repo/statuses/{COMMIT}"), &json!("success"))
    );

    let gitlab = target("gitlab", "https://gitlab.com/group/sub/repo");
    let seen = exchange(gitlab.clone(), of_commit("error"), vec![fine(json!([]))]).await;
    assert_eq!(
        seen[0].line(),
        format!(
            "GET gitlab.com/api/v4/projects/group%2Fsub%2Frepo/repository/commits/{COMMIT}/statuses?name=kustomization%2Fwebapp%2F7c4d1f00"
        )
    );
    assert_eq!(
        seen[1].line(),
        format!("POST gitlab.com/api/v4/projects/group%2Fsub%2Frepo/statuses/{COMMIT}")
    );
    assert_eq!((seen[1].header("private-token"), &seen[1].json()["state"]), ("s3cr3t", &json!("failed")));
    let seen = exchange(gitlab, of_commit("error"), vec![fine(same("failed", "name"))]).await;
    assert_eq!(seen.len(), 1);

    let gitea = target("gitea", "https://gitea.test/org/repo");
    let seen = exchange(gitea, of_commit("error"), vec![fine(json!([]))]).await;
    assert_eq!(seen[1].line(), format!("POST gitea.test/api/v1/repos/org/repo/statuses/{COMMIT}"));
    assert_eq!((seen[1].header("authorization"), seen[1].json()), ("token s3cr3t", body));

    let mut bitbucket = target("bitbucket", "https://bitbucket.org/org/repo");
    bitbucket.credentials.token = Some("user:app".into());
    let seen = exchange(bitbucket, of_commit("info"), vec![(404, None, "{}".into())]).await;
    let base = format!("api.bitbucket.org/2.0/repositories/org/repo/commit/{COMMIT}/statuses/build");
    let key = "4e7ed7fb2e51cb36dd2f4ed35b2a1b5ddae0d4ba";
    assert!(
        seen[0].line().starts_with(&format!("GET {base}/"))
            && seen[0].line().len() == base.len() + 5 + key.len()
    );
    assert_eq!(
        (seen[1].line(), seen[1].header("authorization")),
        (format!("POST {base}"), format!("Basic {}", STANDARD.encode("user:app")).as_str())
    );
    assert_eq!(
        (&seen[1].json()["state"], &seen[1].json()["url"]),
        (&json!("SUCCESSFUL"), &json!("https://bitbucket.org"))
    );

    let server = target("bitbucketserver", "https://bb.test/ctx/scm/PRJ/repo.git");
    let seen = exchange(server, of_commit("error"), vec![(404, None, "{}".into())]).await;
    let builds = format!("bb.test/ctx/rest/api/latest/projects/PRJ/repos/repo/commits/{COMMIT}/builds");
    assert!(seen[0].line().starts_with(&format!("GET {builds}?key=")));
    assert_eq!(
        (seen[1].line(), seen[1].header("authorization"), seen[1].header("x-atlassian-token")),
        (format!("POST {builds}"), "Bearer s3cr3t", "no-check")
    );
    assert_eq!(
        (&seen[1].json()["state"], &seen[1].json()["name"]),
        (&json!("FAILED"), &json!("kustomization/webapp [reconciliation succeeded]"))
    );

    let azure = target("azuredevops", "https://dev.azure.com/org/project/_git/repo");
    let seen = exchange(azure, of_commit("error"), vec![fine(json!({"value": []}))]).await;
    let statuses = format!("dev.azure.com/org/project/_apis/git/repositories/repo/commits/{COMMIT}/statuses");
    assert!(seen[1].line().starts_with(&format!("POST {statuses}")), "{}", seen[1].line());
    assert_eq!(seen[1].header("authorization"), format!("Basic {}", STANDARD.encode(":s3cr3t")));
    assert_eq!(
        seen[1].json()["context"],
        json!({"name": "kustomization/webapp/7c4d1f00", "genre": "fluxcd"})
    );
}

#[tokio::test]
async fn comments_are_made_once_and_then_changed() {
    let marker = "<!-- flux-pr-comment-key:7c4d1f00-aaaa-bbbb-cccc-000000000000/Kustomization/gitops-system/webapp -->";
    for (type_, address, api, scheme) in [
        (
            "githubpullrequestcomment",
            "https://github.com/org/repo",
            "api.github.com/repos/org/repo",
            "Bearer",
        ),
        (
            "giteapullrequestcomment",
            "https://gitea.test/org/repo",
            "gitea.test/api/v1/repos/org/repo",
            "token",
        ),
    ] {
        let (user, target) = (fine(json!({"login": "bot"})), target(type_, address));
        let seen = exchange(
            target.clone(),
            of_commit("error"),
            vec![user.clone(), fine(json!([{"id": 1, "user": {"login": "eve"}, "body": marker}]))],
        )
        .await;
        assert_eq!(
            seen[2].line(),
            format!("POST {api}/issues/7/comments"),
            "the marker of another user is not ours"
        );
        assert_eq!(seen[2].header("authorization"), format!("{scheme} s3cr3t"));
        let body = seen[2].json()["body"].as_str().unwrap().to_owned();
        assert!(body.starts_with(&format!("{marker}\n\n## Flux Status\n\n⚠️ Kustomization/gitops-system/webapp\n\n{MESSAGE}\n\nMetadata:\n* `revision`: main@sha1:")), "{body}");
        assert!(!body.contains("change_request"), "{body}");
        let seen = exchange(
            target,
            of_commit("error"),
            vec![user, fine(json!([{"id": 5, "user": {"login": "bot"}, "body": marker}]))],
        )
        .await;
        assert_eq!(seen[2].line(), format!("PATCH {api}/issues/comments/5"));
    }
    let gitlab = target("gitlabmergerequestcomment", "https://gitlab.com/org/repo");
    let marker = marker.replace("flux-pr", "flux-mr");
    let answers = vec![
        fine(json!({"username": "bot"})),
        fine(json!([{"id": 5, "author": {"username": "bot"}, "body": marker}])),
    ];
    let seen = exchange(gitlab, of_commit("info"), answers).await;
    let notes = "gitlab.com/api/v4/projects/org%2Frepo/merge_requests/7/notes";
    assert_eq!(seen[1].line(), format!("GET {notes}?per_page=100&sort=asc&order_by=created_at"));
    assert_eq!((seen[2].line(), seen[2].header("private-token")), (format!("PUT {notes}/5"), "s3cr3t"));
}

#[tokio::test]
async fn a_github_app_gets_a_token_of_its_installation_once() {
    let answers = vec![
        (500, None, String::new()),
        fine(json!({"id": 99})),
        fine(json!({"token": "ghs_1", "expires_at": "2999-01-01T00:00:00Z"})),
    ];
    let server = Server::start(answers, false).await;
    let (pem, base) = (crate::jose::tests::rsa_pem(), format!("http://{}", server.address));
    let data = [
        ("githubAppID", "123"),
        ("githubAppInstallationOwner", "org"),
        ("githubAppPrivateKey", pem.as_str()),
        ("githubAppBaseURL", base.as_str()),
    ];
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let credentials = Credentials::read(&data).unwrap();
    let mut dispatch = target("githubdispatch", "https://github.com/org/repo");
    (dispatch.credentials, dispatch.via) = (credentials, Some(server.address));
    deliver(&dispatch, failure()).await.unwrap();
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    let api = format!("{}/api/v3", server.address);
    let found = format!("GET {api}/orgs/org/installation");
    assert_eq!(
        lines,
        [
            found.clone(),
            found,
            format!("POST {api}/app/installations/99/access_tokens"),
            "POST api.github.com/repos/org/repo/dispatches".to_owned()
        ]
    );
    let jwt = seen[1].header("authorization").strip_prefix("Bearer ").unwrap();
    assert_eq!(crate::jose::Token::parse(jwt).unwrap().claims["iss"], "123");
    assert_eq!(seen[3].header("authorization"), "Bearer ghs_1");
    assert_eq!(seen[3].json()["event_type"], "Kustomization/webapp.gitops-system");
    deliver(&dispatch, failure()).await.unwrap();
    assert_eq!(server.seen().len(), 5, "the token is good for an hour");
    // An App's server may be out of bounds, too.
    dispatch.policy = AddressPolicy::new("deny-provider-hosts", vec!["127.0.0.0/8".parse().unwrap()], vec![]);
    assert!(deliver(&dispatch, failure()).await.is_err());
    assert_eq!(server.seen().len(), 5);
    let both = Credentials::read(
        &[("githubAppID", "1"), ("githubAppPrivateKey", "x")].map(|(k, v)| (k.to_owned(), v.into())).into(),
    );
    assert!(both.unwrap_err().contains("githubAppInstallationID"));
}
