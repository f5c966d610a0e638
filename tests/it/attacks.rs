//! What somebody tries who is not let in: a store that leads elsewhere, strangers at the doors of the controllers.

use crate::gitops::{SOURCE, is_ready, message};
use crate::notification::{RECEIVERS, http, post, reached};
use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::json;
use sluice_tests::{Controller, Sink, condition, wait};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn controller(setting: &Setting, name: &'static str, variables: &[(&str, &str)]) -> Result<Controller> {
    let plane = setting.plane;
    let mut builder = tokio::task::spawn_blocking(move || Controller::builder(plane, name)).await??;
    for (name, value) in variables {
        builder = builder.variable(name, *value);
    }
    builder.namespace(&setting.namespace).start().await
}

/// A server that lists one object of a bucket, and says of it, or of the list, that it is elsewhere.
async fn store_that_leads_to(elsewhere: String, list: bool) -> Result<(SocketAddr, impl Drop)> {
    struct Ends(tokio::task::JoinHandle<()>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = Router::new().fallback(async move |request: Request| -> Response {
        if request.uri().path() != "/app/" || list {
            return Redirect::temporary(&elsewhere).into_response();
        }
        let list = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>stolen.yaml</Key>\
                    <ETag>\"0\"</ETag><Size>5</Size></Contents></ListBucketResult>";
        list.into_response()
    });
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, routes).await;
    });
    Ok((address, Ends(task)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_s_server_leads_nowhere_else() -> Result<()> {
    let setting = Setting::new("attack-bucket").await?;
    let source = controller(&setting, "source-controller", &[]).await?;
    // What only the controller can reach.
    let inside = Sink::start().await?;
    for (name, list) in [("object", false), ("list", true)] {
        let (address, _server) = store_that_leads_to(inside.url("/secrets"), list).await?;
        let bucket = json!({
            "apiVersion": SOURCE, "kind": "Bucket", "metadata": {"name": name},
            "spec": {"interval": "1h", "bucketName": "app", "endpoint": address.to_string(), "insecure": true, "timeout": "20s"},
        });
        setting.apply(&bucket.to_string()).await?;
        let api = setting.api(SOURCE, "Bucket").await?;
        let failed =
            wait::until(&api, name, "refused", |object| condition(object, "Ready") == Some("False")).await;
        let failed = failed.map_err(|error| error.context(source.log_tail()))?;
        ensure!(message(&failed).contains("307"), "{}", message(&failed));
        ensure!(failed.data["status"]["artifact"].is_null(), "{}", failed.data["status"]);
    }
    ensure!(inside.deliveries().is_empty(), "{:?}", inside.deliveries());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_the_controller_is_at_a_cloud_is_shown_to_no_host_of_a_tenant() -> Result<()> {
    let setting = Setting::new("attack-identity").await?;
    let listens = Sink::start().await?;
    let token = tempfile::NamedTempFile::new()?;
    std::fs::write(token.path(), "the-token-of-the-controller")?;
    let token = token.path().to_str().context("a path")?;
    let identity = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/controller"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_FEDERATED_TOKEN_FILE", token),
        // Microsoft as the controller knows it: it would be asked for a token for the tenant's host.
        ("AZURE_AUTHORITY_HOST", &listens.url("/authority")),
    ];
    let source = controller(&setting, "source-controller", &identity).await?;
    for (name, data) in [("proxy", json!({"address": listens.url("")})), ("ca", json!({"ca.crt": "any"}))] {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        setting.apply(&secret.to_string()).await?;
    }
    let attempts = [
        (
            "Bucket",
            "token-service",
            json!({"provider": "aws", "bucketName": "app", "endpoint": "s3.amazonaws.com",
                   "sts": {"provider": "aws", "endpoint": listens.url("/sts")}}),
            "is no token service of Amazon's",
        ),
        (
            "Bucket",
            "blobs",
            json!({"provider": "azure", "bucketName": "app", "endpoint": listens.url("/blobs")}),
            "is no host of Azure Blob Storage",
        ),
        (
            "OCIRepository",
            "middleman",
            json!({"provider": "aws", "url": "oci://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
                   "proxySecretRef": {"name": "proxy"}, "certSecretRef": {"name": "ca"}}),
            "a proxy of its own",
        ),
        (
            "OCIRepository",
            "insecure",
            json!({"provider": "aws", "url": "oci://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
                   "proxySecretRef": {"name": "proxy"}, "insecure": true}),
            "a proxy of its own",
        ),
        (
            "GitRepository",
            "middleman",
            json!({"provider": "azure", "url": "https://dev.azure.com/org/project/_git/repo",
                   "proxySecretRef": {"name": "proxy"}, "secretRef": {"name": "ca"}}),
            "a proxy of its own",
        ),
    ];
    for (kind, name, mut spec, words) in attempts {
        spec["interval"] = json!("1h");
        let object = json!({"apiVersion": SOURCE, "kind": kind, "metadata": {"name": name}, "spec": spec});
        setting.apply(&object.to_string()).await?;
        let failed = wait::until(&setting.api(SOURCE, kind).await?, name, "refused", |object| {
            condition(object, "Ready") == Some("False")
        })
        .await;
        let failed = failed.map_err(|error| error.context(source.log_tail()))?;
        ensure!(message(&failed).contains(words), "{kind} {name}: {}", message(&failed));
    }
    ensure!(listens.deliveries().is_empty(), "{:?}", listens.deliveries());
    Ok(())
}

/// Sends bytes as they are, and returns the first line of the answer; nothing where the connection was closed.
async fn raw(address: &str, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // It may be closed before all is sent.
    let _ = stream.write_all(request).await;
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read(&mut answer)).await?.unwrap_or(0);
    let line = String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned();
    Ok(line)
}

