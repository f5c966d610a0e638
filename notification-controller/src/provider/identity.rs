//! Providers that are spoken to as an identity of a cloud: that of a ServiceAccount, or of this process.

use std::time::Duration;

use sluice_access::{Denied, Identities};
use sluice_api::source::CloudProvider;
use sluice_cloud::hosts;
use sluice_cloud::registry::Cloud;
use sluice_http::{Clients, Options, Proxy};
use sluice_runtime::errors::chain;

use super::event_hub;

/// Azure DevOps, whose name is a number that is the same for everybody.
const DEVOPS_SCOPE: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";
const EVENT_HUBS_SCOPE: &str = "https://eventhubs.azure.net/.default";
const PUBSUB_SCOPE: &str = "https://www.googleapis.com/auth/pubsub";

/// Who objects are at clouds, and what asks there.
pub(crate) struct Logins {
    /// Who they are.
    pub(crate) identities: Identities,
    /// Clients for token services.
    pub(crate) http: Clients,
}

/// The cloud of a type and what its token must be good for; none where the type knows no identities.
fn service(type_: &str) -> Option<(CloudProvider, &'static str)> {
    match type_ {
        "azuredevops" => Some((CloudProvider::Azure, DEVOPS_SCOPE)),
        "azureeventhub" => Some((CloudProvider::Azure, EVENT_HUBS_SCOPE)),
        "googlepubsub" => Some((CloudProvider::Gcp, PUBSUB_SCOPE)),
        _ => None,
    }
}

/// Whether a Provider without a token is spoken to as an identity.
pub(super) fn is_meant(
    type_: &str,
    address: &str,
    token: Option<&str>,
    account: &str,
) -> Result<bool, String> {
    let token = token.is_some_and(|token| !token.is_empty());
    if service(type_).is_none() {
        return Ok(false);
    }
    if type_ == "azureeventhub" && !account.is_empty() {
        if address.contains("SharedAccessKey") {
            return Err("a connection string and spec.serviceAccountName cannot be used together".to_owned());
        }
        if token {
            return Err("a token and spec.serviceAccountName cannot be used together".to_owned());
        }
    }
    Ok(!token && !address.contains("SharedAccessKey"))
}

/// Refuses to show who this process is to hosts that are not the cloud's.
pub(super) fn refuse_strangers(type_: &str, address: &str, channel: &str) -> Result<(), String> {
    let (ours, service) = match type_ {
        "azuredevops" => (hosts::is_devops(address), "Azure DevOps"),
        "azureeventhub" => {
            let url =
                event_hub::messages(&event_hub::host(channel), address).map_err(|error| error.to_string())?;
            (hosts::is_event_hubs(url.as_str()), "Azure Event Hubs")
        }
        // Its host is not a matter of the Provider.
        _ => return Ok(()),
    };
    if ours {
        return Ok(());
    }
    Err(format!(
        "the Provider's host is none of {service}: the identity of the controller is not shown to it; name a Secret with the \
         key 'token', or a ServiceAccount"
    ))
}

/// A token for a Provider of a type, within a time.
pub(super) async fn token(
    logins: &Logins,
    type_: &str,
    namespace: &str,
    account: &str,
    proxy: Option<Proxy>,
    timeout: Duration,
) -> Result<String, String> {
    let Some((provider, scope)) = service(type_) else { return Err("it knows no identities".to_owned()) };
    let asked = async {
        let identity =
            logins.identities.at(namespace, provider, account).await.map_err(|denied| match denied {
                Denied::Gate => GATE.to_owned(),
                Denied::Problem(problem) => problem,
            })?;
        // The identity of this process is not shown to a proxy that a tenant chooses.
        let proxy = proxy.filter(|_| !account.is_empty());
        let options = Options { proxy, proxies_plain: false, redirects: false, ..Options::default() };
        let client = logins.http.get(&options).map_err(|error| chain(&error))?;
        let tokens = logins.identities.tokens();
        let token = match identity {
            Cloud::Azure(identity) => identity.token(&client, tokens, scope).await,
            Cloud::Gcp(login) => login.token(&client, tokens, scope).await,
            Cloud::Aws(_) => Ok(None),
        };
        let failed = |problem: &str| format!("failed to get a token from {}: {problem}", provider.as_str());
        let token = token.map_err(|error| failed(&chain(&error)))?;
        token.ok_or_else(|| {
            failed("there is no identity: name a ServiceAccount in spec.serviceAccountName, or a Secret with the key 'token'")
        })
    };
    let late = || format!("no token within the provider's timeout of {timeout:?}");
    tokio::time::timeout(timeout, asked).await.unwrap_or_else(|_| Err(late()))
}

/// What is said where an object names a ServiceAccount and may not.
pub(super) const GATE: &str = "to use spec.serviceAccountName for provider authentication please enable the \
                               ObjectLevelWorkloadIdentity feature gate in the controller";

#[cfg(test)]
mod tests {
    use super::{is_meant, refuse_strangers};

    #[test]
    fn who_this_process_is_is_shown_to_the_cloud_only() {
        for (type_, address, channel, good) in [
            ("azuredevops", "https://dev.azure.com/org/project/_git/repo", "", true),
            ("azuredevops", "https://dev.azure.com.evil.test/org/project/_git/repo", "", false),
            ("azureeventhub", "hub", "fleet", true),
            ("azureeventhub", "hub", "fleet.servicebus.windows.net", true),
            ("azureeventhub", "hub", "fleet.servicebus.evil.test", false),
            ("azureeventhub", "hub", "evil.test/x.servicebus.windows.net", false),
            ("azureeventhub", "hub", "evil.test:443/?", false),
            ("googlepubsub", "project", "topic", true),
        ] {
            assert_eq!(refuse_strangers(type_, address, channel).is_ok(), good, "{address} {channel}");
        }
    }

    #[test]
    fn a_token_goes_before_an_identity_and_both_are_an_error_where_flux_says_so() {
        assert_eq!(is_meant("slack", "https://x.test", None, "account"), Ok(false));
        assert_eq!(is_meant("azuredevops", "https://x.test", None, ""), Ok(true));
        assert_eq!(is_meant("azuredevops", "https://x.test", Some("pat"), "account"), Ok(false));
        assert_eq!(is_meant("googlepubsub", "project", None, "account"), Ok(true));
        assert_eq!(is_meant("azureeventhub", "hub", None, ""), Ok(true));
        assert_eq!(is_meant("azureeventhub", "hub", Some("jwt"), ""), Ok(false));
        assert_eq!(is_meant("azureeventhub", "Endpoint=sb://x/;SharedAccessKey=k", None, ""), Ok(false));
        assert!(is_meant("azureeventhub", "hub", Some("jwt"), "account").is_err());
        assert!(is_meant("azureeventhub", "Endpoint=sb://x/;SharedAccessKey=k", None, "account").is_err());
    }
}
