//! Buckets at a real S3 server, and at servers that are told what to answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

mod gateway;
mod script;

use std::time::Duration;

use rsa::pkcs8::EncodePrivateKey as _;

use gateway::{Gateway, SECRET, client, files};
use script::Script;
use sluice_artifact::Algorithm;
use sluice_bucket::{
    Azure, AzureCredentials, AzureLogin, Error, GCS_SCOPE, Gcs, Listing, Previous, S3, Store, fetch,
};
use sluice_cloud::{AwsLogin, AzureIdentity, GcpLogin, Ldap, ServiceAccountKey, Tokens};

fn names(listing: Listing) -> Vec<String> {
    listing.index(|_| false).keys().map(str::to_owned).collect()
}

#[tokio::test]
async fn only_what_changed_is_read_again() {
    let server = Gateway::start().await;
    for (key, content) in
        [("a.yaml", "a: 1"), ("dir/b%20c%2B.yaml", "b: 1"), ("gone.yaml", "x"), ("skip.txt", "x")]
    {
        server.put(key, content).await;
    }
    let store = server.store("app", SECRET);
    let ignored = |key: &str| key.ends_with(".txt");
    let first = tempfile::tempdir().unwrap();
    let mut index = store.list("").await.unwrap().index(ignored);
    assert_eq!(fetch(&store, &mut index, None, first.path()).await.unwrap(), 3);
    let pair = |name: &str, content: &str| (name.to_owned(), content.to_owned());
    let expected = [pair("a.yaml", "a: 1"), pair("dir/b c+.yaml", "b: 1"), pair("gone.yaml", "x")];
    assert_eq!(files(first.path()), expected);
    let revision = index.revision(Algorithm::Sha256);
    let again = store.list("").await.unwrap().index(ignored);
    assert_eq!(again.revision(Algorithm::Sha256), revision);

    server.put("a.yaml", "a: 2").await;
    server.put("new.yaml", "n: 1").await;
    server.delete("gone.yaml").await;
    let mut index = store.list("").await.unwrap().index(ignored);
    assert_ne!(index.revision(Algorithm::Sha256), revision);
    let previous = Previous { root: first.path().to_owned(), known: again.known() };
    let second = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&store, &mut index, Some(&previous), second.path()).await.unwrap(), 2);
    let expected = [pair("a.yaml", "a: 2"), pair("dir/b c+.yaml", "b: 1"), pair("new.yaml", "n: 1")];
    assert_eq!(files(second.path()), expected);

    // Between the listing and the reading one object changes and another goes.
    let mut index = store.list("").await.unwrap().index(ignored);
    server.put("a.yaml", "a: 3, longer").await;
    server.delete("new.yaml").await;
    let third = tempfile::tempdir().unwrap();
    fetch(&store, &mut index, None, third.path()).await.unwrap();
    assert_eq!(files(third.path()), [pair("a.yaml", "a: 3, longer"), pair("dir/b c+.yaml", "b: 1")]);
    let now = store.list("").await.unwrap().index(ignored);
    assert_eq!(index.revision(Algorithm::Sha256), now.revision(Algorithm::Sha256));
    assert_eq!(store.get("skip.txt", 10).await.unwrap().as_deref(), Some(b"x".as_slice()));
    assert!(store.get("none", 10).await.unwrap().is_none());
}

#[tokio::test]
async fn long_lists_come_in_pages_and_prefixes_are_kept_to() {
    let server = Gateway::start().await;
    for folder in ["one", "two"] {
        std::fs::create_dir(server.folder().join(folder)).unwrap();
        for n in 0..1100 {
            std::fs::write(server.folder().join(folder).join(format!("{n}.yaml")), "x").unwrap();
        }
    }
    let store = server.store("app", SECRET);
    assert_eq!(names(store.list("").await.unwrap()).len(), 2200);
    let two = names(store.list("two/").await.unwrap());
    assert!(two.len() == 1100 && two.iter().all(|name| name.starts_with("two/")));
}

#[tokio::test]
async fn refusals_are_told_in_the_server_s_words_and_without_secrets() {
    let server = Gateway::start().await;
    server.put("a.yaml", "a").await;
    let error = server.store("none", SECRET).list("").await.unwrap_err();
    assert!(matches!(&error, Error::NoBucket(name) if name == "none"), "{error}");
    let error = server.store("app", "wr0ng-wr0ng").list("").await.unwrap_err().to_string();
    assert!(error.contains("status 403: SignatureDoesNotMatch") && !error.contains("wr0ng"), "{error}");
    let anonymous = S3::new(client(), &server.address, true, "app", "", None).unwrap();
    let error = Store::S3(anonymous).list("").await.unwrap_err();
    assert!(matches!(error, Error::Cloud(sluice_cloud::Error::Status { status: 403, .. })), "{error}");
    let away = S3::new(client(), "127.0.0.1:1", true, "app", "", None).unwrap();
    let error = Store::S3(away).list("").await.unwrap_err().to_string();
    assert!(error.starts_with("GET http://127.0.0.1:1/app/: "), "{error}");
}

