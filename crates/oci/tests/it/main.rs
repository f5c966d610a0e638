//! The client against the distribution registry, and against servers that lie.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on may panic")]

mod registry;

use sluice_oci::{
    Client, ClientOptions, Credentials, Descriptor, Error, MANIFEST_MEDIA_TYPE, Manifest, Reference, Upload,
};

use registry::{Liar, Registry};

const LAYER: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

fn client(reference: &Reference, credentials: Credentials) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ClientOptions { credentials, ..ClientOptions::default() };
    Client::new(&reference.registry, options).unwrap()
}

async fn push(client: &Client, reference: &Reference, content: &[u8]) -> String {
    let repository = &reference.repository;
    let config = Upload::Bytes(b"{}".to_vec());
    let config =
        client.push_blob(repository, "application/vnd.cncf.flux.config.v1+json", &config).await.unwrap();
    let layer = client.push_blob(repository, LAYER, &Upload::Bytes(content.to_vec())).await.unwrap();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
        config,
        layers: vec![layer],
        annotations: [("org.opencontainers.image.revision".to_owned(), "main@sha1:1".to_owned())].into(),
        ..Manifest::default()
    };
    client.push_manifest(reference, &manifest).await.unwrap()
}

async fn pull(client: &Client, repository: &str, layer: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    client.blob(repository, layer, &mut content).await.map(|()| content)
}

#[tokio::test]
async fn what_is_pushed_is_listed_resolved_and_pulled() {
    let registry = Registry::start(None).await;
    let reference = registry.reference("org/app:v1.0.0");
    let client = client(&reference, Credentials::Anonymous);
    let content = vec![7_u8; 300_000];
    let digest = push(&client, &reference, &content).await;

    assert_eq!(client.digest(&reference).await.unwrap(), digest);
    let (resolved, manifest) = client.manifest(&reference).await.unwrap();
    assert_eq!(resolved, digest);
    assert_eq!(manifest.annotations["org.opencontainers.image.revision"], "main@sha1:1");
    assert_eq!(pull(&client, "org/app", &manifest.layers[0]).await.unwrap(), content);
    let by_digest = client.manifest(&reference.with_digest(&digest)).await.unwrap();
    assert_eq!(by_digest.1, manifest);

    for n in 0..5 {
        push(&client, &reference.with_tag(&format!("v1.{n}.0")), b"x").await;
    }
    let mut tags = client.tags("org/app").await.unwrap();
    tags.sort();
    assert_eq!(tags, ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0"]);
    assert!(client.referrers("org/app", &digest).await.unwrap().is_empty());
}

#[tokio::test]
async fn unknown_names_are_told_in_the_registry_s_words() {
    let registry = Registry::start(None).await;
    let reference = registry.reference("org/none:v1");
    let error = client(&reference, Credentials::Anonymous).manifest(&reference).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("MANIFEST_UNKNOWN"), "{error}");
}

#[tokio::test]
async fn credentials_are_sent_only_as_the_registry_asks() {
    let registry = Registry::start(Some(("user", "s3cr3t"))).await;
    let reference = registry.reference("org/app:v1");
    let error = client(&reference, Credentials::Anonymous).digest(&reference).await.unwrap_err();
    assert_eq!(error.status(), Some(401), "{error}");
    let wrong = Credentials::Basic { username: "user".to_owned(), password: "wr0ng".to_owned() };
    let error = client(&reference, wrong).manifest(&reference).await.unwrap_err();
    assert!(error.status() == Some(401) && !error.to_string().contains("wr0ng"), "{error}");
    let right = Credentials::Basic { username: "user".to_owned(), password: "s3cr3t".to_owned() };
    let client = client(&reference, right);
    let digest = push(&client, &reference, b"content").await;
    assert_eq!(client.digest(&reference).await.unwrap(), digest);
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    let content = b"what the manifest promises".to_vec();
    let promised = Descriptor {
        media_type: LAYER.to_owned(),
        digest: sluice_oci::digest(&content),
        size: content.len() as u64,
        ..Descriptor::default()
    };
    for (sent, problem) in [
        (b"something else of any length".to_vec(), "sends more than"),
        (content[..5].to_vec(), "sent 5 bytes instead of"),
        (b"What the manifest promises".to_vec(), "what the registry sent has sha256:"),
    ] {
        let liar = Liar::start(sent).await;
        let reference = liar.reference("org/app:v1");
        let client = client(&reference, Credentials::Anonymous);
        let error = pull(&client, "org/app", &promised).await.unwrap_err();
        assert!(matches!(error, Error::Content { .. }) && error.to_string().contains(problem), "{error}");
    }
    let liar =
        Liar::start(br#"{"schemaVersion":2,"config":{"mediaType":"","digest":"","size":0}}"#.to_vec()).await;
    let reference = liar.reference(&format!("org/app@{}", promised.digest));
    let error = client(&reference, Credentials::Anonymous).manifest(&reference).await.unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error}");
}

#[tokio::test]
async fn tags_without_end_are_refused() {
    let page = format!("{{\"tags\":[\"{}\"]}}", "x".repeat(30 << 20)).into_bytes();
    let liar = Liar::start_with("link: </v2/org/app/tags/list?n=1000>; rel=\"next\"\r\n", page).await;
    let reference = liar.reference("org/app:v1");
    let error = client(&reference, Credentials::Anonymous).tags("org/app").await.unwrap_err();
    assert!(error.to_string().contains("bytes of them"), "{error}");
}

#[tokio::test]
async fn an_unreachable_registry_is_named() {
    let reference = Reference::parse("127.0.0.1:1/org/app:v1").unwrap();
    let error = client(&reference, Credentials::Anonymous).digest(&reference).await.unwrap_err();
    assert!(error.to_string().starts_with("GET https://127.0.0.1:1/v2/: "), "{error}");
}
