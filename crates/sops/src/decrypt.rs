use std::fmt::Write as _;

use sha2::{Digest, Sha512};
use sluice_regexp::Regexp;

use crate::cipher::{self, Plain};
use crate::error::Error;
use crate::format::Format;
use crate::keys::{self, KeyService};
use crate::metadata::{Metadata, Rule};
use crate::store::{self, Loaded, infinite};
use crate::tree::{Branch, Comment, Element, Item, Value};

/// How to decrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the values must be those that were encrypted. kustomize changes files before they are decrypted, so
    /// that Flux does not verify.
    pub verify_mac: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { verify_mac: true }
    }
}

/// Starts the code of files in which only encrypted values count, so that it differs from that of others.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b,
    0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Decrypts a file of one format and prints it in another, usually the same.
///
/// Services are asked in their order; of the keys of a file, age comes first and OpenPGP second.
pub fn decrypt(
    data: &[u8],
    input: Format,
    output: Format,
    services: &[&dyn KeyService],
    options: Options,
) -> Result<Vec<u8>, Error> {
    let Loaded { mut branches, metadata } = store::load(data, input)?;
    let key = keys::data_key(&metadata, services)?;
    let mut walk = Walk::new(&metadata, &key);
    for branch in &mut branches {
        walk.branch(branch, &mut Vec::new(), &mut Vec::new()).map_err(Error::Walk)?;
    }
    if options.verify_mac {
        walk.verify(&metadata)?;
    }
    store::emit(&branches, output)
}

struct Walk<'a> {
    key: &'a [u8],
    only_encrypted: bool,
    rule: Matcher<'a>,
    hash: Sha512,
}

/// The comments before a value, on one level of the document.
#[derive(Clone, Copy, Default)]
struct Level {
    /// How many of them match the rule's expression.
    hits: usize,
    /// Whether the last one does.
    last: bool,
}

/// The rule with its expression ready.
enum Matcher<'a> {
    Suffix { suffix: &'a str, encrypted: bool },
    Regex { regex: Option<Regexp>, encrypted: bool },
    Comment { regex: Option<Regexp>, encrypted: bool },
}

impl<'a> Walk<'a> {
    fn new(metadata: &'a Metadata, key: &'a [u8]) -> Self {
        // An expression that does not compile matches nothing, as in the reference.
        let compile = |pattern: &str| Regexp::new(pattern).ok();
        let rule = match &metadata.rule {
            Rule::UnencryptedSuffix(suffix) => Matcher::Suffix { suffix, encrypted: false },
            Rule::EncryptedSuffix(suffix) => Matcher::Suffix { suffix, encrypted: true },
            Rule::UnencryptedRegex(regex) => Matcher::Regex { regex: compile(regex), encrypted: false },
            Rule::EncryptedRegex(regex) => Matcher::Regex { regex: compile(regex), encrypted: true },
            Rule::UnencryptedComment(regex) => Matcher::Comment { regex: compile(regex), encrypted: false },
            Rule::EncryptedComment(regex) => Matcher::Comment { regex: compile(regex), encrypted: true },
        };
        let mut hash = Sha512::new();
        if metadata.mac_only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self { key, only_encrypted: metadata.mac_only_encrypted, rule, hash }
    }

    /// Whether the value at a path is encrypted. A comment that asks for encryption is not encrypted itself.
    fn is_encrypted(&self, path: &[String], levels: &[Level], is_comment: bool) -> bool {
        let (hit, encrypted) = match &self.rule {
            Matcher::Suffix { suffix, encrypted } => {
                (path.iter().any(|key| key.ends_with(suffix)), *encrypted)
            }
            Matcher::Regex { regex, encrypted } => {
                let hit = regex.as_ref().is_some_and(|regex| path.iter().any(|key| regex.is_match(key)));
                (hit, *encrypted)
            }
            Matcher::Comment { encrypted, .. } => {
                let own = is_comment && *encrypted && levels.last().is_some_and(|level| level.last);
                let hits: usize = levels.iter().map(|level| level.hits).sum();
                (hits > usize::from(own), *encrypted)
            }
        };
        hit == encrypted
    }

