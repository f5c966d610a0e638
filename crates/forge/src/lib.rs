//! The APIs of Git hosts: GitHub, GitLab, Gitea (and Forgejo), Bitbucket in the cloud and on servers of one's own, and
//! Azure DevOps.
//!
//! [`Api`] sends requests as each of them wants them to be, [`Place`] tells from the URL of a repository where its API is
//! and what it is called there, and [`PullRequest::ensure`] opens a pull request or updates the one that is open. The
//! crate knows nothing of Kubernetes, and every request goes through the caller's HTTP client.

mod api;
mod body;
mod hosts;
mod kind;
mod place;
mod pull_request;

pub use api::{Api, Error, Login, escaped};
pub use kind::Kind;
pub use place::Place;
pub use pull_request::{Done, Ensured, PullRequest};
