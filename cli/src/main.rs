//! `sluice`: the command line of Sluice.
//!
//! It speaks to the API server as any client does and to the engines as a library user does; it never speaks to a
//! controller. What a command finds goes to stdout; what it does, and what goes wrong, goes to stderr.
//!
//! Enter at [`commands`], where each verb has a file; [`kinds`] is the table that the verbs are generic over, and
//! [`app::App`] is what each of them gets.

mod app;
mod arguments;
mod changes;
mod cluster;
mod documents;
mod failure;
mod fitness;
mod installation;
mod kinds;
mod manifests;
mod nouns;
mod object;
mod output;
mod progress;
mod resources;
mod schemas;
mod selector;
mod ssh;
mod table;
mod time;
mod wait;
mod web;

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main(std::env::args_os().collect())
}
