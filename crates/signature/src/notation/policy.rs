//! `trustpolicy.json`.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use x509_cert::name::Name;

use super::name;

const SUBJECT: &str = "x509.subject:";

/// What to do where something is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Enforce,
    Log,
    Skip,
}

/// By what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) authenticity: Action,
    pub(super) timestamp: Action,
    pub(super) expiry: Action,
    pub(super) revocation: Action,
}

/// The statements.
#[derive(Clone, Debug)]
pub(super) struct Document(Vec<Statement>);

/// What holds for some repositories.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) name: String,
    pub(super) actions: Actions,
    scopes: Vec<String>,
    skip: bool,
    stores: Vec<String>,
    identities: Vec<String>,
    after_expiry: bool,
}

impl Document {
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if file.version != "1.0" {
            return Err(format!("its version '{}' is not supported", file.version));
        }
        if file.trust_policies.is_empty() {
            return Err("it has no statements".to_owned());
        }
        let statements = file.trust_policies.into_iter().map(statement).collect::<Result<Vec<_>, _>>()?;
        let (mut names, mut scopes) = (BTreeSet::new(), BTreeSet::new());
        for statement in &statements {
            if !names.insert(&statement.name) {
                return Err(format!("there are several statements '{}'", statement.name));
            }
            if let Some(scope) = statement.scopes.iter().find(|scope| !scopes.insert(*scope)) {
                return Err(format!("the registry scope '{scope}' is in several statements"));
            }
        }
        Ok(Document(statements))
    }

    /// What holds for `registry/repository`.
    pub(super) fn statement(&self, scope: &str) -> Result<&Statement, String> {
        let of = |wanted: &str| self.0.iter().find(|entry| entry.scopes.iter().any(|own| own == wanted));
        of(scope).or_else(|| of("*")).ok_or_else(|| format!("no statement applies to '{scope}'"))
    }
}

impl Statement {
    /// Whether nothing at all is asked for.
    pub(super) fn skips(&self) -> bool {
        self.skip
    }

    /// Whether certificates are trusted to sign themselves, or to sign as an authority.
    pub(super) fn trusts(&self, as_authority: bool) -> bool {
        let prefix = if as_authority { "signingAuthority:" } else { "ca:" };
        self.stores.iter().any(|store| store.starts_with(prefix))
    }

    /// Whether a service must have noted the time.
    pub(super) fn wants_timestamp(&self, valid: bool) -> bool {
        self.stores.iter().any(|store| store.starts_with("tsa:")) && !(self.after_expiry && valid)
    }

    /// Whether the subject of a certificate is one of the trusted ones.
    pub(super) fn identifies(&self, subject: &Name) -> Result<bool, String> {
        if self.identities.iter().any(|identity| identity == "*") {
            return Ok(true);
        }
        let own = name::of(subject)?;
        let is =
            |wanted: BTreeMap<String, String>| wanted.iter().all(|(key, value)| own.get(key) == Some(value));
        for identity in self.identities.iter().filter_map(|identity| identity.strip_prefix(SUBJECT)) {
            if is(name::parse(identity)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn statement(entry: Entry) -> Result<Statement, String> {
    let wrong = |problem: String| format!("statement '{}': {problem}", entry.name);
    if entry.name.is_empty() {
        return Err("a statement has no name".to_owned());
    }
    if entry.registry_scopes.is_empty() {
        return Err(wrong("it has no registryScopes".to_owned()));
    }
    if entry.registry_scopes.len() > 1 && entry.registry_scopes.iter().any(|scope| scope == "*") {
        return Err(wrong("the registry scope '*' cannot stand beside others".to_owned()));
    }
    let verification = &entry.signature_verification;
    let (enforce, log) = (Action::Enforce, Action::Log);
    let actions =
        |authenticity, rest| Actions { authenticity, timestamp: rest, expiry: rest, revocation: rest };
    let (mut actions, skip) = match verification.level.as_str() {
        "strict" => (actions(enforce, enforce), false),
        "permissive" => (actions(enforce, log), false),
        "audit" => (actions(log, log), false),
        "skip" => (actions(Action::Skip, Action::Skip), true),
        other => {
            return Err(wrong(format!("the level '{other}' is none of strict, permissive, audit and skip")));
        }
    };
    if skip && !verification.over.is_empty() {
        return Err(wrong("the level 'skip' cannot be overridden".to_owned()));
    }
    for (what, action) in &verification.over {
        let place = match what.as_str() {
            "authenticity" => &mut actions.authenticity,
            "authenticTimestamp" => &mut actions.timestamp,
            "expiry" => &mut actions.expiry,
            "revocation" => &mut actions.revocation,
            other => return Err(wrong(format!("'{other}' cannot be overridden"))),
        };
        if what == "authenticity" && *action == Action::Skip {
            return Err(wrong("'authenticity' cannot be skipped".to_owned()));
        }
        *place = *action;
    }
    // With nothing to verify, stores and identities mean nothing.
    let (stores, identities) =
        if skip { Default::default() } else { (entry.trust_stores, entry.trusted_identities) };
    if !skip && (stores.is_empty() || identities.is_empty()) {
        let problem = "it needs trustStores and trustedIdentities".to_owned();
        return Err(format!("statement '{}': {problem}", entry.name));
    }
    let known = |store: &str| ["ca:", "signingAuthority:", "tsa:"].iter().any(|kind| store.starts_with(kind));
    if let Some(store) = stores.iter().find(|store| !known(store)) {
        return Err(format!("statement '{}': the trust store '{store}' is of no known kind", entry.name));
    }
    for identity in identities.iter().filter_map(|identity| identity.strip_prefix(SUBJECT)) {
        name::parse(identity).map_err(|problem| format!("statement '{}': {problem}", entry.name))?;
    }
    Ok(Statement {
        name: entry.name,
        actions,
        scopes: entry.registry_scopes,
        skip,
        stores,
        identities,
        after_expiry: entry.signature_verification.verify_timestamp == "afterCertExpiry",
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: String,
    #[serde(default)]
    trust_policies: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    registry_scopes: Vec<String>,
    signature_verification: Verification,
    #[serde(default)]
    trust_stores: Vec<String>,
    #[serde(default)]
    trusted_identities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    level: String,
    #[serde(default, rename = "override")]
    over: BTreeMap<String, Action>,
    #[serde(default)]
    verify_timestamp: String,
}