    fn branch(
        &mut self,
        branch: &mut Branch,
        path: &mut Vec<String>,
        levels: &mut Vec<Level>,
    ) -> Result<(), String> {
        levels.push(Level::default());
        for item in branch {
            match item {
                Item::Comment(comment) => self.comment(comment, path, levels),
                Item::Entry(key, value) => {
                    path.push(key.clone());
                    if let Some(comment) = self.value(value, path, levels)? {
                        *value = Value::text(comment.text);
                    }
                    path.pop();
                    if let Some(level) = levels.last_mut() {
                        *level = Level::default();
                    }
                }
            }
        }
        levels.pop();
        Ok(())
    }

    fn list(
        &mut self,
        list: &mut [Element],
        path: &mut Vec<String>,
        levels: &mut Vec<Level>,
    ) -> Result<(), String> {
        levels.push(Level::default());
        for element in list {
            match element {
                Element::Comment(comment) => self.comment(comment, path, levels),
                Element::Value(value) => {
                    // Encrypted comments of a list are elements of it.
                    if let Some(comment) = self.value(value, path, levels)? {
                        *element = Element::Comment(comment);
                    }
                    if let Some(level) = levels.last_mut() {
                        *level = Level::default();
                    }
                }
            }
        }
        levels.pop();
        Ok(())
    }

    /// A comment that does not decrypt was never encrypted.
    fn comment(&mut self, comment: &mut Comment, path: &[String], levels: &mut [Level]) {
        if let Matcher::Comment { regex: Some(regex), .. } = &self.rule
            && let Some(level) = levels.last_mut()
        {
            level.last = regex.is_match(&comment.text);
            level.hits += usize::from(level.last);
        }
        if self.is_encrypted(path, levels, true) {
            match cipher::decrypt(comment.text.as_bytes(), self.key, &additional(path)) {
                Ok(Plain::Comment(plain)) => *comment = plain,
                Ok(Plain::Value(Value::Text(text))) => {
                    comment.text = String::from_utf8_lossy(&text).into_owned();
                }
                Ok(Plain::Value(_)) | Err(_) => {}
            }
        }
    }

    /// Decrypts a value in its place, or returns the comment that it turned out to be.
    fn value(
        &mut self,
        value: &mut Value,
        path: &mut Vec<String>,
        levels: &mut Vec<Level>,
    ) -> Result<Option<Comment>, String> {
        match value {
            Value::Null => return Ok(None),
            Value::Map(branch) => return self.branch(branch, path, levels).map(|()| None),
            Value::List(list) => return self.list(list, path, levels).map(|()| None),
            Value::Foreign(name) => return Err(format!("Cannot walk value, unknown type: {name}")),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Time(_) => {}
        }
        let encrypted = self.is_encrypted(path, levels, false);
        if encrypted {
            let Value::Text(text) = &*value else {
                return Err(format!("Expected encrypted value as string, but got {}", value.go_type()));
            };
            let plain = cipher::decrypt(text, self.key, &additional(path))
                .map_err(|error| format!("Could not decrypt value: {error}"))?;
            match plain {
                Plain::Value(plain) => *value = plain,
                Plain::Comment(comment) => return Ok(Some(comment)),
            }
        }
        if encrypted || !self.only_encrypted {
            self.hash.update(bytes(value));
        }
        Ok(None)
    }

    /// Compares the code of the values with that of the file, which is encrypted with the time of the last change.
    fn verify(self, metadata: &Metadata) -> Result<(), Error> {
        let mut computed = String::with_capacity(128);
        for byte in self.hash.finalize() {
            let _ = write!(computed, "{byte:02X}");
        }
        let found = match cipher::decrypt(metadata.mac.as_bytes(), self.key, &metadata.last_modified) {
            Ok(Plain::Value(value)) => String::from_utf8_lossy(&bytes(&value)).into_owned(),
            Ok(Plain::Comment(comment)) => comment.text,
            Err(error) => return Err(Error::MacUnreadable(error)),
        };
        if found == computed {
            return Ok(());
        }
        let found = if found.is_empty() { "no MAC".to_owned() } else { found };
        Err(Error::MacMismatch { found, computed })
    }
}

/// The path of a value as additional data. Places in lists do not count.
fn additional(path: &[String]) -> String {
    format!("{}:", path.join(":"))
}

/// What of a value counts in the code.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(value) => value.to_string().into_bytes(),
        // The shortest text without an exponent, as Python wrote it.
        Value::Float(value) => infinite(*value).map_or_else(|| value.to_string(), str::to_owned).into_bytes(),
        Value::Bool(true) => b"True".to_vec(),
        Value::Bool(false) => b"False".to_vec(),
        Value::Time(text) => text.clone().into_bytes(),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Foreign(_) => Vec::new(),
    }
}
