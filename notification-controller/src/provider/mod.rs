//! Where notifications go: one module for each family of services, all over the same HTTP client.

mod change_request;
mod chat;
mod commit_status;
mod event_hub;
mod generic;
mod github_app;
mod http;
mod identity;
mod incident;
mod nats;
mod otel;
mod pubsub;
mod secret;
mod sentry;
mod slack;
mod target;
mod teams;
mod text;
#[cfg(test)]
mod wire;

use std::time::Duration;

pub(crate) use http::{Client, Error as HttpError, Request};
pub(crate) use identity::Logins;
pub(crate) use secret::Credentials;
pub(crate) use sluice_http::AddressPolicy;
pub(crate) use target::open;

use crate::event::Event;

/// Why a notification was not sent. The texts never hold a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The Provider or its Secret lacks something or holds nonsense.
    #[error("{0}")]
    Config(String),
    /// The event cannot be told in this form.
    #[error("{0}")]
    Event(String),
    /// The service refused or was not reached.
    #[error("postMessage failed: {0}")]
    Delivery(#[from] http::Error),
    /// The type is known to the API, but this controller cannot speak it.
    #[error("provider type '{0}' is not supported by this version of Sluice")]
    Unsupported(String),
}

/// What a provider type does with events that are not meant for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Takes every event.
    All,
    /// Shows messages to people; commit status updates are not for them.
    Message,
    /// Sets the status of a commit.
    CommitStatus,
    /// Comments on a change request.
    ChangeRequest,
}

/// The class of a provider type.
pub(crate) fn class(type_: &str) -> Class {
    match type_ {
        "generic" | "generic-hmac" => Class::All,
        "github" | "gitlab" | "gitea" | "bitbucketserver" | "bitbucket" | "azuredevops" => {
            Class::CommitStatus
        }
        "githubpullrequestcomment" | "gitlabmergerequestcomment" | "giteapullrequestcomment" => {
            Class::ChangeRequest
        }
        _ => Class::Message,
    }
}

/// A Provider with everything that its references name.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `spec.type`.
    pub type_: String,
    /// The address of the spec or the Secret.
    pub address: String,
    /// `spec.channel`.
    pub channel: String,
    /// The user name of the spec or the Secret.
    pub username: String,
    /// Time for one notification, retries included.
    pub timeout: Duration,
    /// UID of the Provider.
    pub uid: String,
    /// What the Secret holds.
    pub credentials: Credentials,
    /// The proxy.
    pub proxy: Option<sluice_http::Proxy>,
    /// Hosts that are out of bounds.
    pub policy: AddressPolicy,
    /// Where tests want to have everything sent.
    #[cfg(test)]
    pub via: Option<std::net::SocketAddr>,
}

/// A notification about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    /// The event, with merged metadata.
    pub event: Event,
    /// The identity of the commit status.
    pub status_id: String,
    /// Name, namespace and UID of the Alert.
    pub alert: AlertIdentity,
}

/// Which Alert a notification is of.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertIdentity {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
}

impl AlertIdentity {
    /// That of an Alert.
    pub(crate) fn of(alert: &sluice_api::notification::Alert) -> Self {
        let metadata = alert.metadata.clone();
        Self {
            name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
        }
    }
}

