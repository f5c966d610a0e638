//! Tests against git's own server program on loopback.

#![expect(clippy::print_stderr, reason = "says what is not tested for want of a program")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod caching;
mod fetching;
mod hostile;
mod pushing;
mod server;
mod ssh;
mod submodules;
mod verifying;
