//! Logging in at Amazon, Google and Microsoft.
//!
//! - [`AwsLogin`], [`GcpLogin`], [`AzureIdentity`]: how to get keys or a token: given, from a token service for an identity
//!   that the cloud trusts, or from what surrounds the process.
//! - [`registry`] and [`git`]: what the clouds' registries and Git services take for these.
//! - [`clusters`]: where the clouds' clusters are, and tokens that open them.
//! - [`hosts`]: which addresses are the clouds' own.
//! - [`Tokens`] keeps what is temporary for as long as it lasts; what one tenant got is never another's.
//! - [`sign`] signs requests as Amazon wants it. [`http`] and [`xml`] are what all of this, and `sluice-bucket`, send and
//!   read with.
//!
//! The crate knows nothing of Kubernetes. Every request goes through the caller's HTTP client.

mod aws;
mod azure;
pub mod clusters;
mod error;
mod gcp;
pub mod git;
pub mod hosts;
pub mod http;
pub mod registry;
mod tokens;
pub mod xml;

pub use aws::{AwsLogin, Keys, Ldap, sign};
pub use azure::AzureIdentity;
pub use error::Error;
pub use gcp::{GcpLogin, ServiceAccountKey};
pub use tokens::{Token, Tokens};

/// A variable of this process that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
