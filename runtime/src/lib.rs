//! What all controllers of Sluice share.
//!
//! A controller binary calls [`run`] with its name, its [`flags::CommonFlags`] and a future that builds one
//! [`Controller`] for each kind. The crate owns the watch loop ([`controller`], [`cache`], [`queue`]), the one place that
//! writes status ([`status`]), condition rules ([`conditions`]), events ([`events`]), metrics, probes, leadership,
//! logs and shutdown ([`manager`]).
//!
//! It never knows what a kind means: fetching, building and applying live with the controllers and in `crates/`.

mod allocator;
pub mod apply;
pub mod cache;
pub mod client;
pub mod conditions;
mod connections;
pub mod controller;
pub mod dependencies;
mod durations;
pub mod errors;
pub mod events;
pub mod expressions;
mod failure;
pub mod finalizer;
pub mod flags;
mod guarded;
pub mod identity;
mod key;
pub mod leader;
pub mod logging;
pub mod manager;
pub mod metrics;
pub mod queue;
mod remote;
mod retry;
mod server;
pub mod sources;
pub mod status;
mod term;
pub mod waiting;
mod watch;

pub use cache::{Cache, Change};
pub use controller::{Controller, Next, Reconciler};
pub use dependencies::{Dependencies, Obstacle};
pub use events::{Recorder, Severity};
pub use failure::{Failure, Retry};
pub use key::{ObjectKey, check_name};
pub use manager::{Manager, run};
pub use queue::Waker;
pub use retry::{Repeatable, observed};
pub use sources::Sources;
pub use status::StatusWriter;
pub use waiting::Waiting;
pub use watch::{Watched, mirror};
