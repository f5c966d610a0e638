//! What the clouds' registries are asked, and what is made of their answers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod cloud;
mod clusters;

use std::time::Duration;

use cloud::Stand;
use sluice_cloud::registry::{Cloud, Role, login};
use sluice_cloud::{AzureIdentity, GcpLogin, Tokens};

fn tokens() -> Tokens {
    Tokens::new(10, Duration::from_hours(1))
}

fn role(token: &str) -> Cloud {
    Cloud::Aws(Some(Role { role: "arn:aws:iam::123456789012:role/pull".into(), token: token.into() }))
}

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const STS_ANSWER: &str = "200 <AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
    <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>k3y</SecretAccessKey>\
    <SessionToken>s3ssion</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

#[tokio::test]
async fn ecr_is_asked_with_a_signature_of_the_role_s_keys() {
    // base64 of AWS:p4ss
    let answer = r#"200 {"authorizationData":[{"authorizationToken":"QVdTOnA0c3M=","expiresAt":4.0E9}]}"#;
    let hosts = ["sts.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com"];
    let stand = Stand::start(&hosts, true, &[STS_ANSWER, answer, STS_ANSWER, answer]).await;
    let tokens = tokens();
    let first = login(&stand.client, &tokens, ECR, &role("jwt-of-a")).await.unwrap();
    assert_eq!((first.username.as_str(), first.password.as_str()), ("AWS", "p4ss"));
    let requests = stand.requests();
    assert!(requests[0].contains("WebIdentityToken=jwt-of-a"), "{}", requests[0]);
    let ask = &requests[1];
    let (head, body) = ask.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{}");
    for expected in [
        "POST / HTTP/1.1",
        "content-type: application/x-amz-json-1.1",
        "x-amz-target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        "x-amz-security-token: s3ssion",
        "host: api.ecr.eu-west-1.amazonaws.com",
        "/eu-west-1/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, ",
    ] {
        assert!(head.contains(expected), "no '{expected}' in {head}");
    }
    // Kept for the same identity, and for nobody else.
    login(&stand.client, &tokens, ECR, &role("jwt-of-a")).await.unwrap();
    assert_eq!(stand.requests().len(), 2);
    login(&stand.client, &tokens, ECR, &role("jwt-of-b")).await.unwrap();
    assert!(stand.requests()[2].contains("WebIdentityToken=jwt-of-b"));
}

