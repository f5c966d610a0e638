//! Server-side apply: from a set of built objects to a cluster that has them, and back.
//!
//! [`Applier`] brings objects to a [`Cluster`] in stages, [`Pruner`] removes what is no longer wanted, [`health`] waits
//! until objects are as they should be. An object that is as it was left costs no request: the [`Ledger`] of its owner
//! knows what was applied, and the [`Observer`] has one watch for each kind that tells whether somebody has touched it
//! since. All else is asked of the server, which alone decides what a change is.
//!
//! Nothing here knows where objects come from, or writes a status.

mod applier;
mod change;
mod cluster;
mod confirm;
mod decide;
mod difference;
mod drift;
mod error;
mod fingerprint;
pub mod health;
mod hooks;
mod ignore;
pub mod inventory;
mod label_selector;
mod ledger;
mod library;
mod managers;
mod normalize;
mod object;
mod observe;
mod order;
pub mod plan;
mod prune;
mod served;
mod sighting;
mod write;

pub use applier::{Applier, Options, Outcome};
pub use change::{Action, Change, by_action, by_subject, lines};
pub use cluster::{Cluster, Requests, Resource};
pub use difference::Difference;
pub use error::{Error, Refusal};
pub use hooks::Hook;
pub use ignore::IgnoreRules;
pub use inventory::{ObjectId, Tracked};
pub use ledger::{Ledger, Sentry};
pub use managers::Takeover;
pub use normalize::normalize;
pub use object::{Object, flatten};
pub use observe::{Judge, KindWatch, Observer, Seen};
pub use order::{CustomKinds, Stage};
pub use plan::{Plan, Step};
pub use prune::{Pruned, Pruner};
