//! `envsubst`: the substitution that Kustomizations get after their build, as a filter.

use std::collections::HashMap;
use std::io::BufRead;

use anyhow::{Context, Result};
use clap::Args;
use sluice_envsubst::{Options, substitute};

use crate::app::App;

/// Flags of `envsubst`.
#[derive(Args)]
pub(crate) struct EnvsubstArgs {
    /// Fail when a variable without a default is not set.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(app: &App, args: EnvsubstArgs) -> Result<()> {
    let environment: HashMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let input = std::io::stdin().lock();
    filter(input, &environment, args.strict, |bytes| app.output.data(bytes))
}

/// Line by line, so that it can stand in the middle of a pipe.
fn filter(
    mut input: impl BufRead,
    environment: &HashMap<String, String>,
    strict: bool,
    mut write: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let options = Options { strict, ..Options::default() };
    let lookup = |name: &str| environment.get(name).map(String::as_str);
    let mut line = Vec::new();
    let mut number = 0_usize;
    loop {
        line.clear();
        number += 1;
        if input.read_until(b'\n', &mut line).context("cannot read stdin")? == 0 {
            return Ok(());
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        let text = std::str::from_utf8(&line).with_context(|| format!("line {number} is no UTF-8"))?;
        let mut result = substitute(text, &lookup, options).with_context(|| format!("line {number}"))?;
        result.push(b'\n');
        write(result)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &str, strict: bool) -> Result<String> {
        let environment = HashMap::from([("NAME".to_owned(), "world".to_owned())]);
        let mut result = Vec::new();
        filter(text.as_bytes(), &environment, strict, |bytes| {
            result.extend(bytes);
            Ok(())
        })?;
        Ok(String::from_utf8(result)?)
    }

    #[test]
    fn lines_are_substituted_one_by_one() {
        assert_eq!(
            filtered("hello ${NAME}\n${MISSING:-none} $NAME", false).unwrap(),
            "hello world\nnone $NAME\n"
        );
        assert_eq!(filtered("a${MISSING}b\n", false).unwrap(), "ab\n");
    }

    #[test]
    fn strict_mode_names_the_line_and_the_variable() {
        let error = filtered("fine\n${MISSING}\n", true).unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: variable not set (strict mode): \"MISSING\"");
    }
}
