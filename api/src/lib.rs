//! Kubernetes types and field rules of the APIs that Sluice serves: Flux's groups, kinds and fields.
//!
//! One Rust type stands for a kind. It is the storage version, with the deprecated fields of older versions added, so
//! that every served version has the same schema and nothing needs converting. [`crd::all`] makes the
//! CustomResourceDefinitions from the types.
//!
//! An empty string, list or map means "not set", as in Flux; `Option` stands where unset differs from empty, and around
//! structures. Nothing here talks to a server or does work.
//!
//! Enter at the module of a group ([`source`], [`kustomize`], [`helm`], [`notification`], [`image`]) or at [`meta`] for what kinds share.

#![expect(clippy::duplicated_attributes, reason = "printer columns share their type")]

pub mod crd;
pub mod helm;
pub mod image;
pub mod kustomize;
pub mod meta;
pub mod notification;
pub mod source;
