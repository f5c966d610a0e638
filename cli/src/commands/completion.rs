//! `completion`: shells complete commands, flags, and the names of what is in the cluster.
//!
//! The scripts are short: each asks `sluice __complete` with the words so far and offers the lines that come back.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Command, ValueEnum};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::app::App;
use crate::arguments;
use crate::commands::plugin;
use crate::kinds::{KINDS, Kind};

/// Flags of `completion`.
#[derive(Args)]
pub(crate) struct CompletionArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    Power,
}

/// The words so far; the last one is being written.
#[derive(Args)]
pub(crate) struct CompleteArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

const BASH: &str = r#"# sluice completion for bash; load it with: source <(sluice completion bash)
_sluice() {
    local IFS=$'\n'
    COMPREPLY=($(sluice __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _sluice sluice
"#;

const ZSH: &str = r#"#compdef sluice
# sluice completion for zsh; load it with: source <(sluice completion zsh)
_sluice() {
    local -a lines described
    local line
    lines=("${(@f)$(sluice __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        [[ -n $line ]] && described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    (( ${#described} )) && _describe sluice described || _files
}
compdef _sluice sluice
"#;

const FISH: &str = r"# sluice completion for fish; load it with: sluice completion fish | source
function __sluice_complete
    set -l words (commandline -opc) (commandline -ct)
    sluice __complete -- $words[2..-1] 2>/dev/null
end
complete -c sluice -f -a '(__sluice_complete)'
";

const POWERSHELL: &str = r#"# sluice completion for PowerShell; load it with: sluice completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName sluice -ScriptBlock {
    param($word, $ast, $position)
    $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($word -eq '') { $words += '""' }
    sluice __complete -- $words 2>$null | ForEach-Object {
        $text, $help = $_ -split "`t", 2
        if (-not $help) { $help = $text }
        [System.Management.Automation.CompletionResult]::new($text, $text, 'ParameterValue', $help)
    }
}
"#;

pub(crate) fn run(app: &App, args: &CompletionArgs) -> Result<()> {
    app.output.data(match args.shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        Shell::Power => POWERSHELL,
    })
}

/// What can follow.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// One of these, with what it means.
    Words(Vec<(String, String)>),
    /// The name of an object of a kind.
    Object(&'static Kind),
    /// A namespace.
    Namespace,
    /// A context of the kubeconfig.
    Context,
}

/// Nobody waits longer for a key.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn complete(app: &App, args: CompleteArgs) -> Result<()> {
    let (last, before) =
        args.words.split_last().map_or(("", [].as_slice()), |(last, before)| (last.as_str(), before));
    let last = last.trim_matches('"');
    let (wanted, namespace) = wanted(&arguments::command(), before, last);
    let lines = match wanted {
        Wanted::Words(mut words) => {
            if before.is_empty() {
                let plugins = plugin::installed().into_iter().filter(|plugin| plugin.name.starts_with(last));
                words.extend(plugins.map(|plugin| (plugin.name, "A plugin".to_owned())));
            }
            words
        }
        Wanted::Context => named(app.globals.connection.contexts()),
        // A cluster that does not answer offers nothing; the shell shows no errors.
        Wanted::Namespace => tokio::time::timeout(PATIENCE, namespaces(app))
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default(),
        Wanted::Object(kind) => {
            let names = objects(app, kind, namespace);
            tokio::time::timeout(PATIENCE, names).await.ok().and_then(Result::ok).unwrap_or_default()
        }
    };
    let shown = lines.iter().filter(|(word, _)| word.starts_with(last));
    app.output.data(shown.fold(String::new(), |text, (word, help)| text + word + "\t" + help + "\n"))
}

fn named(names: Vec<String>) -> Vec<(String, String)> {
    names.into_iter().map(|name| (name, String::new())).collect()
}

async fn namespaces(app: &App) -> Result<Vec<(String, String)>> {
    let namespaces: Api<Namespace> = Api::all(app.cluster().await?.client.clone());
    Ok(named(
        namespaces.list(&ListParams::default()).await?.items.iter().map(ResourceExt::name_any).collect(),
    ))
}

async fn objects(app: &App, kind: &Kind, namespace: Option<String>) -> Result<Vec<(String, String)>> {
    let namespace = namespace.map_or_else(|| app.namespace(), Ok)?;
    let objects = app.cluster().await?.list(kind, Some(&namespace), ListParams::default()).await?;
    Ok(objects
        .iter()
        .map(|object| (object.name().to_owned(), kind.state(object).1.replace(['\n', '\t'], " ")))
        .collect())
}

/// What can follow some words, and the namespace that they name.
fn wanted(root: &Command, before: &[String], last: &str) -> (Wanted, Option<String>) {
    let mut command = root;
    let mut path: Vec<&str> = Vec::new();
    let mut namespace = None;
    let mut words = before.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some(value) = word.strip_prefix("--namespace=") {
            namespace = Some(value.to_owned());
        } else if word.starts_with('-') {
            if takes_value(root, command, word) {
                match words.next() {
                    Some(value) if matches!(word, "-n" | "--namespace") => namespace = Some(value.to_owned()),
                    Some(_) => {}
                    None => return (value_of(root, command, word), namespace),
                }
            }
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
            path.push(next.get_name());
        }
    }
    if last.starts_with('-') {
        let flags = command.get_arguments().chain(root.get_arguments()).filter(|arg| !arg.is_hide_set());
        let flags = flags.filter_map(|arg| {
            Some((
                format!("--{}", arg.get_long()?),
                arg.get_help().map(ToString::to_string).unwrap_or_default(),
            ))
        });
        return (Wanted::Words(flags.collect()), namespace);
    }
    if command.has_subcommands() {
        let commands = command.get_subcommands().filter(|command| !command.is_hide_set()).map(|command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            (command.get_name().to_owned(), about)
        });
        return (Wanted::Words(commands.collect()), namespace);
    }
    if let Some(possible) = command.get_positionals().next().map(|arg| arg.get_possible_values())
        && !possible.is_empty()
    {
        return (
            Wanted::Words(named(possible.iter().map(|value| value.get_name().to_owned()).collect())),
            namespace,
        );
    }
    let named_by = |kind: &&Kind| {
        let noun = path.get(1..).unwrap_or_default();
        let singular = |word: &str, noun: &str| word == noun || word.strip_suffix('s') == Some(noun);
        path.first().is_some_and(|verb| *verb != "create")
            && noun.len() == kind.noun.len()
            && noun.iter().zip(kind.noun).all(|(word, noun)| singular(word, noun))
    };
    match KINDS.into_iter().find(named_by) {
        Some(kind) => (Wanted::Object(kind), namespace),
        None => (Wanted::Words(Vec::new()), namespace),
    }
}

