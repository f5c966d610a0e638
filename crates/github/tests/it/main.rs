//! Against a stand-in on loopback that checks the App's signature as GitHub's published API asks for it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use sluice_github::{App, Error, Tokens};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Making one takes a while.
static KEY: LazyLock<rsa::RsaPrivateKey> =
    LazyLock::new(|| rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap());

/// GitHub, as far as Apps see it.
struct GitHub {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    key: rsa::RsaPrivateKey,
}

impl GitHub {
    /// Tokens are good for `life` seconds.
    async fn start(life: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = KEY.clone();
        let public = (key.n().to_bytes_be(), key.e().to_bytes_be());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut buffer = vec![0; 16 * 1024];
                let mut length = 0;
                while !buffer[..length].windows(4).any(|window| window == b"\r\n\r\n") {
                    length += socket.read(&mut buffer[length..]).await.unwrap();
                }
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let line = request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
                log.lock().unwrap().push(line.clone());
                let number = log.lock().unwrap().len();
                let (status, body) = answer(&line, &request, &public, life, number);
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        GitHub { url, seen, key }
    }

    fn app(&self, more: &[(&str, &str)]) -> App {
        let key = self.key.to_pkcs1_pem(rsa::pkcs8::LineEnding::LF).unwrap().to_string();
        self.app_with(&key, more)
    }

