//! Amazon.

mod login;
mod sign;

pub(crate) use login::token_service;
pub use login::{AwsLogin, Keys, Ldap};
pub use sign::sign;
pub(crate) use sign::signature;
