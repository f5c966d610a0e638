//! Tests of the artifact crate: reference answers, hostile input, real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod archive;
mod extract;
mod fetch;
mod ignore;
mod spool;
mod storage;
