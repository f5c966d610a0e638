//! AWS KMS.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;
use sluice_cloud::AwsLogin;

use crate::{STANDARD, Services, bytes};

pub(crate) async fn decrypt(
    services: &Services,
    arn: &str,
    role: &str,
    context: &BTreeMap<String, String>,
    encrypted: &str,
) -> Result<Vec<u8>, String> {
    let region = region(arn)?;
    let (region_of_tokens, endpoint) = (region.to_owned(), services.endpoints.sts.clone());
    let mut login = match &services.credentials.aws {
        Some(keys) => AwsLogin::Keys(keys.clone()),
        None => services.surroundings.aws(region_of_tokens.clone(), endpoint.clone()).await?,
    };
    if !role.is_empty() {
        let (role, by) = (role.to_owned(), Box::new(login));
        login = AwsLogin::Assumed { role, by, region: region_of_tokens, endpoint };
    }
    let keys = login.keys(&services.http, services.surroundings.tokens()).await;
    let keys = keys.map_err(|error| error.to_string())?.ok_or("no credentials for AWS")?;
    let own = match arn.split(':').nth(1) {
        Some("aws-cn") => format!("https://kms.{region}.amazonaws.com.cn/"),
        _ => format!("https://kms.{region}.amazonaws.com/"),
    };
    let mut content = json!({"KeyId": arn, "CiphertextBlob": encrypted});
    if !context.is_empty() {
        content["EncryptionContext"] = json!(context);
    }
    let mut request = services.post(services.endpoints.aws.as_deref().unwrap_or(&own), &content)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert("x-amz-target", HeaderValue::from_static("TrentService.Decrypt"));
    let now = Timestamp::now();
    sluice_cloud::sign(&mut request, &keys, "kms", region, now).map_err(|error| error.to_string())?;
    let answer = services.send(request, &["/__type", "/message", "/Message"]).await?;
    bytes(&answer, "/Plaintext", &STANDARD)
}

/// The region of `arn:aws:kms:<region>:<account>:key/<id>`.
fn region(arn: &str) -> Result<&str, String> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let invalid = || format!("{arn:?} is no ARN of a key of AWS KMS");
    let ["arn", partition, "kms", region, account, key] = parts.as_slice() else { return Err(invalid()) };
    // The region becomes a part of the host's name.
    let plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let known = partition.starts_with("aws")
        && !region.is_empty()
        && plain(region)
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (key.starts_with("key/") || key.starts_with("alias/"));
    if known { Ok(region) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::region;

    #[test]
    fn the_region_is_that_of_the_key_and_no_other_host() {
        assert_eq!(region("arn:aws:kms:eu-west-1:111122223333:key/1234abcd"), Ok("eu-west-1"));
        assert_eq!(region("arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/sops"), Ok("us-gov-west-1"));
        for wrong in [
            "arn:aws:kms:evil.example.com/:111122223333:key/1",
            "arn:aws:kms:eu-west-1@evil:111122223333:key/1",
            "arn:aws:s3:eu-west-1:111122223333:key/1",
            "arn:aws:kms::111122223333:key/1",
            "",
        ] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
    }
}