/// Sends a notification, within the target's timeout. The client is one of the target's.
pub(crate) async fn send(client: &Client, target: &Target, notification: &Notification) -> Result<(), Error> {
    let http = client.within(target.timeout);
    let sent = async {
        let event = &notification.event;
        match target.type_.as_str() {
            "generic" => http.send(generic::plain(target, event)?).await?,
            "generic-hmac" => http.send(generic::signed(target, event)?).await?,
            "githubdispatch" => {
                let token = github_app::token(&http, target).await?;
                http.send(generic::github_dispatch(target, &token, event)?).await?;
            }
            "googlepubsub" => pubsub::publish(&http, target, event).await?,
            "azureeventhub" => http.send(event_hub::request(target, event)?).await?,
            "nats" => nats::publish(target, event).await?,
            "sentry" => http.send(sentry::request(target, event)?).await?,
            "otel" => {
                if let Some(request) = otel::request(target, notification)? {
                    http.send(request).await?;
                }
            }
            "slack" => slack::send(&http, target, event).await?,
            "discord" => http.send(slack::discord(target, event)?).await?,
            "rocket" => http.send(slack::rocket(target, event)?).await?,
            "msteams" => http.send(teams::request(target, event)?).await?,
            "googlechat" => http.send(chat::google_chat(target, event)?).await?,
            "webex" => http.send(chat::webex(target, event)?).await?,
            "telegram" => http.send(chat::telegram(target, event)?).await?,
            "lark" => http.send(chat::lark(target, event)?).await?,
            "matrix" => http.send(chat::matrix(target, event)?).await?,
            "zulip" => http.send(chat::zulip(target, event)?).await?,
            "zoom" => http.send(chat::zoom(target, event)?).await?,
            "opsgenie" => http.send(incident::opsgenie(target, event)?).await?,
            "alertmanager" => http.send(incident::alertmanager(target, event)?).await?,
            "grafana" => http.send(incident::grafana(target, event)?).await?,
            "pagerduty" => {
                for request in incident::pagerduty(target, event)? {
                    http.send(request).await?;
                }
            }
            "datadog" => http.send(incident::datadog(target, event)?).await?,
            "incident.io" => {
                if let Some(request) = incident::incident_io(target, event)? {
                    http.send(request).await?;
                }
            }
            "github" | "gitlab" | "gitea" | "bitbucket" | "bitbucketserver" | "azuredevops" => {
                commit_status::post(&http, target, notification).await?;
            }
            "githubpullrequestcomment" | "gitlabmergerequestcomment" | "giteapullrequestcomment" => {
                change_request::comment(&http, target, event).await?;
            }
            other => return Err(Error::Unsupported(other.to_owned())),
        }
        Ok(())
    };
    match tokio::time::timeout(target.timeout, sent).await {
        Ok(result) => result,
        Err(_) => Err(Error::Delivery(http::Error::Timeout(target.timeout))),
    }
}

impl Target {
    /// The address as a URL.
    fn url(&self) -> Result<reqwest::Url, Error> {
        let problem = |why: &dyn std::fmt::Display| {
            Error::Config(format!("the address of the provider is invalid: {why}"))
        };
        if self.address.is_empty() {
            return Err(problem(&"it is empty"));
        }
        reqwest::Url::parse(&self.address).map_err(|error| problem(&error))
    }

    /// The token of the Secret, which this type cannot do without.
    fn token(&self) -> Result<&str, Error> {
        match self.credentials.token.as_deref() {
            Some(token) if !token.is_empty() => Ok(token),
            _ => Err(Error::Config(format!(
                "provider type '{}' needs a Secret with the key 'token'",
                self.type_
            ))),
        }
    }

    /// The token of an identity at a cloud, or else that of the Secret.
    fn access_token(&self) -> Result<&str, Error> {
        self.credentials.access_token.as_deref().map_or_else(|| self.token(), Ok)
    }

    /// The channel of the spec, which this type cannot do without.
    fn required_channel(&self) -> Result<&str, Error> {
        if self.channel.is_empty() {
            return Err(Error::Config(format!("provider type '{}' needs spec.channel", self.type_)));
        }
        Ok(&self.channel)
    }

    /// A text without what must not be seen: the token, the password, and the path of the address, where
    /// webhooks carry their secret.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in self.credentials.secrets().filter(|secret| secret.len() > 3) {
            masked = masked.replace(secret, "*****");
        }
        if let Ok(url) = self.url() {
            let path = url.path().trim_start_matches('/');
            let hidden = [path, url.query().unwrap_or_default(), url.password().unwrap_or_default()];
            // What is as short as that is no secret, and found in ordinary words.
            for secret in hidden.into_iter().filter(|secret| secret.len() > 3) {
                masked = masked.replace(secret, "*****");
            }
        }
        masked
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A target of a type, for tests.
    pub(crate) fn target(type_: &str, address: &str) -> Target {
        Target {
            type_: type_.to_owned(),
            address: address.to_owned(),
            channel: "general".to_owned(),
            username: String::new(),
            timeout: Duration::from_secs(5),
            uid: "7c4d1f00-aaaa-bbbb-cccc-000000000000".to_owned(),
            credentials: Credentials { token: Some("s3cr3t".to_owned()), ..Credentials::default() },
            proxy: None,
            policy: AddressPolicy::default(),
            via: None,
        }
    }

    #[test]
    fn secrets_are_masked() {
        let target = target("slack", "https://hooks.example.test/services/T000/B000/XXXX");
        let masked =
            target.mask("POST https://hooks.example.test/services/T000/B000/XXXX with s3cr3t failed");
        assert_eq!(masked, "POST https://hooks.example.test/***** with ***** failed");
    }
}