fn host_of(url: &str) -> &str {
    url.trim_start_matches("http://").split('/').next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_read_no_file_and_send_no_endless_heads() -> Result<()> {
    let setting = Setting::new("attack-files").await?;
    let source = controller(&setting, "source-controller", &[]).await?;
    let address = source.artifacts();
    let beside = source.storage().parent().context("the storage has a folder")?.join("beside");
    std::fs::write(&beside, "beside")?;
    for path in [
        "/../beside",
        "/%2e%2e/beside",
        "/..%2fbeside",
        "/%2e%2e%2fbeside",
        "//../beside",
        "/./../beside",
        "/gitrepository/../../beside",
        "/..%5cbeside",
        "/%00/../beside",
        "/..;/beside",
        "/%c0%ae%c0%ae/beside",
        "/%252e%252e/beside",
        "http://x/../beside",
        "/proc/self/environ",
        "//etc/passwd",
        "/etc/passwd",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = raw(&address, request.as_bytes()).await?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        ensure!(matches!(status, "404" | "400"), "{path}: {answer}");
    }
    // One that is silent in the middle of its request, beside all the others.
    let mut silent = TcpStream::connect(&address).await?;
    silent.write_all(b"GET / HTTP/1.1\r\nx: ").await?;
    let head = |line: &str| format!("GET / HTTP/1.1\r\nhost: x\r\n{line}\r\n");
    let long = "a".repeat(1 << 20);
    let many = "x: y\r\n".repeat(2000);
    for request in [
        head(&format!("x: {long}\r\n")),
        head(&many),
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        head("content-length: 5\r\ncontent-length: 6\r\n"),
        head("content-length: -1\r\n"),
        head("transfer-encoding: chunked, identity\r\ncontent-length: 5\r\n"),
        "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(),
    ] {
        let answer = raw(&address, request.as_bytes()).await?;
        let refused = ["HTTP/1.1 400", "HTTP/1.1 414", "HTTP/1.1 431"];
        // Or it is just closed.
        let good = answer.is_empty() || refused.iter().any(|start| answer.starts_with(start));
        ensure!(good, "{request:.60}: {answer}");
    }
    ensure!(raw(&address, head("").as_bytes()).await?.starts_with("HTTP/1.1 200"), "it serves no longer");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_at_the_webhooks_are_turned_away_before_they_are_listened_to() -> Result<()> {
    let setting = Setting::new("attack-hooks").await?;
    let notification = controller(&setting, "notification-controller", &[]).await?;
    let hooks = notification.webhooks();
    let address = host_of(&hooks).to_owned();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"token": "token"}});
    setting.apply(&secret.to_string()).await?;
    let receiver = json!({
        "apiVersion": RECEIVERS, "kind": "Receiver", "metadata": {"name": "hook"},
        "spec": {"type": "generic-hmac", "secretRef": {"name": "hook"}, "resources": [
            {"kind": "GitRepository", "name": "app"},
        ]},
    });
    setting.apply(&receiver.to_string()).await?;
    let ready = wait::until(&setting.api(RECEIVERS, "Receiver").await?, "hook", "ready", is_ready).await?;
    let path = ready.data["status"]["webhookPath"].as_str().context("no path")?.to_owned();
    let url = format!("{hooks}{path}");
    reached(&url).await.map_err(|error| error.context(notification.log_tail()))?;

    // Who knows no path is answered before a byte of the body is there.
    for path in ["/hook/0000", "/hook/", "/", "/hook/../metrics"] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n");
        let answer = raw(&address, request.as_bytes()).await?;
        ensure!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let large = http().post(&url).body(vec![b' '; 4 << 20]).send().await;
    // The connection may be closed while the body is still being sent.
    ensure!(large.is_err() || large.is_ok_and(|answer| answer.status() == 413), "four mebibytes are taken");
    let whole = "sha256=5c5a2df4b6f35ed1e0e03c1a2ae6a2d1a9d7f2f5d2c5a7c2d6b1b6b5b4a3f2e1";
    for signature in [
        "",
        "=",
        "sha256",
        "sha256=",
        "sha256=5",
        "sha256=zz",
        "sha256=\u{e9}\u{e9}",
        "sha256=5c",
        "sha1=",
        "sha512=",
        "md5=d41d8cd98f00b204e9800998ecf8427e",
        "none=",
        &whole[..whole.len() - 2],
        whole,
        &whole.repeat(500),
    ] {
        let answer = post(&url, &[("x-signature", signature)], "{}").await?;
        ensure!(answer == 400, "{signature:.80}: {answer}");
    }
    Ok(())
}
