//! Against hosts on loopback that answer as the published APIs do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod host;

use http::StatusCode;
use serde_json::json;
use sluice_forge::{Api, Done, Error, Kind, Login, Place, PullRequest};

use host::{Hosts, TOKEN};

const KINDS: [(Kind, &str); 6] = [
    (Kind::GitHub, "org/github"),
    (Kind::GitLab, "org/gitlab"),
    (Kind::Gitea, "org/gitea"),
    (Kind::Bitbucket, "org/bitbucket"),
    (Kind::BitbucketServer, "scm/prj/app"),
    (Kind::AzureDevOps, "org/prj/_git/app"),
];

struct Running {
    hosts: Hosts,
    address: String,
}

impl Running {
    async fn start() -> Self {
        // The second of two is told that there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let hosts = Hosts::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = hosts.routes();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { hosts, address }
    }

    fn place(&self, kind: Kind, path: &str) -> Place {
        Place::of(&format!("{}/{path}.git", self.address), Some(kind)).unwrap()
    }

    fn api(place: &Place, password: &str) -> Api {
        let login = Login::Basic { username: "robot".to_owned(), password: password.to_owned() };
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Api::new(place.kind, &place.address, login, client)
    }
}

fn wanted(lines: &[String]) -> PullRequest<'_> {
    PullRequest {
        source: "updates/all",
        target: "main",
        title: "Update images",
        owner: "apps/auto",
        head: "These images are updated:",
        lines,
    }
}

#[tokio::test]
async fn one_pull_request_is_opened_and_kept_up_to_date_at_each_host() {
    let running = Running::start().await;
    for (kind, path) in KINDS {
        let (place, name) = (running.place(kind, path), kind.to_string());
        let api = Running::api(&place, TOKEN);
        let lines = |count: usize| -> Vec<String> {
            (0..count)
                .map(|number| format!("- `deploy/{number}.yaml`: `app:1.0` → `app:1.{number}`"))
                .collect()
        };
        let ensure = async |count: usize, open: bool| {
            let lines = lines(count);
            wanted(&lines).ensure(&api, &place, open).await.unwrap_or_else(|error| panic!("{kind}: {error}"))
        };
        assert_eq!(ensure(1, false).await, None, "{kind}");
        let opened = ensure(20, true).await.unwrap();
        assert_eq!(opened.done, Done::Opened, "{kind}");
        assert!(opened.url.starts_with("https://host.test/"), "{kind}: {}", opened.url);
        assert_eq!(running.hosts.writes().len(), 1, "{kind}");

        let again = ensure(20, true).await.unwrap();
        assert_eq!((again.done, &again.url), (Done::Unchanged, &opened.url), "{kind}");
        assert_eq!(running.hosts.writes(), Vec::<String>::new(), "{kind}");

        // What people wrote stays, and so do line ends of their host.
        running.hosts.edit(|pull| {
            pull.title = "Please merge".to_owned();
            pull.text = format!("Looks good.\r\n\r\n{}", pull.text.replace('\n', "\r\n"));
        });
        let updated = ensure(21, true).await.unwrap();
        assert_eq!((updated.done, &updated.url), (Done::Updated, &opened.url), "{kind}");
        let pulls = running.hosts.pulls(&name);
        let [pull] = pulls.as_slice() else { panic!("{kind}: {} pull requests", pulls.len()) };
        assert_eq!((pull.source.as_str(), pull.target.as_str()), ("updates/all", "main"), "{kind}");
        assert_eq!(pull.title, "Please merge", "{kind}");
        assert!(
            pull.text.starts_with("Looks good.\n\n[//]: # (sluice apps/auto)\n\nThese"),
            "{kind}: {}",
            pull.text
        );
        assert_eq!(pull.text.matches("- `deploy/").count(), 21, "{kind}: {}", pull.text);

        // One that people closed is not opened again behind their backs.
        running.hosts.edit(|pull| pull.open = false);
        assert_eq!(ensure(22, false).await, None, "{kind}");
        running.hosts.writes();
    }
}

#[tokio::test]
async fn refusals_are_told_in_the_host_s_words_without_the_token() {
    let running = Running::start().await;
    for (kind, path) in KINDS {
        let place = running.place(kind, path);
        let error = wanted(&[]).ensure(&Running::api(&place, "wr0ng"), &place, true).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the token is not accepted: GET http://127.0.0.1:"), "{kind}: {text}");
        assert!(
            text.ends_with("401 Unauthorized: Bad credentials") && !text.contains("wr0ng"),
            "{kind}: {text}"
        );

        let busy = (StatusCode::TOO_MANY_REQUESTS, json!({"message": "slow down"}));
        running.hosts.refuse(Some(busy));
        let error = wanted(&[]).ensure(&Running::api(&place, TOKEN), &place, true).await.unwrap_err();
        assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(7), "{kind}: {error}");
        let unrelated =
            (StatusCode::UNPROCESSABLE_ENTITY, json!({"message": "No commits between main and x"}));
        running.hosts.refuse(Some(unrelated));
        let error = wanted(&[]).ensure(&Running::api(&place, TOKEN), &place, true).await.unwrap_err();
        assert!(error.to_string().ends_with("No commits between main and x"), "{kind}: {error}");
        running.hosts.refuse(None);
        assert!(running.hosts.pulls(&kind.to_string()).is_empty());
    }
    let place = Place::of("http://127.0.0.1:9/org/app", Some(Kind::GitHub)).unwrap();
    let error = wanted(&[]).ensure(&Running::api(&place, TOKEN), &place, true).await.unwrap_err();
    assert!(matches!(&error, Error::Transport { .. }), "{error}");
}
