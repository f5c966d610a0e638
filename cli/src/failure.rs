//! From an error to what a person reads and a script sees.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::app::App;
use crate::cluster::Cluster;
use crate::output::{ClosedPipe, Output};

/// An error that ends the program with a code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}")]
pub(crate) struct Exit {
    /// The code.
    pub(crate) code: u8,
    /// What stands before the message.
    pub(crate) mark: Mark,
    /// What is printed.
    pub(crate) error: anyhow::Error,
}

/// What an error begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `✗`.
    Symbol,
    /// `⚠️`: what was asked for was found out, and it is not what one hopes for.
    Warning,
    /// `Error:`, as the tool prints it that a command stands for.
    Word,
    /// Nothing.
    Bare,
}

impl Exit {
    /// An error of a command that stands for another tool.
    pub(crate) fn as_tool(error: anyhow::Error) -> anyhow::Error {
        Self::with(1, Mark::Word, error)
    }

    /// An error with a code of its own.
    pub(crate) fn with(code: u8, mark: Mark, error: anyhow::Error) -> anyhow::Error {
        if error.is::<Self>() || error.is::<ClosedPipe>() {
            return error;
        }
        Self { code, mark, error }.into()
    }

    /// The code that an error ends the program with.
    pub(crate) fn of(error: &anyhow::Error) -> u8 {
        if error.is::<ClosedPipe>() {
            // What a shell reports for a program that a closed pipe ended.
            return 141;
        }
        error.downcast_ref::<Self>().map_or(1, |exit| exit.code)
    }
}

/// An error and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}")]
pub(crate) struct Hinted {
    error: anyhow::Error,
    hint: String,
}

/// A command line that its parser lets pass and its command does not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

/// Something that is missing or wrong on the command line. The help of the command is pointed to.
pub(crate) fn misuse(problem: impl Into<String>) -> anyhow::Error {
    Misuse(problem.into()).into()
}

/// Where to read what a command takes: its words up to the first flag, with `--help`.
fn help_of(words: &[OsString]) -> String {
    let command = words.iter().skip(1).map(|word| word.to_string_lossy());
    let command: Vec<_> = command.take_while(|word| !word.starts_with('-')).collect();
    let command = [&["sluice".into()], command.as_slice(), &["--help".into()]].concat().join(" ");
    format!("`{command}` tells what it takes")
}

/// Adds what to do about an error.
pub(crate) fn hinted(error: anyhow::Error, hint: impl Into<String>) -> anyhow::Error {
    Hinted { error, hint: hint.into() }.into()
}

/// The text of an error with its causes.
pub(crate) fn text(error: &anyhow::Error) -> String {
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return text(&exit.error);
    }
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return text(&hinted.error);
    }
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<kube::Error>() {
            parts.push(of_kube(error));
            break;
        }
        if let Some(error) = cause.downcast_ref::<kube::runtime::watcher::Error>()
            && let Some(error) = of_watch(error)
        {
            parts.push(of_kube(error));
            break;
        }
        let part = cause.to_string();
        // A library that repeats its cause is not repeated again.
        if parts.last().is_none_or(|last| !last.ends_with(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

/// What the client says, if it is behind an error of a watch.
pub(crate) fn of_watch(error: &kube::runtime::watcher::Error) -> Option<&kube::Error> {
    use kube::runtime::watcher::Error;
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
            Some(error)
        }
        _ => None,
    }
}

/// What the API server said, or what is in the way of asking it.
pub(crate) fn of_kube(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.trim().is_empty() => status.message.trim().to_owned(),
        kube::Error::Api(status) => format!("the API server answered {} {}", status.code, status.reason),
        kube::Error::InferKubeconfig(error) => error.to_string(),
        other => {
            let cause = deepest(other);
            cause.downcast_ref::<std::io::Error>().map_or_else(|| cause.to_string(), io)
        }
    }
}

/// An error of the operating system without its number.
pub(crate) fn io(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        // As Go says it.
        Some((text, _)) => text[..1].to_ascii_lowercase() + &text[1..],
        None => text,
    }
}

fn deepest<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// The client's error behind an error.
pub(crate) fn kube_error(error: &anyhow::Error) -> Option<&kube::Error> {
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return kube_error(&exit.error);
    }
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return kube_error(&hinted.error);
    }
    error.chain().find_map(|cause| {
        cause
            .downcast_ref::<kube::Error>()
            .or_else(|| cause.downcast_ref::<kube::runtime::watcher::Error>().and_then(of_watch))
    })
}

fn hint(error: &anyhow::Error, cluster: Option<&Cluster>) -> Option<String> {
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return hint(&exit.error, cluster);
    }
    if let Some(hinted) = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>()) {
        return Some(hinted.hint.clone());
    }
    let place = || cluster.map_or_else(|| "the API server".to_owned(), |cluster| cluster.server.clone());
    match kube_error(error)? {
        kube::Error::Api(status) => match status.code {
            401 => Some(format!(
                "{} does not know you: are the credentials of your kubeconfig still valid?",
                place()
            )),
            403 => Some(
                "ask for a role that allows this, or use another context (--context) or user (--as)".into(),
            ),
            404 if is_missing_resource(status) => {
                Some("the cluster does not know this kind: is Sluice installed? See `sluice check`".into())
            }
            _ => None,
        },
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            Some(format!("{} cannot be reached: is it running, and is this the right --context?", place()))
        }
        _ => None,
    }
}