fn argument<'a>(root: &'a Command, command: &'a Command, flag: &str) -> Option<&'a clap::Arg> {
    let mut arguments = command.get_arguments().chain(root.get_arguments());
    arguments.find(|arg| match flag.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| flag == format!("-{short}")),
    })
}

fn takes_value(root: &Command, command: &Command, flag: &str) -> bool {
    !flag.contains('=')
        && argument(root, command, flag)
            .is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
}

fn value_of(root: &Command, command: &Command, flag: &str) -> Wanted {
    match flag {
        "-n" | "--namespace" => Wanted::Namespace,
        "--context" => Wanted::Context,
        _ => {
            let possible =
                argument(root, command, flag).map(clap::Arg::get_possible_values).unwrap_or_default();
            Wanted::Words(named(possible.iter().map(|value| value.get_name().to_owned()).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{GIT_REPOSITORY, KUSTOMIZATION};

    fn after(line: &str, last: &str) -> (Wanted, Option<String>) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        wanted(&arguments::command(), &words, last)
    }

    fn words(line: &str, last: &str) -> Vec<String> {
        match after(line, last).0 {
            Wanted::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_flags_and_values_are_offered() {
        assert!(words("", "").contains(&"reconcile".to_owned()));
        assert!(words("get", "").contains(&"kustomizations".to_owned()));
        assert!(words("get sources", "").contains(&"git".to_owned()));
        assert!(words("get ks", "--").contains(&"--status-selector".to_owned()));
        assert!(words("get ks -o", "").contains(&"yaml".to_owned()));
        assert!(words("completion", "").contains(&"bash".to_owned()));
        assert!(!words("", "").contains(&"__complete".to_owned()));
    }

    #[test]
    fn names_come_from_the_cluster() {
        assert_eq!(after("reconcile ks", ""), (Wanted::Object(&KUSTOMIZATION), None));
        assert_eq!(after("reconcile source git", ""), (Wanted::Object(&GIT_REPOSITORY), None));
        assert_eq!(after("get kustomizations -n apps --no-header", "").1.as_deref(), Some("apps"));
        assert_eq!(after("tree kustomization", "").0, Wanted::Object(&KUSTOMIZATION));
        assert_eq!(after("get ks -n", "").0, Wanted::Namespace);
        assert_eq!(after("--context", "").0, Wanted::Context);
    }
}
