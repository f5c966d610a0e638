//! Kubernetes clusters of the clouds: where they are, and tokens that open them.

mod aks;
mod eks;
mod gke;

use std::time::Duration;

use reqwest::Client;

use crate::registry::Cloud;
use crate::{Error, Token, Tokens};

/// A cluster, by the name that its cloud has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterName {
    /// `arn:aws:eks:<region>:<account>:cluster/<name>`.
    Eks {
        /// The region.
        region: String,
        /// Its name there.
        name: String,
    },
    /// `/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerService/managedClusters/<name>`.
    Aks(String),
    /// `projects/<project>/locations/<location>/clusters/<name>`.
    Gke(String),
}

/// Where the API server of a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its URL.
    pub address: String,
    /// The certificates that vouch for it, in PEM.
    pub authorities: String,
}

impl ClusterName {
    /// Reads a name of Amazon's.
    pub fn eks(arn: &str) -> Result<Self, Error> {
        eks::parse(arn)
    }

    /// Reads a name of Microsoft's.
    pub fn aks(id: &str) -> Result<Self, Error> {
        aks::parse(id)
    }

    /// Reads a name of Google's.
    pub fn gke(name: &str) -> Result<Self, Error> {
        gke::parse(name)
    }

    /// Asks the cloud where the cluster is.
    pub async fn place(&self, http: &Client, tokens: &Tokens, who: &Cloud) -> Result<Place, Error> {
        match (self, who) {
            (Self::Eks { region, name }, Cloud::Aws(role)) => {
                eks::place(http, tokens, role.as_ref(), region, name).await
            }
            (Self::Aks(id), Cloud::Azure(identity)) => aks::place(http, tokens, identity, id).await,
            (Self::Gke(name), Cloud::Gcp(login)) => gke::place(http, tokens, login, name).await,
            _ => Err(foreign()),
        }
    }
}

/// A token for the API server of a cluster of the identity's cloud. Amazon's clusters each take tokens of their own, and
/// those need their name.
pub async fn token(
    http: &Client,
    tokens: &Tokens,
    who: &Cloud,
    cluster: Option<&ClusterName>,
) -> Result<Token, Error> {
    match (who, cluster) {
        (Cloud::Aws(role), Some(ClusterName::Eks { region, name })) => {
            eks::token(http, tokens, role.as_ref(), region, name).await
        }
        (Cloud::Azure(identity), None | Some(ClusterName::Aks(_))) => {
            aks::token(http, tokens, identity).await
        }
        (Cloud::Gcp(login), None | Some(ClusterName::Gke(_))) => gke::token(http, tokens, login).await,
        _ => Err(foreign()),
    }
}

fn foreign() -> Error {
    Error::Options("the cluster is of another cloud than the identity".to_owned())
}

/// How long a token is used whose end is not told: [`Tokens`] has seen to it that it is good that long.
const SHORT: Duration = Duration::from_mins(1);

/// Whether this can be a part of a cloud's name for something.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= 200
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.()".contains(&byte))
}
