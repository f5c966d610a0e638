//! What the clouds are asked about their clusters.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sluice_cloud::clusters::{ClusterName, Place, token};
use sluice_cloud::registry::{Cloud, Role};
use sluice_cloud::{AzureIdentity, GcpLogin};

use crate::cloud::Stand;
use crate::{STS_ANSWER, tokens};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

fn place(address: &str) -> Place {
    Place { address: address.into(), authorities: PEM.into() }
}

#[tokio::test]
async fn amazon_tells_where_a_cluster_is_and_a_signed_url_opens_it() {
    let ca = STANDARD.encode(PEM);
    let answer = format!(
        r#"200 {{"cluster":{{"endpoint":"https://ABC.eks.amazonaws.com","certificateAuthority":{{"data":"{ca}"}}}}}}"#
    );
    let hosts = ["sts.eu-west-1.amazonaws.com", "eks.eu-west-1.amazonaws.com"];
    let stand = Stand::start(&hosts, true, &[STS_ANSWER, &answer]).await;
    let tokens = tokens();
    let who =
        Cloud::Aws(Some(Role { role: "arn:aws:iam::123456789012:role/deploy".into(), token: "jwt".into() }));
    let cluster = ClusterName::eks("arn:aws:eks:eu-west-1:123456789012:cluster/prod").unwrap();
    let found = cluster.place(&stand.client, &tokens, &who).await.unwrap();
    assert_eq!(found, place("https://ABC.eks.amazonaws.com"));
    let asked = &stand.requests()[1];
    assert!(
        asked.starts_with("GET /clusters/prod ") && asked.contains("/eu-west-1/eks/aws4_request"),
        "{asked}"
    );
    // The keys of the role are kept: nobody is asked for the token.
    let token = token(&stand.client, &tokens, &who, Some(&cluster)).await.unwrap();
    let url = token.value.strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(url).unwrap()).unwrap();
    assert!(url.starts_with("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&"), "{url}");
    assert!(
        url.contains("X-Amz-Credential=ASIAEXAMPLE%2F") && url.contains("X-Amz-Security-Token=s3ssion"),
        "{url}"
    );
    assert_eq!(stand.requests().len(), 2);
}

#[tokio::test]
async fn microsoft_gives_a_kubeconfig_and_a_token_for_its_servers() {
    let config = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://prod.azmk8s.io:443\n  name: prod\n",
        STANDARD.encode(PEM)
    );
    let answer =
        format!(r#"200 {{"kubeconfigs":[{{"name":"clusterUser","value":"{}"}}]}}"#, STANDARD.encode(config));
    let aad = r#"200 {"access_token":"aad","expires_in":3600}"#;
    let hosts = ["login.microsoftonline.com", "management.azure.com"];
    let stand = Stand::start(&hosts, true, &[aad, &answer, aad]).await;
    let identity = AzureIdentity::Federated {
        authority: String::new(),
        tenant: "tenant".into(),
        client: "client".into(),
        token: "jwt".into(),
    };
    let (who, tokens) = (Cloud::Azure(identity), tokens());
    let id =
        "/subscriptions/0a/resourceGroups/apps/providers/Microsoft.ContainerService/managedClusters/prod";
    let cluster = ClusterName::aks(id).unwrap();
    let found = cluster.place(&stand.client, &tokens, &who).await.unwrap();
    assert_eq!(found, place("https://prod.azmk8s.io:443"));
    assert_eq!(token(&stand.client, &tokens, &who, None).await.unwrap().value, "aad");
    let requests = stand.requests();
    assert!(
        requests[1].starts_with(&format!("POST {id}/listClusterUserCredential?api-version=")),
        "{}",
        requests[1]
    );
    assert!(requests[1].contains("authorization: Bearer aad"), "{}", requests[1]);
    assert!(requests[2].contains("scope=6dae42f8-4368-4678-94ff-3960e28e3630%2F.default"), "{}", requests[2]);
}

#[tokio::test]
async fn google_tells_where_a_cluster_is_and_takes_the_token_of_the_platform() {
    let answer = format!(
        r#"200 {{"endpoint":"203.0.113.7","masterAuth":{{"clusterCaCertificate":"{}"}}}}"#,
        STANDARD.encode(PEM)
    );
    let answers = [r#"200 {"access_token":"federated","expires_in":3600}"#, &answer];
    let stand = Stand::start(&["sts.googleapis.com", "container.googleapis.com"], true, &answers).await;
    let provider = "projects/1/locations/global/workloadIdentityPools/pool/providers/cluster".into();
    let who = Cloud::Gcp(GcpLogin::Federated { provider, token: "jwt".into(), account: None });
    let tokens = tokens();
    let cluster = ClusterName::gke("projects/p/locations/europe-west1/clusters/prod").unwrap();
    let found = cluster.place(&stand.client, &tokens, &who).await.unwrap();
    assert_eq!(found, place("https://203.0.113.7"));
    assert_eq!(token(&stand.client, &tokens, &who, Some(&cluster)).await.unwrap().value, "federated");
    let asked = &stand.requests()[1];
    assert!(asked.starts_with("GET /v1/projects/p/locations/europe-west1/clusters/prod "), "{asked}");
    assert!(asked.contains("authorization: Bearer federated"), "{asked}");
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    for wrong in ["projects/p/locations/l/clusters/..", "projects/p/locations/l", "https://evil.example.com"]
    {
        assert!(ClusterName::gke(wrong).is_err(), "{wrong}");
    }
    let groups = "/subscriptions/0a/resourceGroups";
    for wrong in [
        "prod".to_owned(),
        format!("{groups}/a/providers/Microsoft.Storage/managedClusters/x"),
        format!("{groups}/../providers/Microsoft.ContainerService/managedClusters/x"),
    ] {
        assert!(ClusterName::aks(&wrong).is_err(), "{wrong}");
    }
    let stand = Stand::start(&["nowhere.example.com"], true, &[]).await;
    let cluster = ClusterName::gke("projects/p/locations/l/clusters/c").unwrap();
    let error = cluster.place(&stand.client, &tokens(), &Cloud::Aws(None)).await.unwrap_err().to_string();
    assert_eq!(error, "the cluster is of another cloud than the identity");
}
