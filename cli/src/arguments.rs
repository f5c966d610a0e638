//! The command line: global flags, and flags as Go's tools read them.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};

use crate::cluster::Connection;
use crate::commands;

/// Command line of Sluice: look at, drive and set up a GitOps installation, on any cluster that runs Sluice or Flux.
#[derive(Parser)]
#[command(name = "sluice", version, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_version_flag = true, max_term_width = 110, propagate_version = false)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: commands::Command,
    /// Print the version of this program.
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// The flags that every command has.
#[derive(Args, Clone, Debug)]
pub(crate) struct Globals {
    /// The namespace to work in [default: flux-system, or $FLUX_SYSTEM_NAMESPACE].
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) namespace: Option<String>,
    /// Work in the namespace of the kubeconfig's context, unless --namespace is given.
    #[arg(long, global = true, help_heading = "Global options", hide_short_help = true)]
    pub(crate) ns_follows_kube_context: bool,
    /// How long the whole operation may take, such as 90s or 5m0s.
    #[arg(long, global = true, help_heading = "Global options", default_value = "5m0s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Print generated objects.
    #[arg(long, global = true, help_heading = "Global options", hide_short_help = true)]
    pub(crate) verbose: bool,
    #[command(flatten, next_help_heading = "Connection options")]
    pub(crate) connection: Connection,
}

/// Reads a command line.
pub(crate) fn parse(words: &[OsString]) -> Result<CommandLine, clap::Error> {
    match read(words) {
        Err(error) if error.kind() == ErrorKind::UnknownArgument => {
            reordered(words.to_vec(), &error, MOVES).ok_or(error)
        }
        outcome => outcome,
    }
}

/// A good command line of an engine, `sluice helm …` or `sluice kustomize …`. Most of the time and memory that a small
/// chart or overlay takes would go into the tree of all commands, so only theirs is made. Whatever else the line may be
/// is left to the whole tree, which has the words for it.
fn read_engine(words: &[OsString]) -> Option<CommandLine> {
    let (globals, command) = match words.get(1)?.to_str()? {
        "helm" => read_only("helm", words).map(|(globals, args)| (globals, commands::Command::Helm(args)))?,
        "kustomize" => read_only("kustomize", words)
            .map(|(globals, args)| (globals, commands::Command::Kustomize(args)))?,
        _ => return None,
    };
    Some(CommandLine { globals, command, version: None })
}

/// The global flags and what follows the only command that is known.
fn read_only<T: Args>(name: &'static str, words: &[OsString]) -> Option<(Globals, T)> {
    let program = Command::new("sluice").disable_version_flag(true).subcommand_required(true);
    let program = Globals::augment_args(program).subcommand(T::augment_args(Command::new(name)));
    let matches = as_go(program).try_get_matches_from(words).ok()?;
    let (_, inner) = matches.subcommand()?;
    Some((Globals::from_arg_matches(&matches).ok()?, T::from_arg_matches(inner).ok()?))
}

fn read(words: &[OsString]) -> Result<CommandLine, clap::Error> {
    if let Some(line) = read_engine(words) {
        return Ok(line);
    }
    let matches = command().try_get_matches_from(words)?;
    let mut line = CommandLine::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))?;
    if has_own_token(&matches) {
        line.globals.connection.forget_token();
    }
    Ok(line)
}

/// Whether `--token` is a flag of the command itself, and not that of the connection to the API server.
fn has_own_token(matches: &ArgMatches) -> bool {
    let mut path = Vec::new();
    let mut inner = matches.subcommand();
    while let Some((name, matches)) = inner {
        path.push(name);
        inner = matches.subcommand();
    }
    [&["create", "secret", "receiver"][..], &["trigger", "receiver"]].contains(&path.as_slice())
}

/// How many flags may stand before the command that they belong to.
const MOVES: usize = 6;

/// Go's tools take the flags of a command before its name too, as in `get -A kustomizations`: a flag that is not known
/// where it stands is read at the end, alone or with the word after it.
fn reordered(words: Vec<OsString>, error: &clap::Error, moves: usize) -> Option<CommandLine> {
    if moves == 0 || words.iter().any(|word| word == "--") {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let given = |word: &OsString| {
        let text = word.to_string_lossy();
        text == *flag || text.split_once('=').is_some_and(|(name, _)| name == flag)
    };
    let at = words.iter().position(given)?;
    if at + 1 >= words.len() {
        return None;
    }
    [1, 2].into_iter().find_map(|count| {
        let mut moved = words.clone();
        let flag: Vec<OsString> = moved.drain(at..at + count).collect();
        moved.extend(flag);
        match read(&moved) {
            Ok(line) => Some(line),
            Err(again) if again.kind() == ErrorKind::UnknownArgument => {
                let progress = again.get(ContextKind::InvalidArg) != error.get(ContextKind::InvalidArg);
                if progress { reordered(moved, &again, moves - 1) } else { None }
            }
            Err(_) => None,
        }
    })
}

/// The tree of commands.
pub(crate) fn command() -> Command {
    as_go(CommandLine::command())
}

/// What Go's flag library does everywhere: a switch takes `=false`, and of a flag that is repeated the last one counts.
fn as_go(command: Command) -> Command {
    command
        .args_override_self(true)
        .mut_args(|arg| match arg.get_action() {
            ArgAction::SetTrue => switch(arg),
            _ => arg,
        })
        .mut_subcommands(as_go)
}

fn switch(arg: Arg) -> Arg {
    // Set one by one because a default of `true` (--progress-bar) must survive.
    let arg = if arg.get_default_values().is_empty() { arg.default_value("false") } else { arg };
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_default_value(true)
        .hide_possible_values(true)
        .value_name("BOOL")
        .value_parser(boolean)
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false is expected".into()),
    }
}

