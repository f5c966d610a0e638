//! Listing, fetching and verifying Git repositories, without a working tree, a Git program or a Git configuration.
//!
//! The client speaks the parts of Git's protocol that a GitOps source needs: list references, fetch one commit
//! without its history. What arrives is a pack; it is checked, indexed and read where it lies, and the tree of the
//! commit is streamed from it into an artifact. Memory depends neither on the size of the repository nor on that of
//! its largest file.
//!
//! - [`Remote`] says where a repository is and how to log in.
//! - [`Client`] lists ([`Client::list`]) and fetches ([`Client::fetch`]).
//! - [`Listings`] and [`ObjectCache`] share what was listed and fetched among those who ask for the same.
//! - [`commit`] makes a commit of changed files; [`Client::push`] sends it.
//! - [`Reference`] is what a user asks for; [`Reference::resolve`] finds the commit in a listing.
//! - [`Repository`] reads the objects that were fetched; [`tree`] walks them.
//!
//! Everything from the network is hostile until checked: lengths, counts, names, digests, delta chains.

pub mod auth;
mod cache;
mod client;
mod error;
mod listings;
pub mod object;
pub mod pack;
mod push;
mod reference;
mod repository;
mod sign;
mod submodule;
mod transport;
pub mod tree;
mod url;
mod verify;
mod wire;

pub use auth::{Credentials, SshAlgorithms};
pub use cache::ObjectCache;
pub use client::{Client, Listing, Remote, Session};
pub use error::{CredentialPart, Error};
pub use listings::Listings;
pub use object::{Commit, ObjectId, Signature, Tag};
pub use pack::Interrupt;
pub use push::{Change, Identity, NewCommit, Signer, Target, commit};
pub use reference::{Reference, Resolved};
pub use repository::Repository;
pub use sign::{SignError, SigningKey};
pub use sluice_http::{Proxy, Tls};
pub use submodule::attach_submodules;
pub use url::{RemoteUrl, Scheme};
pub use verify::Keyring;
pub use wire::refs::{RefFilter, RemoteRef};