#[tokio::test]
async fn a_refusal_of_ecr_is_told_without_secrets() {
    let answer = r#"400 {"__type":"com.amazonaws#AccessDeniedException","Message":"not authorized"}"#;
    let hosts = ["sts.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com"];
    let stand = Stand::start(&hosts, true, &[STS_ANSWER, answer]).await;
    let error = login(&stand.client, &tokens(), ECR, &role("jwt")).await.unwrap_err().to_string();
    let expected =
        "POST https://api.ecr.eu-west-1.amazonaws.com/: status 400: AccessDeniedException: not authorized";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn the_public_registry_of_amazon_has_a_service_of_its_own() {
    let answer = r#"200 {"authorizationData":{"authorizationToken":"QVdTOnA0c3M=","expiresAt":4.0E9}}"#;
    let hosts = ["sts.us-east-1.amazonaws.com", "api.ecr-public.us-east-1.amazonaws.com"];
    let stand = Stand::start(&hosts, true, &[STS_ANSWER, answer]).await;
    let found = login(&stand.client, &tokens(), "public.ecr.aws", &role("jwt")).await.unwrap();
    assert_eq!(found.password, "p4ss");
    let ask = &stand.requests()[1];
    assert!(ask.contains("SpencerFrontendService.GetAuthorizationToken"), "{ask}");
    assert!(ask.contains("/us-east-1/ecr-public/aws4_request"), "{ask}");
}

#[tokio::test]
async fn acr_exchanges_the_token_of_an_identity() {
    let answers = [r#"200 {"access_token":"aad","expires_in":3600}"#, r#"200 {"refresh_token":"h.e30.s"}"#];
    let hosts = ["login.microsoftonline.com", "name.azurecr.io"];
    let stand = Stand::start(&hosts, true, &answers).await;
    let identity = AzureIdentity::Federated {
        authority: String::new(),
        tenant: "tenant".into(),
        client: "client".into(),
        token: "jwt".into(),
    };
    let found = login(&stand.client, &tokens(), "name.azurecr.io", &Cloud::Azure(identity)).await.unwrap();
    assert_eq!(found.username, "00000000-0000-0000-0000-000000000000");
    assert_eq!(found.password, "h.e30.s");
    let requests = stand.requests();
    assert!(requests[0].starts_with("POST /tenant/oauth2/v2.0/token "), "{}", requests[0]);
    for expected in
        ["scope=https%3A%2F%2Fmanagement.azure.com%2F.default", "client_assertion=jwt", "client_id=client"]
    {
        assert!(requests[0].contains(expected), "{}", requests[0]);
    }
    assert!(requests[1].starts_with("POST /oauth2/exchange "), "{}", requests[1]);
    assert!(
        requests[1].ends_with("grant_type=access_token&service=name.azurecr.io&access_token=aad"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn google_s_registries_take_an_access_token() {
    let answers = [
        r#"200 {"access_token":"federated","expires_in":3600}"#,
        r#"200 {"accessToken":"account","expireTime":"2099-01-01T00:00:00Z"}"#,
    ];
    let hosts = ["sts.googleapis.com", "iamcredentials.googleapis.com"];
    let stand = Stand::start(&hosts, true, &answers).await;
    let provider = "projects/1/locations/global/workloadIdentityPools/pool/providers/cluster";
    let identity = GcpLogin::Federated {
        provider: provider.into(),
        token: "jwt".into(),
        account: Some("puller@project.iam.gserviceaccount.com".into()),
    };
    let host = "europe-west1-docker.pkg.dev";
    let found = login(&stand.client, &tokens(), host, &Cloud::Gcp(identity)).await.unwrap();
    assert_eq!((found.username.as_str(), found.password.as_str()), ("oauth2accesstoken", "account"));
    let requests = stand.requests();
    assert!(
        requests[0].starts_with("POST /v1/token ") && requests[0].contains("subject_token=jwt"),
        "{}",
        requests[0]
    );
    assert!(requests[0].contains("audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1%2F"), "{}", requests[0]);
    let path =
        "POST /v1/projects/-/serviceAccounts/puller%40project.iam.gserviceaccount.com:generateAccessToken ";
    assert!(requests[1].starts_with(path), "{}", requests[1]);
    assert!(requests[1].contains("authorization: Bearer federated"), "{}", requests[1]);
}

#[tokio::test]
async fn the_machine_s_account_serves_google_s_registries() {
    let answer = r#"200 {"access_token":"machine","expires_in":3600,"token_type":"Bearer"}"#;
    let stand = Stand::start(&["metadata.google.internal"], false, &[answer]).await;
    let found = login(&stand.client, &tokens(), "gcr.io", &Cloud::Gcp(GcpLogin::Ambient)).await.unwrap();
    assert_eq!(found.password, "machine");
    let request = &stand.requests()[0];
    assert!(request.contains("metadata-flavor: Google"), "{request}");
    assert!(request.contains("scopes=https://www.googleapis.com/auth/cloud-platform"), "{request}");
}

#[tokio::test]
async fn tokens_are_for_registries_of_their_cloud_only() {
    let stand = Stand::start(&[], false, &[]).await;
    for (cloud, name) in [
        (role("jwt"), "aws"),
        (Cloud::Gcp(GcpLogin::Ambient), "gcp"),
        (Cloud::Azure(AzureIdentity::Managed(None)), "azure"),
    ] {
        let error = login(&stand.client, &tokens(), "registry.example.test", &cloud).await.unwrap_err();
        assert_eq!(error.to_string(), format!("'registry.example.test' is no registry of {name}"));
    }
}