/// A duration as Go writes it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = sluice_duration::parse(text).map_err(|error| error.to_string())?;
    sluice_duration::to_std(nanoseconds).ok_or_else(|| "a duration cannot be negative".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn read(line: &str) -> Result<CommandLine, clap::Error> {
        parse(&words(line))
    }

    #[test]
    fn the_tree_of_commands_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn switches_take_go_booleans_and_the_last_one_counts() {
        assert!(read("sluice get all --ns-follows-kube-context").unwrap().globals.ns_follows_kube_context);
        assert!(!read("sluice get all --verbose --verbose=F").unwrap().globals.verbose);
        assert!(read("sluice get all --verbose=0 --verbose=T").unwrap().globals.verbose);
        assert!(read("sluice get all --verbose=yes").is_err());
    }

    #[test]
    fn flags_may_stand_before_the_command_that_has_them() {
        for line in [
            "sluice get -A kustomizations",
            "sluice get --status-selector ready=false -A ks",
            "sluice -n apps get --show-source ks",
            "sluice bootstrap --components-extra=image-controller git --url x",
        ] {
            assert!(parse(&words(line)).is_ok(), "{line}");
        }
        let error = parse(&words("sluice get --nothing ks")).err().unwrap();
        assert!(error.to_string().contains("--nothing"), "{error}");
    }

    #[test]
    fn the_token_of_a_receiver_is_not_that_of_the_api_server() {
        let line = read("sluice create secret receiver x --type=github --hostname=h --token=abc").unwrap();
        assert!(!line.globals.connection.has_token());
        assert!(read("sluice get ks --token=abc").unwrap().globals.connection.has_token());
    }

    #[test]
    fn lists_keep_all_their_values() {
        let line = read("sluice helm template x . --set a=1 --set b=2 -f a,b -f c").unwrap();
        let commands::Command::Helm(args) = line.command else { panic!("another command") };
        assert_eq!(args.given(), (2, 3));
    }

    #[test]
    fn the_short_way_to_engines_reads_what_the_whole_tree_reads() {
        let line = "sluice helm template x . -n apps --set a=1 --include-crds --timeout=1s --verbose=false";
        let short = read_engine(&words(line)).unwrap();
        assert_eq!(short.globals.namespace.as_deref(), Some("apps"));
        assert_eq!(short.globals.timeout, Duration::from_secs(1));
        let short = read_engine(&words("sluice kustomize build a -o b --enable-helm=false")).unwrap();
        assert!(matches!(short.command, commands::Command::Kustomize(_)));
        for line in [
            "sluice get all",
            "sluice helm --help",
            "sluice helm template --nothing",
            "sluice -n a helm lint",
            "sluice kustomize",
            "sluice kustomize build --nothing",
        ] {
            assert!(read_engine(&words(line)).is_none(), "{line}");
        }
    }

    /// The lines of `sh` blocks of a page that begin with our name.
    fn commands(page: &str) -> Vec<String> {
        let mut inside = false;
        let lines = page.lines().filter(|line| {
            if line.starts_with("```") {
                inside = *line == "```sh";
            }
            inside && line.starts_with("sluice ")
        });
        lines.map(|line| line.split("  #").next().unwrap_or(line).to_owned()).collect()
    }

    #[test]
    fn every_command_of_the_guides_is_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut pages = vec![root.join("README.md"), root.join("docs/getting-started.md")];
        let guides = std::fs::read_dir(root.join("docs/guides")).unwrap();
        pages.extend(guides.map(|entry| entry.unwrap().path()));
        let examples = std::fs::read_dir(root.join("examples")).unwrap();
        pages.extend(examples.map(|entry| entry.unwrap().path().join("README.md")));
        let mut count = 0;
        for page in pages {
            for line in commands(&std::fs::read_to_string(&page).unwrap()) {
                let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
                let parsed = parse(&words);
                assert!(parsed.is_ok(), "{}: {line}: {}", page.display(), parsed.err().unwrap());
                count += 1;
            }
        }
        assert!(count > 25, "only {count} commands were found");
    }

    #[test]
    fn durations_are_those_of_go_and_global_flags_stand_anywhere() {
        let line = read("sluice --timeout 1h0m0s get -n apps all --timeout=500ms").unwrap();
        assert_eq!(line.globals.timeout, Duration::from_millis(500));
        assert_eq!(line.globals.namespace.as_deref(), Some("apps"));
        assert!(read("sluice get all --timeout=-1s").is_err());
    }
}
