//! Cases on a real API server, one module for each subject. They share one control plane and can run beside each other.

mod adverse;
mod apply;
mod artifact;
mod bad_input;
mod bootstrap;
mod bucket;
mod charts;
mod cli;
mod control_plane;
mod crash;
mod git_repository;
mod gitops;
mod helm;
mod helm_release;
mod images;
mod install;
mod manifests;
mod notification;
mod oci_repository;
mod old_manifests;
mod setting;
mod sources;
mod steps;
mod sync;
mod teardown;
mod tenancy;