const PAGE: &str = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>KEY</Key><ETag>\"e\"</ETag>\
    <Size>4</Size></Contents></ListBucketResult>";

#[tokio::test]
async fn servers_that_lie_are_not_believed() {
    for (key, content, problem) in [
        ("a.yaml", "much more than four", "is larger than the 4 bytes"),
        ("a.yaml", "abc", "has 3 bytes where 4 were announced"),
        ("../a.yaml", "abcd", "its name is no path"),
        ("a/../../b", "abcd", "its name is no path"),
    ] {
        let server = Script::start(vec![(200, PAGE.replace("KEY", key)), (200, content.to_owned())]).await;
        let store = Store::S3(S3::new(client(), &server.address, true, "app", "", None).unwrap());
        let mut index = store.list("").await.unwrap().index(|_| false);
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(&store, &mut index, None, folder.path()).await.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    // A directory is in the way of a file.
    let two = PAGE.replace(
        "<Contents><Key>KEY",
        "<Contents><Key>a</Key><ETag>1</ETag><Size>4</Size></Contents><Contents><Key>a/b",
    );
    let server = Script::start(vec![(200, two), (200, "abcd".to_owned()), (200, "abcd".to_owned())]).await;
    let store = Store::S3(S3::new(client(), &server.address, true, "app", "", None).unwrap());
    let mut index = store.list("").await.unwrap().index(|_| false);
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&store, &mut index, None, folder.path()).await.unwrap_err();
    assert!(matches!(error, Error::Key(..)), "{error}");
}

#[tokio::test]
async fn another_region_is_taken_from_the_answer_and_overload_is_waited_out() {
    let elsewhere = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>";
    let server = Script::start(vec![
        (400, elsewhere.to_owned()),
        (503, "<Error><Code>SlowDown</Code></Error>".to_owned()),
        (200, PAGE.replace("KEY", "a.yaml")),
    ])
    .await;
    let keys = Some(Gateway::keys(SECRET));
    let store = Store::S3(S3::new(client(), &server.address, true, "app", "", keys).unwrap());
    assert_eq!(names(store.list("").await.unwrap()), ["a.yaml"]);
    let requests = server.requests();
    assert!(requests[0].contains("/us-east-1/s3/") && requests[2].contains("/eu-west-3/s3/"), "{requests:?}");
}

#[tokio::test]
async fn keys_come_from_a_directory_s_token_service_and_are_kept() {
    let answer = "<R xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithLDAPIdentityResult><Credentials>\
        <AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken>\
        <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithLDAPIdentityResult></R>";
    let refusal = "<ErrorResponse><Error><Code>InvalidLogin</Code><Message>no such user</Message></Error></ErrorResponse>";
    let server = Script::start(vec![(200, answer.to_owned()), (403, refusal.to_owned())]).await;
    let tokens = Tokens::new(10, Duration::from_hours(1));
    let login = |password: &str| {
        let endpoint = format!("http://{}", server.address);
        AwsLogin::Ldap(Ldap { endpoint, username: "user".to_owned(), password: password.to_owned() })
    };
    for _ in 0..2 {
        let keys = login("p&w").keys(&client(), &tokens).await.unwrap().unwrap();
        assert_eq!((keys.access_key.as_str(), keys.session_token.as_deref()), ("A", Some("T")));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].contains("Action=AssumeRoleWithLDAPIdentity")
            && requests[0].contains("LDAPPassword=p%26w")
    );
    let error = login("other").keys(&client(), &tokens).await.unwrap_err().to_string();
    assert!(error.contains("status 403: InvalidLogin: no such user") && !error.contains("other"), "{error}");
}