    fn app_with(&self, key: &str, more: &[(&str, &str)]) -> App {
        let mut entries = vec![("githubAppID", "42"), ("githubAppBaseURL", self.url.as_str())];
        entries.push(("githubAppPrivateKey", key));
        entries.extend(more);
        App::read(|key| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_bytes()))
            .unwrap()
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn answer(
    line: &str,
    request: &str,
    public: &(Vec<u8>, Vec<u8>),
    life: i64,
    number: usize,
) -> (&'static str, Value) {
    if let Err(problem) = check(request, public) {
        return ("401 Unauthorized", json!({"message": problem}));
    }
    match line {
        "GET /api/v3/app" => ("200 OK", json!({"id": 42, "slug": "robot"})),
        "GET /api/v3/orgs/acme/installation" => ("200 OK", json!({"id": 7})),
        "GET /api/v3/users/jane/installation" => ("200 OK", json!({"id": 8})),
        "POST /api/v3/app/installations/7/access_tokens"
        | "POST /api/v3/app/installations/8/access_tokens" => {
            let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(life);
            ("201 Created", json!({"token": format!("ghs_{number}"), "expires_at": end.to_string()}))
        }
        "POST /api/v3/app/installations/9/access_tokens" => {
            ("403 Forbidden", json!({"message": "This installation has been suspended"}))
        }
        "POST /api/v3/app/installations/10/access_tokens" => ("200 OK", json!({"other": 1})),
        _ => ("404 Not Found", json!({"message": "Not Found"})),
    }
}

/// What GitHub's documentation asks of the statement.
fn check(request: &str, (n, e): &(Vec<u8>, Vec<u8>)) -> Result<(), &'static str> {
    let header = |name: &str| {
        request.lines().find_map(|line| {
            line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
        })
    };
    if header("accept") != Some("application/vnd.github+json") {
        return Err("no Accept");
    }
    let token = header("authorization").and_then(|value| value.strip_prefix("Bearer ")).ok_or("no token")?;
    let (signed, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "no base64")?;
    RsaPublicKeyComponents { n, e }
        .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
        .map_err(|_| "A JSON web token could not be decoded")?;
    let part =
        |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    let (head, claims) = signed.split_once('.').ok_or("no claims")?;
    let (head, claims) = (part(head), part(claims));
    let now = jiff::Timestamp::now().as_second();
    let (issued, end) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    let good =
        head["alg"] == "RS256" && claims["iss"] == "42" && issued <= now && end > now && end <= now + 600;
    if good { Ok(()) } else { Err("'Expiration time' claim ('exp') is too far in the future") }
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn an_app_tells_its_name() {
    let github = GitHub::start(3600).await;
    let app = github.app(&[("githubAppInstallationID", "7")]);
    assert_eq!(app.slug(&client()).await.unwrap(), "robot");
    assert_eq!(github.take(), ["GET /api/v3/app"]);
}

#[tokio::test]
async fn an_installation_gives_a_token_by_its_number_or_its_owner() {
    let (github, http) = (GitHub::start(3600).await, client());
    let token = github.app(&[("githubAppInstallationID", "7")]).token(&http).await.unwrap();
    assert!(token.value == "ghs_1" && token.life > Duration::from_mins(59), "{token:?}");
    assert_eq!(github.take(), ["POST /api/v3/app/installations/7/access_tokens"]);
    github.app(&[("githubAppInstallationOwner", "acme")]).token(&http).await.unwrap();
    assert_eq!(
        github.take(),
        ["GET /api/v3/orgs/acme/installation", "POST /api/v3/app/installations/7/access_tokens"]
    );
    github.app(&[("githubAppInstallationOwner", "jane")]).token(&http).await.unwrap();
    assert_eq!(
        github.take(),
        [
            "GET /api/v3/orgs/jane/installation",
            "GET /api/v3/users/jane/installation",
            "POST /api/v3/app/installations/8/access_tokens"
        ]
    );
    // The newer form of the key.
    let pkcs8 = github.key.to_pkcs8_pem(rsa::pkcs8::LineEnding::LF).unwrap().to_string();
    github.app_with(&pkcs8, &[("githubAppInstallationID", "7")]).token(&http).await.unwrap();
    // An owner that would lead elsewhere is a name like any other.
    let error = github.app(&[("githubAppInstallationOwner", "../../app")]).token(&http).await.unwrap_err();
    assert!(matches!(error, Error::NotInstalled(_)), "{error}");
    assert!(github.take().iter().all(|line| !line.contains("/../")));
}

#[tokio::test]
async fn refusals_are_told_in_githubs_words_and_without_keys() {
    let (github, http) = (GitHub::start(3600).await, client());
    let error = github.app(&[("githubAppInstallationID", "9")]).token(&http).await.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "/app/installations/9/access_tokens: 403 Forbidden: This installation has been suspended"
        ),
        "{error}"
    );
    let error = github.app(&[("githubAppInstallationID", "10")]).token(&http).await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
    let other = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let key = other.to_pkcs1_pem(rsa::pkcs8::LineEnding::LF).unwrap().to_string();
    let error = github
        .app_with(&key, &[("githubAppInstallationID", "7")])
        .token(&http)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("401 Unauthorized: A JSON web token could not be decoded"), "{error}");
    for garbage in ["s3cret", "-----BEGIN RSA PRIVATE KEY-----\nczNjcmV0\n-----END RSA PRIVATE KEY-----\n"] {
        let app = github.app_with(garbage, &[("githubAppInstallationID", "7")]);
        let error = app.token(&http).await.unwrap_err();
        let text = format!("{error} {error:?} {app:?}");
        assert!(
            text.contains("key 'githubAppPrivateKey'") && !text.contains("s3cret") && !text.contains("czNj"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn tokens_are_kept_while_they_are_good_and_until_they_are_refused() {
    let (github, http) = (GitHub::start(3600).await, client());
    let app = github.app(&[("githubAppInstallationID", "7")]);
    let tokens = Tokens::new(2, Duration::from_hours(1));
    let (one, two) = tokio::join!(tokens.get(&app, &http), tokens.get(&app, &http));
    assert!(one.unwrap() == two.unwrap() && github.take().len() == 1);
    tokens.forget(&app);
    tokens.get(&app, &http).await.unwrap();
    assert_eq!(github.take().len(), 1);
    // Others take its place when it is the one that was not used for longest.
    for owner in ["acme", "jane"] {
        tokens.get(&github.app(&[("githubAppInstallationOwner", owner)]), &http).await.unwrap();
    }
    github.take();
    tokens.get(&app, &http).await.unwrap();
    assert_eq!(github.take().len(), 1);
    let none = Tokens::new(0, Duration::from_hours(1));
    let short = GitHub::start(0).await;
    let ending = Tokens::new(2, Duration::from_hours(1));
    for _ in 0..2 {
        none.get(&app, &http).await.unwrap();
        ending.get(&short.app(&[("githubAppInstallationID", "7")]), &http).await.unwrap();
    }
    assert_eq!((github.take().len(), short.take().len()), (2, 2));
}
