//! Cases on a real API server, one module for each subject. They share one control plane and can run beside each other.

mod control_plane;
mod manifests;
mod setting;
mod teardown;