#[tokio::test]
async fn google_s_objects_are_read_by_generation() {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let key = key.to_pkcs8_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    let list = r#"{"items": [{"name": "d/a.yaml", "etag": "CJ1=", "generation": "11", "size": "4"}], "nextPageToken": "n"}"#;
    let rest = r#"{"items": [{"name": "b.yaml", "etag": "CJ2=", "generation": "12", "size": "4"}]}"#;
    let anew = r#"{"etag": "CJ3=", "generation": "13", "size": "2"}"#;
    let server = Script::start(vec![
        (200, r#"{"access_token": "t0ken", "expires_in": 3599}"#.to_owned()),
        (200, list.to_owned()),
        (200, rest.to_owned()),
        (404, "{}".to_owned()),
        (200, anew.to_owned()),
        (200, "b2".to_owned()),
    ])
    .await;
    let base = format!("http://{}", server.address);
    let key = serde_json::json!({"client_email": "a@b", "private_key": key.as_str(), "token_uri": base});
    let key = ServiceAccountKey::parse(key.to_string().as_bytes()).unwrap();
    let tokens = Tokens::new(10, Duration::from_hours(1));
    let token = GcpLogin::Key(key).token(&client(), &tokens, GCS_SCOPE).await.unwrap();
    let store = Store::Gcs(Gcs::new(client(), Some(&base), "app", token));
    let mut index = store.list("p/").await.unwrap().index(|key| key.starts_with("d/"));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&store, &mut index, None, folder.path()).await.unwrap(), 1);
    assert_eq!(files(folder.path()), [("b.yaml".to_owned(), "b2".to_owned())]);
    assert_eq!(index.revision(Algorithm::Sha256), Algorithm::Sha256.digest(b"b.yaml CJ3=\n").to_string());
    let requests = server.requests();
    assert!(
        requests[0].contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
    );
    for (request, part) in [
        (1, "GET /storage/v1/b/app/o?fields="),
        (2, "pageToken=n"),
        (3, "GET /storage/v1/b/app/o/b.yaml?alt=media&generation=12 "),
        (5, "generation=13 "),
    ] {
        assert!(requests[request].contains(part), "{}", requests[request]);
        assert!(requests[request].contains("authorization: Bearer t0ken"), "{}", requests[request]);
    }
    let error = ServiceAccountKey::parse(b"{\"private_key\": \"s3cret\"}").unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn azure_s_blobs_are_listed_and_read() {
    let page = "<EnumerationResults><Blobs><Blob><Name>a.yaml</Name><Properties><Content-Length>4</Content-Length>\
        <Etag>0x8D</Etag></Properties></Blob></Blobs><NextMarker/></EnumerationResults>";
    let refusal = r#"{"error": "invalid_client", "error_description": "AADSTS7000215: wrong.\r\nTrace: x"}"#;
    let server = Script::start(vec![
        (200, page.to_owned()),
        (200, "abcd".to_owned()),
        (404, "<Error><Code>ContainerNotFound</Code></Error>".to_owned()),
        (401, refusal.to_owned()),
    ])
    .await;
    let endpoint = format!("http://{}/account?sp=r", server.address);
    let signature = AzureCredentials::Signature("?sv=2021&sig=s3cr3t%3D".to_owned());
    let store = Store::Azure(Azure::new(client(), &endpoint, "app", signature).unwrap());
    let mut index = store.list("").await.unwrap().index(|_| false);
    let folder = tempfile::tempdir().unwrap();
    fetch(&store, &mut index, None, folder.path()).await.unwrap();
    assert_eq!(files(folder.path()), [("a.yaml".to_owned(), "abcd".to_owned())]);
    let error = store.list("").await.unwrap_err();
    assert!(matches!(&error, Error::NoBucket(_)) && !error.to_string().contains("s3cr3t"), "{error}");
    let requests = server.requests();
    let query = "restype=container&comp=list&prefix=&sp=r&sv=2021&sig=s3cr3t%3D";
    assert!(requests[0].starts_with(&format!("GET /account/app?{query} ")), "{}", requests[0]);
    assert!(requests[1].starts_with("GET /account/app/a.yaml?sp=r&sv=2021&sig="), "{}", requests[1]);

    let login = AzureLogin::As(AzureIdentity::Secret {
        authority: format!("http://{}", server.address),
        tenant: "t".to_owned(),
        client: "c".to_owned(),
        secret: "s3cr3t".to_owned(),
    });
    let tokens = Tokens::new(10, Duration::from_hours(1));
    let error = login.credentials(&client(), &tokens).await.unwrap_err().to_string();
    assert!(
        error.ends_with("/t/oauth2/v2.0/token: status 401: invalid_client: AADSTS7000215: wrong."),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs the emulator of Azure, a Node program: make test-azure"]
async fn azure_s_emulator_accepts_the_signature_of_an_account_key() {
    let endpoint = std::env::var("SLUICE_AZURITE").unwrap();
    let account = "devstoreaccount1".to_owned();
    let key = std::env::var("SLUICE_AZURITE_KEY").unwrap();
    let credentials = AzureCredentials::Key { account, key };
    let store = Store::Azure(Azure::new(client(), &endpoint, "app", credentials).unwrap());
    let mut index = store.list("").await.unwrap().index(|_| false);
    let folder = tempfile::tempdir().unwrap();
    let read = fetch(&store, &mut index, None, folder.path()).await.unwrap();
    assert_eq!(read, index.len());
    let expected = [("a.yaml", "a: 1\n"), ("folder/b c.yaml", "b: 2\n")];
    assert_eq!(files(folder.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let wrong = AzureCredentials::Key { account: "devstoreaccount1".to_owned(), key: "d3Jvbmc=".to_owned() };
    let store = Store::Azure(Azure::new(client(), &endpoint, "app", wrong).unwrap());
    let error = store.list("").await.unwrap_err().to_string();
    assert!(error.contains("status 403") && !error.contains("d3Jvbmc="), "{error}");
}
