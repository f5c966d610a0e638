//! Amazon.

mod login;
mod sign;

pub use login::{AwsLogin, Keys, Ldap};
pub use sign::sign;
pub(crate) use sign::signature;
