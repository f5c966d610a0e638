//! Decrypts files that SOPS encrypted: YAML, JSON, dotenv, INI and binary.
//!
//! [`decrypt`] turns an encrypted file into the plain one, byte by byte as `sops decrypt` prints it. The data key comes
//! from [`KeyService`]s: a [`Keyring`] holds age identities (X25519, the post-quantum hybrid, SSH) and OpenPGP keys;
//! services of clouds and vaults are the caller's, since nothing here talks to a network, reads the environment or
//! starts a program. It never encrypts.
//!
//! Enter at [`decrypt`] and [`Format`]. Errors have the reference's texts, but a value is never part of one.

mod cipher;
mod decrypt;
mod error;
mod format;
mod keys;
mod metadata;
mod rfc3339;
mod store;
mod tree;

pub use decrypt::{Options, decrypt};
pub use error::{DataKeyError, Error, GroupResult, KeyFailure};
pub use format::Format;
pub use keys::{ImportError, KeyService, Keyring};
pub use metadata::MasterKey;
