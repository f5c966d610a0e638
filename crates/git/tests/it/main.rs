//! Tests against git's own server program on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod fetching;
mod hostile;
mod server;
