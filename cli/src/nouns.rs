//! `<verb> source git …`: the part of the command tree that is the same for many verbs, made from the table of kinds.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use crate::kinds::{KINDS, Kind};

/// A verb that is generic over kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Reconcile,
    Suspend,
    Resume,
    Delete,
    Export,
    Create,
}

/// The flags of a generic verb.
pub(crate) trait VerbArgs: Args + std::fmt::Debug {
    const VERB: Verb;

    /// Whether a flag, by its id, goes with a kind; `None` stands for several kinds.
    fn has_flag(id: &str, kind: Option<&Kind>) -> bool {
        let _ = (id, kind);
        true
    }

    /// The words after the verb that stand for several kinds, as paths.
    fn several() -> &'static [&'static [&'static str]] {
        &[]
    }

    /// Whether the verb's nouns are plurals.
    fn plural() -> bool {
        false
    }
}

/// What a verb is about, and its flags.
#[derive(Debug)]
pub(crate) struct Target<A> {
    /// One kind, or those that a word such as `all` stands for.
    pub(crate) kinds: Vec<&'static Kind>,
    /// Whether such a word was used.
    pub(crate) several: bool,
    pub(crate) args: A,
}

impl<A> Target<A> {
    /// The kind of a verb that takes one.
    pub(crate) fn kind(&self) -> &'static Kind {
        // Targets are made with one kind at least.
        self.kinds.first().copied().unwrap_or(&crate::kinds::KUSTOMIZATION)
    }
}

const GROUPS: [(&str, &str, &str); 3] = [
    ("source", "sources", "Sources: Git, OCI, Helm, buckets"),
    ("image", "images", "Image repositories, policies and automations"),
    ("artifact", "artifacts", "Generators of artifacts"),
];

fn group(word: &str) -> Option<(&'static str, &'static str, &'static str)> {
    GROUPS.into_iter().find(|(singular, plural, _)| *singular == word || *plural == word)
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['A', 'E', 'I', 'O', 'U']) { "An" } else { "A" }
}

fn leaf<A: VerbArgs>(kind: &'static Kind) -> Command {
    let [.., last] = kind.noun else { return Command::new(kind.kind) };
    let standalone = kind.noun.len() == 1;
    let plural = kind.plural_noun;
    let (name, other) = if A::plural() && standalone { (plural, *last) } else { (*last, plural) };
    let about = match A::VERB {
        Verb::Get => format!("{} objects", kind.kind),
        _ => format!("{} {} object", article(kind.kind), kind.kind),
    };
    let mut command = Command::new(name).visible_aliases(kind.aliases.iter().copied());
    if !plural.is_empty() {
        command = command.alias(other);
    }
    flags::<A>(command, Some(kind), &about)
}

/// Adds the verb's flags and hides those that do not go with the kind.
fn flags<A: VerbArgs>(command: Command, kind: Option<&Kind>, about: &str) -> Command {
    // The flags bring a description of their own, so that of the command is set last.
    A::augment_args(command)
        .about(about.to_owned())
        .long_about(None::<&str>)
        .mut_args(|arg| if A::has_flag(arg.get_id().as_str(), kind) { arg } else { arg.hide(true) })
}

impl<A: VerbArgs> Subcommand for Target<A> {
    fn augment_subcommands(command: Command) -> Command {
        let mut command = command.subcommand_required(true).arg_required_else_help(true);
        for path in A::several().iter().filter(|path| path.len() == 1) {
            command = command.subcommand(flags::<A>(Command::new(path[0]), None, "Objects of all kinds"));
        }
        for (singular, plural, about) in GROUPS {
            let members: Vec<_> = KINDS
                .into_iter()
                .filter(|kind| kind.noun.len() == 2 && kind.noun[0] == singular && kind.takes(A::VERB))
                .collect();
            if members.is_empty() {
                continue;
            }
            let (name, alias) = if A::plural() { (plural, singular) } else { (singular, plural) };
            let mut group = Command::new(name).about(about);
            group = if A::plural() { group.visible_alias(alias) } else { group.alias(alias) };
            group = group.subcommand_required(true).arg_required_else_help(true);
            for path in A::several().iter().filter(|path| path.len() == 2 && path[0] == singular) {
                group =
                    group.subcommand(flags::<A>(Command::new(path[1]), None, "Objects of all these kinds"));
            }
            command = command.subcommand(group.subcommands(members.into_iter().map(leaf::<A>)));
        }
        let alone = KINDS.into_iter().filter(|kind| kind.noun.len() == 1 && kind.takes(A::VERB));
        command.subcommands(alone.map(leaf::<A>))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        group(name).is_some() || KINDS.into_iter().any(|kind| kind.noun == [name])
    }
}

