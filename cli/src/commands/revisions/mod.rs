//! `diff revisions`: what a change of a GitOps repository changes in what is applied, without a cluster; for the review of
//! a pull request.

mod checkout;
mod render;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::app::App;
use crate::changes;
use crate::failure::{Exit, Mark};
use crate::output::{Colour, Style};
use render::Rendered;

/// Which revisions, and how to print.
#[derive(Args)]
pub(crate) struct RevisionsArgs {
    /// The revision before; also old..new, or old...new for what new has changed since it left old.
    old: String,
    /// The revision after [default: the working tree as it is].
    new: Option<String>,
    /// The repository.
    #[arg(long, default_value = ".", value_name = "DIR")]
    repository: PathBuf,
    /// Where the Kustomizations are that count, such as clusters/production [default: anywhere].
    #[arg(long, value_name = "DIR")]
    path: Option<String>,
    /// How to print the differences.
    #[arg(short, long, value_enum, default_value = "human")]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Human,
    /// For a comment to a pull request.
    Markdown,
}

pub(crate) async fn run(app: &App, args: RevisionsArgs) -> Result<()> {
    let (output, style) = (args.output, app.output.data_style);
    let compared = tokio::task::spawn_blocking(move || compare(&args, style)).await?;
    let compared = compared.map_err(|error| Exit::with(2, Mark::Symbol, error))?;
    for warning in &compared.warnings {
        app.output.warning(warning);
    }
    app.output.data(match output {
        Form::Human => compared.text,
        Form::Markdown => markdown(&compared),
    })?;
    if !compared.errors.is_empty() {
        let error = anyhow!("{}", compared.errors.join("\n"));
        return Err(Exit::with(2, Mark::Symbol, error));
    }
    if compared.changes == 0 {
        app.output.success("nothing that is applied changes");
        return Ok(());
    }
    Err(Exit::with(1, Mark::Warning, anyhow!("{} object(s) change", compared.changes)))
}

/// What was found.
#[derive(Debug, Default)]
struct Compared {
    text: String,
    changes: usize,
    /// What cannot be built after the change.
    errors: Vec<String>,
    /// What could not be built before it.
    warnings: Vec<String>,
}

fn compare(args: &RevisionsArgs, style: Style) -> Result<Compared> {
    let style = if args.output == Form::Markdown { Style::new(false) } else { style };
    let root = checkout::root(&args.repository)?;
    let (old, new) = checkout::range(&root, &args.old, args.new.as_deref())?;
    let before = checkout::revision(&root, &old)?;
    let before = render::render(before.path(), args.path.as_deref())
        .with_context(|| format!("the repository at {old} cannot be read"))?;
    let after = match &new {
        Some(new) => {
            let folder = checkout::revision(&root, new)?;
            render::render(folder.path(), args.path.as_deref())
                .with_context(|| format!("the repository at {new} cannot be read"))?
        }
        None => render::render(&root, args.path.as_deref())?,
    };
    if before.groups.is_empty() && after.groups.is_empty() && after.errors.is_empty() {
        bail!(
            "no manifests were found{}",
            args.path.as_deref().map(|path| format!(" in {path}")).unwrap_or_default()
        );
    }
    Ok(difference(&before, &after, style))
}

fn difference(before: &Rendered, after: &Rendered, style: Style) -> Compared {
    let mut compared = Compared { errors: after.errors.clone(), ..Compared::default() };
    let broken = |error: &&String| !after.errors.contains(error);
    compared.warnings = before.errors.iter().filter(broken).map(|error| format!("before: {error}")).collect();
    let names: BTreeSet<&String> = before.groups.keys().chain(after.groups.keys()).collect();
    for name in names {
        // What does not build has no objects: that is no deletion.
        if after.is_broken(name) || before.is_broken(name) {
            continue;
        }
        let (old, new) = (before.group(name), after.group(name));
        let subjects: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let mut text = String::new();
        for subject in subjects {
            let lines = object(subject, old.get(subject), new.get(subject), style);
            compared.changes += usize::from(!lines.is_empty());
            text.push_str(&lines);
        }
        if !text.is_empty() {
            compared.text.push_str(&format!("📁 {name}\n{text}"));
        }
    }
    compared
}

/// The lines about one object; none where it stays as it is.
fn object(subject: &str, old: Option<&Value>, new: Option<&Value>, style: Style) -> String {
    let line = |what: &str, colour| style.paint(colour, &format!("► {subject} {what}")) + "\n";
    match (old, new) {
        (None, Some(_)) => line("created", Colour::Green),
        (Some(_), None) => line("deleted", Colour::Red),
        (Some(old), Some(new)) => {
            let changes = changes::between(old, new, style);
            if changes.is_empty() { changes } else { line("changed", Colour::Yellow) + &changes }
        }
        (None, None) => String::new(),
    }
}

fn markdown(compared: &Compared) -> String {
    let mut text = String::from("### What is applied\n\n");
    for error in &compared.errors {
        text.push_str(&format!("- ✗ {error}\n"));
    }
    match compared.changes {
        0 if compared.errors.is_empty() => text.push_str("Nothing changes.\n"),
        0 => {}
        count => {
            // A fence that the text cannot end.
            let fence = "`".repeat(longest_run(&compared.text).max(2) + 1);
            text.push_str(&format!("{count} object(s) change:\n\n{fence}diff\n{}{fence}\n", compared.text));
        }
    }
    text
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(objects: &[(&str, Value)], errors: &[&str]) -> Rendered {
        let mut rendered = Rendered::default();
        for (subject, object) in objects {
            rendered.groups.entry("apps".into()).or_default().insert((*subject).to_owned(), object.clone());
        }
        rendered.errors = errors.iter().map(|error| (*error).to_owned()).collect();
        rendered
    }

    #[test]
    fn objects_are_created_changed_deleted_or_left_out() {
        let before = rendered(&[("A/a", json!({"x": 1})), ("A/b", json!({})), ("A/c", json!({}))], &[]);
        let after = rendered(&[("A/a", json!({"x": 2})), ("A/b", json!({})), ("A/d", json!({}))], &[]);
        let compared = difference(&before, &after, Style::new(false));
        assert_eq!(compared.changes, 3);
        for line in ["📁 apps\n", "► A/a changed\n", "► A/c deleted\n", "► A/d created\n"] {
            assert!(compared.text.contains(line), "{line}: {}", compared.text);
        }
        assert!(!compared.text.contains("A/b"));
    }

    #[test]
    fn what_no_longer_builds_is_an_error_and_no_deletion() {
        let before = rendered(&[("A/a", json!({}))], &[]);
        let after = rendered(&[], &["apps: no such file"]);
        let compared = difference(&before, &after, Style::new(false));
        assert_eq!((compared.changes, compared.errors.len()), (0, 1));
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        let compared = Compared { text: "````\n".into(), changes: 1, ..Compared::default() };
        assert!(markdown(&compared).contains("`````diff\n"));
    }
}
