//! From the words of a command line to an exit code, and what every command gets.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::error::ErrorKind;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::arguments::{self, Globals};
use crate::cluster::Cluster;
use crate::commands::plugin::Plugin;
use crate::commands::{Command, kustomize};
use crate::failure::{self, Exit};
use crate::output::Output;

/// What a command works with: the flags that all share, where to print, and the cluster once it is asked for.
pub(crate) struct App {
    pub(crate) globals: Globals,
    pub(crate) output: Output,
    /// When `--timeout` is over.
    pub(crate) deadline: Instant,
    cluster: OnceCell<Cluster>,
}

impl App {
    pub(crate) fn new(globals: Globals, output: Output) -> Self {
        let deadline = Instant::now() + globals.timeout;
        Self { globals, output, deadline, cluster: OnceCell::new() }
    }

    /// The cluster; the first call reads the kubeconfig.
    pub(crate) async fn cluster(&self) -> Result<&Cluster> {
        self.cluster.get_or_try_init(|| Cluster::connect(&self.globals.connection)).await
    }

    /// The cluster, if it was asked for.
    pub(crate) fn known_cluster(&self) -> Option<&Cluster> {
        self.cluster.get()
    }

    /// The namespace that the command is about.
    pub(crate) fn namespace(&self) -> Result<String> {
        let given = &self.globals.namespace;
        if let Some(namespace) = given {
            if !is_dns_label(namespace) {
                bail!("namespace must be a valid DNS label: {namespace:?}");
            }
            return Ok(namespace.clone());
        }
        let follows = std::env::var("FLUX_NS_FOLLOWS_KUBE_CONTEXT").is_ok_and(|value| !value.is_empty());
        if (self.globals.ns_follows_kube_context || follows)
            && let Some(namespace) = self.globals.connection.context_namespace()?
        {
            return Ok(namespace);
        }
        match std::env::var("FLUX_SYSTEM_NAMESPACE") {
            Ok(namespace) if is_dns_label(&namespace) => Ok(namespace),
            Ok(namespace) if !namespace.is_empty() => {
                self.output
                    .warning(&format!("ignoring FLUX_SYSTEM_NAMESPACE: {namespace:?} is no valid DNS label"));
                Ok(sluice_api::meta::DEFAULT_NAMESPACE.to_owned())
            }
            _ => Ok(sluice_api::meta::DEFAULT_NAMESPACE.to_owned()),
        }
    }

    /// Runs something that `--timeout` limits.
    pub(crate) async fn bounded<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.deadline, work).await {
            Ok(result) => result,
            Err(_) => bail!("{what}: timed out after {}", sluice_duration::format_std(self.globals.timeout)),
        }
    }
}

/// Whether a text can be the name of a namespace.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
        && bytes.first().is_some_and(|&byte| inner(byte))
        && bytes.last().is_some_and(|&byte| inner(byte))
}

/// The whole program.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let output = Output::standard();
    let parsed = match arguments::parse(&words) {
        Ok(parsed) => parsed,
        Err(error) if error.kind() == ErrorKind::InvalidSubcommand => {
            if let Some((plugin, words)) = Plugin::meant_by(&words) {
                output.failure(&plugin.run(words));
                return ExitCode::FAILURE;
            }
            return failure::usage(&output, &error, &words);
        }
        Err(error) => return failure::usage(&output, &error, &words),
    };
    let app = App::new(parsed.globals, output);
    let (result, runtime) = match parsed.command {
        // An overlay on a disk needs no runtime, which would be a good part of the memory that it takes.
        Command::Kustomize(args) => (kustomize::run(&app, &args), None),
        command => match runtime(if command.is_local() { 0 } else { 2 }) {
            Ok(runtime) => (runtime.block_on(command.run(&app)), Some(runtime)),
            Err(error) => {
                app.output.failure(&format!("the program cannot start: {error}"));
                return ExitCode::FAILURE;
            }
        },
    };
    app.output.finish();
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = Exit::of(&error);
            failure::report(&app.output, &error, app.known_cluster(), &words);
            ExitCode::from(code)
        }
    };
    // Threads that still read from a terminal or a server must not keep the program alive.
    if let Some(runtime) = runtime {
        runtime.shutdown_background();
    }
    code
}

/// What waits for servers, on so many threads of its own, or with none on the thread that waits for the result.
pub(crate) fn runtime(threads: usize) -> std::io::Result<Runtime> {
    // Two providers of TLS could be linked one day; this is the one that is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder.enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::is_dns_label;

    #[test]
    fn a_namespace_is_a_dns_label() {
        assert!(is_dns_label("flux-system") && is_dns_label("a") && is_dns_label("0a"));
        for wrong in ["", "-a", "a-", "A", "a.b", &"a".repeat(64)] {
            assert!(!is_dns_label(wrong), "{wrong}");
        }
    }
}
