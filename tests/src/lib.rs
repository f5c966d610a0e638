//! A real Kubernetes for tests, the demo and the benchmarks, and what they need around it.
//!
//! - [`ControlPlane`]: etcd, API server, controller manager, scheduler and a kubelet that only pretends. One serves a
//!   whole test run, however many processes that has, and it is gone when the last of them is, even after `kill -9`.
//! - [`Namespace`]: each test works in one of its own.
//! - [`GitServer`] and [`Repository`]: git's own server behind HTTP(S), with logins, a request log and faults.
//! - [`Registry`] and [`FileServer`]: the distribution registry, and a web server for charts and their index.
//! - [`TagServer`]: a registry with as many tags as one likes.
//! - [`ObjectStore`]: an S3 server.
//! - [`Controller`]: one of our binaries as a child process that can be killed and started again.
//!   Where the control plane is shared, it is a service account with the roles of an installation.
//! - [`ChartServer`]: charts that tests write, handed out as artifacts.
//! - [`SshServer`], [`ForwardProxy`]: other ways to a git server.
//! - [`Sink`]: a web server that keeps what is posted to it.
//! - [`ApiProxy`]: stands between a controller and the API server, and does what networks and API servers do.
//! - [`AdmissionWebhook`]: refuses what it is asked about.
//! - [`Link`]: stands between any two parts, and cuts or slows what passes.
//! - [`wait`]: wait for a state of the world with a deadline; a failure shows what was seen last.
//!
//! Nothing here reads or writes the kubeconfig or the git configuration of the person who runs it, and nothing ships.
//! Start reading at [`ControlPlane::shared`].

mod api_proxy;
mod audit;
mod certificates;
mod charts;
mod child;
mod connections;
mod control_plane;
mod controller;
mod crds;
mod file_server;
mod git_server;
mod identities;
mod link;
mod namespace;
mod object_store;
mod objects;
mod programs;
mod proxy;
mod registry;
mod sink;
mod socks;
mod ssh_server;
mod tag_server;
mod token_server;
mod usage;
pub mod wait;
mod webhook;

pub use api_proxy::{ApiCall, ApiFault, ApiProxy};
pub use audit::{Audit, Call};
pub use charts::{ChartServer, ServedChart, TestChart};
pub use child::Child;
pub use control_plane::{ControlPlane, Facts, Options};
pub use controller::{Controller, ControllerBuilder, LogLine};
pub use crds::{crd_files, install_crds};
pub use file_server::{FileServer, Misbehaviour};
pub use git_server::{Access, Fault, GitServer, GitServerBuilder, Operation, Repository, Request};
pub use identities::{account_kubeconfig, of_controller};
pub use link::{Link, LinkState};
pub use namespace::Namespace;
pub use object_store::ObjectStore;
pub use objects::{Cluster, condition, documents, reason};
pub use programs::{CONTROLLERS, binaries, workspace};
pub use proxy::ForwardProxy;
pub use registry::{Registry, RegistryBuilder};
pub use sink::{Delivery, Sink};
pub use socks::SocksProxy;
pub use ssh_server::SshServer;
pub use tag_server::TagServer;
pub use usage::Usage;
pub use webhook::AdmissionWebhook;
