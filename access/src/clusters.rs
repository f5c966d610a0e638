//! Clusters of the clouds, for `spec.kubeConfig.configMapRef`.

use futures::future::BoxFuture;
use reqwest::Client;
use sluice_api::source::CloudProvider;
use sluice_cloud::Tokens;
use sluice_cloud::registry::Cloud;
use sluice_runtime::identity::Clouds;

use crate::identity::{Denied, Identities, OBJECT_LEVEL_WORKLOAD_IDENTITY};

/// Who opens clusters of clouds.
pub struct ClusterLogins {
    identities: Identities,
    http: Client,
}

impl ClusterLogins {
    /// The error says why no HTTP client can be made.
    pub fn new(identities: Identities) -> Result<Self, String> {
        // A redirect would take a token elsewhere.
        let options = sluice_http::Options { redirects: false, ..sluice_http::Options::default() };
        let http = sluice_http::build(&options).map_err(|error| error.to_string())?;
        Ok(Self { identities, http })
    }
}

impl Clouds for ClusterLogins {
    fn identity<'c>(
        &'c self,
        namespace: &'c str,
        provider: CloudProvider,
        account: &'c str,
    ) -> BoxFuture<'c, Result<Cloud, String>> {
        Box::pin(async move {
            self.identities.at(namespace, provider, account).await.map_err(|denied| match denied {
                Denied::Gate => format!(
                    "to use serviceAccountName with the provider '{}' please enable the {OBJECT_LEVEL_WORKLOAD_IDENTITY} feature gate in the controller",
                    provider.as_str()
                ),
                Denied::Problem(problem) => problem,
            })
        })
    }

    fn tokens(&self) -> &Tokens {
        self.identities.tokens()
    }

    fn http(&self) -> &Client {
        &self.http
    }
}