/// Whether no answer came, so that there is none to be had for another question either.
pub(crate) fn is_unreachable(error: &anyhow::Error) -> bool {
    matches!(kube_error(error), Some(kube::Error::Service(_) | kube::Error::HyperError(_)))
}

/// An error of something that can be done again: after what is to be done about it, the same command goes on.
pub(crate) fn resumable(error: anyhow::Error, cluster: Option<&Cluster>) -> anyhow::Error {
    if error.is::<ClosedPipe>() || error.is::<Exit>() || error.chain().any(|cause| cause.is::<Hinted>()) {
        return error;
    }
    let next = "run the same command again: it keeps what is done and goes on from there";
    let hint = hint(&error, cluster).map_or_else(|| next.to_owned(), |first| format!("{first}; then {next}"));
    hinted(error, hint)
}

/// Failures that do not end a command: each is told where it happens, what to do about them once at the end.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) count: usize,
    last: String,
    hint: Option<String>,
}

impl Failures {
    /// Tells of a failure, unless it is the last one again, as it is when a server cannot be reached.
    pub(crate) fn tell(&mut self, app: &App, subject: Option<&str>, error: &anyhow::Error) {
        self.count += 1;
        self.hint = self.hint.take().or_else(|| hint(error, app.known_cluster()));
        let text = subject.map_or_else(|| text(error), |subject| format!("{subject}: {}", text(error)));
        if text != self.last {
            app.output.failure(&text);
        }
        self.last = text;
    }

    /// Says what to do about them.
    pub(crate) fn advise(&self, app: &App) {
        if let Some(hint) = &self.hint {
            app.output.hint(hint);
        }
    }
}

/// Whether a 404 means that the kind is not installed, and not that an object is missing.
pub(crate) fn is_missing_resource(status: &kube::core::Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|details| details.name.is_empty())
}

/// Prints an error that ends the program. `words`: the command line.
pub(crate) fn report(output: &Output, error: &anyhow::Error, cluster: Option<&Cluster>, words: &[OsString]) {
    if error.is::<ClosedPipe>() {
        return;
    }
    match error.downcast_ref::<Exit>().map_or(Mark::Symbol, |exit| exit.mark) {
        Mark::Symbol => output.failure(&text(error)),
        Mark::Warning => output.warning(&text(error)),
        Mark::Bare => output.say(&text(error)),
        Mark::Word => output.say(&format!("Error: {}", text(error))),
    }
    let misused = || error.chain().any(|cause| cause.is::<Misuse>()).then(|| help_of(words));
    if let Some(hint) = hint(error, cluster).or_else(misused) {
        output.hint(&hint);
    }
}

/// Prints what is wrong with a command line, or the help that was asked for.
pub(crate) fn usage(output: &Output, error: &clap::Error, words: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nothing was asked for: no failure, as in the reference.
            let _ = output.data(error.to_string());
            ExitCode::SUCCESS
        }
        _ => {
            // The first paragraph tells what is wrong; the rest is advice and usage.
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or(&text);
            let what = what.strip_prefix("error: ").unwrap_or(what);
            output.failure(&what.lines().map(str::trim).collect::<Vec<_>>().join(" "));
            let mut advised = false;
            let mut advise = |text: &str| {
                advised = true;
                output.hint(text);
            };
            for kind in
                [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
            {
                match error.get(kind) {
                    Some(ContextValue::String(word)) => advise(&format!("did you mean `{word}`?")),
                    Some(ContextValue::Strings(words)) if !words.is_empty() => {
                        advise(&format!("did you mean `{}`?", words.join("` or `")));
                    }
                    _ => {}
                }
            }
            if !advised {
                output.hint(&help_of(words));
            }
            // Whoever runs `diff` in a pipeline takes 1 for drift.
            let differs = words.get(1).is_some_and(|word| word == "diff");
            ExitCode::from(if differs { 2 } else { 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_text_of_an_error_has_its_causes_once() {
        let error = anyhow::anyhow!("no such file").context("cannot read a.yaml");
        assert_eq!(text(&error), "cannot read a.yaml: no such file");
        let repeated = anyhow::anyhow!("inner").context("outer: inner");
        assert_eq!(text(&repeated), "outer: inner");
    }

    #[test]
    fn an_error_of_the_client_is_told_in_the_words_of_the_server() {
        let status = kube::core::Status { code: 403, message: "no".into(), ..Default::default() };
        let error: anyhow::Error = kube::Error::Api(Box::new(status)).into();
        assert_eq!(text(&error), "no");
        assert_eq!(text(&Err::<(), _>(error).context("list").unwrap_err()), "list: no");
    }

    #[test]
    fn codes_survive_and_a_closed_pipe_is_silent() {
        let error: anyhow::Error = Exit::with(2, Mark::Symbol, anyhow::anyhow!("x"));
        assert_eq!((Exit::of(&error), text(&error).as_str()), (2, "x"));
        assert_eq!(Exit::of(&Exit::as_tool(error)), 2);
        assert_eq!(Exit::of(&ClosedPipe.into()), 141);
        assert_eq!(Exit::of(&anyhow::anyhow!("x")), 1);
    }
}
