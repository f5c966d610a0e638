//! Which hosts are the clouds' own. Addresses are written by tenants; a token of the identity that a controller has is for
//! these services and shown to nobody else.

use reqwest::Url;

use crate::variable;

const BLOB_STORAGE: [&str; 4] = [
    ".blob.core.windows.net",
    ".blob.core.chinacloudapi.cn",
    ".blob.core.usgovcloudapi.net",
    ".blob.storage.azure.net",
];
const EVENT_HUBS: [&str; 3] =
    [".servicebus.windows.net", ".servicebus.chinacloudapi.cn", ".servicebus.usgovcloudapi.net"];

/// The host of an address that is asked over TLS and at the usual port.
fn host(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let usual = url.scheme() == "https" && url.port().is_none();
    usual.then(|| url.host_str().map(str::to_owned))?
}

fn below(host: &str, domains: &[&str]) -> bool {
    domains.iter().any(|domain| host.strip_suffix(domain).is_some_and(|name| !name.is_empty()))
}

/// Whether a host is Azure DevOps.
pub(crate) fn is_devops_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "dev.azure.com" || below(&host, &[".visualstudio.com"])
}

/// Whether an address is one of Azure DevOps.
pub fn is_devops(address: &str) -> bool {
    host(address).is_some_and(|host| is_devops_host(&host))
}

/// Whether an address is one of Azure Blob Storage.
pub fn is_blob_storage(address: &str) -> bool {
    host(address).is_some_and(|host| below(&host, &BLOB_STORAGE))
}

/// Whether an address is one of Azure Event Hubs.
pub fn is_event_hubs(address: &str) -> bool {
    host(address).is_some_and(|host| below(&host, &EVENT_HUBS))
}

/// Whether an address is a token service of Amazon's, or the one that the environment names. Other services are below the
/// same domain, and some of them answer with programs of whoever wants.
pub fn is_token_service(address: &str) -> bool {
    if variable("AWS_ENDPOINT_URL_STS").is_some_and(|named| named == address) {
        return true;
    }
    let Some(host) = host(address) else { return false };
    let (name, only_regional) = match host.strip_suffix(".api.aws") {
        Some(name) => (name, true),
        None => {
            let name = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"));
            let Some(name) = name else { return false };
            (name, false)
        }
    };
    match name.split('.').collect::<Vec<_>>()[..] {
        ["sts"] => !only_regional,
        ["sts" | "sts-fips", _region] => true,
        [endpoint, "sts", _region, "vpce"] => !only_regional && endpoint.starts_with("vpce-"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_clouds_are_told_from_those_that_look_like_them() {
        type Judge = fn(&str) -> bool;
        let cases: [(Judge, &[&str], &[&str]); 4] = [
            (
                is_devops,
                &["https://dev.azure.com/org", "https://org.visualstudio.com/", "https://DEV.azure.com"],
                &[
                    "http://dev.azure.com/org",
                    "https://dev.azure.com:8443/",
                    "https://dev.azure.com.evil.test/",
                    "https://dev.azure.com@evil.test/",
                    "https://.visualstudio.com/",
                    "dev.azure.com",
                ],
            ),
            (
                is_blob_storage,
                &["https://a.blob.core.windows.net/c", "https://a.z1.blob.storage.azure.net"],
                &[
                    "https://blob.core.windows.net.evil.test",
                    "https://xblob.core.windows.net",
                    "http://a.blob.core.windows.net",
                ],
            ),
            (
                is_event_hubs,
                &["https://n.servicebus.windows.net/hub/messages"],
                &[
                    "https://n.servicebus.evil.test/",
                    "https://evil.test/n.servicebus.windows.net",
                    "https://evil.test?.servicebus.windows.net",
                ],
            ),
            (
                is_token_service,
                &[
                    "https://sts.amazonaws.com",
                    "https://sts.eu-west-1.amazonaws.com/",
                    "https://sts-fips.us-east-1.amazonaws.com",
                    "https://sts.cn-north-1.amazonaws.com.cn",
                    "https://vpce-0a-b.sts.eu-west-1.vpce.amazonaws.com",
                    "https://sts.eu-west-1.api.aws",
                ],
                &[
                    "http://sts.amazonaws.com",
                    "https://sts.evil.test",
                    "https://x.execute-api.eu-west-1.amazonaws.com",
                    "https://sts.s3.eu-west-1.amazonaws.com",
                    "https://x.vpce-svc-1.eu-west-1.vpce.amazonaws.com",
                    "https://sts.api.aws",
                    "https://sts.amazonaws.com.evil.test",
                ],
            ),
        ];
        for (judge, good, bad) in cases {
            for address in good {
                assert!(judge(address), "{address}");
            }
            for address in bad {
                assert!(!judge(address), "{address}");
            }
        }
    }
}
