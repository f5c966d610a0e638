//! Where the values of a chart come from, as helm's flags say it.

use std::io::Read;

use anyhow::Result;
use clap::Args;
use sluice_helm::Values;
use sluice_helm::values::ValueSources;

/// Where values come from.
#[derive(Args)]
pub(super) struct ValueArgs {
    /// A YAML file with values; - is stdin.
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',', action = clap::ArgAction::Append)]
    pub(super) values: Vec<String>,
    /// Set a value: key1=val1,key2=val2.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    pub(super) set: Vec<String>,
    /// Set a value that is a string whatever it looks like.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    set_string: Vec<String>,
    /// Set a value to the content of a file.
    #[arg(long, value_name = "KEY=FILE", action = clap::ArgAction::Append)]
    set_file: Vec<String>,
    /// Set a value from JSON.
    #[arg(long, value_name = "KEY=JSON", action = clap::ArgAction::Append)]
    set_json: Vec<String>,
    /// Set a value literally.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    set_literal: Vec<String>,
}

impl ValueArgs {
    pub(super) fn merge(&self) -> Result<Values> {
        let sources = ValueSources {
            files: self.values.clone(),
            json: self.set_json.clone(),
            typed: self.set.clone(),
            strings: self.set_string.clone(),
            file_contents: self.set_file.clone(),
            literals: self.set_literal.clone(),
        };
        Ok(sources.merge(&mut read_source)?)
    }
}

fn read_source(name: &str) -> Result<Vec<u8>, String> {
    if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot read stdin: {error}"))?;
        return Ok(bytes);
    }
    if name.contains("://") {
        return Err(format!("{name}: values are read from files here, not from addresses"));
    }
    std::fs::read(name).map_err(|error| format!("open {name}: {}", crate::failure::io(&error)))
}