impl<A: VerbArgs> FromArgMatches for Target<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (first, inner) = matches.subcommand().ok_or_else(missing)?;
        let (path, matches) = match group(first) {
            Some((singular, _, _)) => {
                let (second, inner) = inner.subcommand().ok_or_else(missing)?;
                (vec![singular, second], inner)
            }
            None => (vec![first], inner),
        };
        let several = A::several().contains(&path.as_slice());
        let kinds: Vec<&'static Kind> = KINDS
            .into_iter()
            .filter(|kind| {
                if several {
                    // `all` leaves out what only has its own command.
                    kind.noun[0] != "artifact"
                        && (path.len() == 1 || kind.noun[0] == path[0])
                        && kind.takes(A::VERB)
                } else {
                    named(kind, &path)
                }
            })
            .collect();
        let kind = (!several).then(|| kinds.first().copied()).flatten();
        for id in matches.ids() {
            let given = matches.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine);
            if given && !A::has_flag(id.as_str(), kind) {
                let flag = id.as_str().replace('_', "-");
                let text = format!("the flag --{flag} does not go with {}\n\n", path.join(" "));
                return Err(clap::Error::raw(clap::error::ErrorKind::UnknownArgument, text));
            }
        }
        if kinds.is_empty() {
            return Err(missing());
        }
        Ok(Self { kinds, several, args: A::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Whether a path of words, with the names that commands are printed with, means a kind.
fn named(kind: &Kind, path: &[&str]) -> bool {
    let [path @ .., last] = path else { return false };
    let [noun @ .., noun_last] = kind.noun else { return false };
    path == noun && (last == noun_last || *last == kind.plural_noun)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use crate::arguments;

    fn accepted(line: &str) -> bool {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match arguments::parse(&words) {
            Ok(_) => true,
            Err(error) => error.kind() == clap::error::ErrorKind::DisplayHelp,
        }
    }

    #[test]
    fn every_spelling_of_the_reference_is_understood() {
        for line in [
            "get all -A",
            "get sources all",
            "get source git podinfo",
            "get ks",
            "get kustomizations",
            "get kustomization a",
            "get hr",
            "get helmreleases",
            "get images policy",
            "get image all",
            "get alert-providers",
            "get alert-provider",
            "get receivers",
            "get artifacts generators",
            "get artifact generator",
            "get sources external",
            "reconcile kustomization a --with-source",
            "reconcile ks a",
            "reconcile source git a",
            "reconcile hr a --force --reset",
            "reconcile image update a",
            "reconcile receiver a",
            "suspend ks a b",
            "suspend alert --all",
            "suspend alert-provider a",
            "resume source oci a --wait",
            "resume hr --all",
            "export source git --all --with-credentials",
            "export artifact generator a",
            "delete image policy a -s",
            "get ks --show-source",
        ] {
            assert!(accepted(&format!("sluice {line}")), "{line}");
        }
    }

    #[test]
    fn flags_and_kinds_that_do_not_go_together_are_refused() {
        for line in [
            "reconcile source git a --with-source",
            "reconcile ks a --force",
            "get sources git --show-source",
            "reconcile alert a",
            "delete source external a",
            "suspend artifact generator a",
            "get pods",
        ] {
            assert!(!accepted(&format!("sluice {line}")), "{line}");
        }
    }
}
