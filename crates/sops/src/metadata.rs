//! What a file says about its encryption.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Error;
use crate::rfc3339;
use crate::tree::{Branch, Element, Item, Value};

/// A key that encrypts the key of the data, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MasterKey {
    /// A key of AWS KMS.
    AwsKms {
        /// The name of the key.
        arn: String,
        /// A role to take on; none when empty.
        role: String,
        /// The encryption context.
        context: BTreeMap<String, String>,
        /// A profile of credentials; the usual one when empty.
        profile: String,
        /// The encrypted key, in base64.
        encrypted: String,
    },
    /// A key of Google Cloud KMS.
    GcpKms {
        /// The resource of the key.
        resource_id: String,
        /// The encrypted key, in base64.
        encrypted: String,
    },
    /// A key of Huawei Cloud KMS.
    HuaweiKms {
        /// The id of the key, with its region.
        key_id: String,
        /// The encrypted key.
        encrypted: String,
    },
    /// A key of Azure Key Vault.
    AzureKeyVault {
        /// The address of the vault.
        vault_url: String,
        /// The name of the key.
        name: String,
        /// The version of the key.
        version: String,
        /// The encrypted key, in base64 for URLs.
        encrypted: String,
    },
    /// A key of the transit engine of HashiCorp Vault or OpenBao.
    Vault {
        /// The address of the server.
        address: String,
        /// The path of the engine.
        engine_path: String,
        /// The name of the key.
        key_name: String,
        /// The encrypted key, as Vault writes it.
        encrypted: String,
    },
    /// An OpenPGP key.
    Pgp {
        /// The fingerprint of the key.
        fingerprint: String,
        /// The encrypted key, armoured.
        encrypted: String,
    },
    /// An age key.
    Age {
        /// The recipient.
        recipient: String,
        /// The encrypted key, armoured.
        encrypted: String,
    },
}

impl MasterKey {
    /// The encrypted key.
    pub fn encrypted(&self) -> &str {
        match self {
            Self::AwsKms { encrypted, .. }
            | Self::GcpKms { encrypted, .. }
            | Self::HuaweiKms { encrypted, .. }
            | Self::AzureKeyVault { encrypted, .. }
            | Self::Vault { encrypted, .. }
            | Self::Pgp { encrypted, .. }
            | Self::Age { encrypted, .. } => encrypted,
        }
    }
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AwsKms { arn, role, .. } if role.is_empty() => f.write_str(arn),
            Self::AwsKms { arn, role, .. } => write!(f, "{arn}+{role}"),
            Self::GcpKms { resource_id, .. } => f.write_str(resource_id),
            Self::HuaweiKms { key_id, .. } => f.write_str(key_id),
            Self::AzureKeyVault { vault_url, name, version, .. } => {
                write!(f, "{vault_url}/keys/{name}/{version}")
            }
            Self::Vault { address, engine_path, key_name, .. } => {
                let address = address.trim_end_matches('/');
                write!(f, "{address}/v1/{engine_path}/keys/{key_name}")
            }
            Self::Pgp { fingerprint, .. } => f.write_str(fingerprint),
            Self::Age { recipient, .. } => f.write_str(recipient),
        }
    }
}

/// Which values are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(String),
    EncryptedRegex(String),
    UnencryptedComment(String),
    EncryptedComment(String),
}

/// What a file says about its encryption.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) groups: Vec<Vec<MasterKey>>,
    pub(crate) shamir_threshold: usize,
    pub(crate) last_modified: String,
    pub(crate) mac: String,
    pub(crate) mac_only_encrypted: bool,
    pub(crate) rule: Rule,
}

impl Metadata {
    /// Reads the metadata from the branch of the file that holds it.
    pub(crate) fn read(branch: &Branch) -> Result<Self, Error> {
        let fields = Fields(branch);
        let last_modified = rfc3339::normalize(&fields.text("lastmodified")?).map_err(Error::Metadata)?;
        let own = group(&fields)?;
        let groups = if own.is_empty() {
            fields
                .maps("key_groups")?
                .into_iter()
                .map(|branch| group(&Fields(branch)))
                .collect::<Result<_, _>>()?
        } else {
            vec![own]
        };
        if groups.is_empty() {
            return Err(Error::Metadata("No keys found in file".to_owned()));
        }
        Ok(Self {
            groups,
            shamir_threshold: fields.number("shamir_threshold")?,
            last_modified,
            mac: fields.text("mac")?,
            mac_only_encrypted: fields.switch("mac_only_encrypted")?,
            rule: rule(&fields)?,
        })
    }
}

/// Of all rules, a file may have one. Without any, keys that end in `_unencrypted` stay plain.
fn rule(fields: &Fields<'_>) -> Result<Rule, Error> {
    let mut rules = Vec::new();
    type Make = fn(String) -> Rule;
    let kinds: [(&str, Make); 6] = [
        ("unencrypted_suffix", Rule::UnencryptedSuffix),
        ("encrypted_suffix", Rule::EncryptedSuffix),
        ("unencrypted_regex", Rule::UnencryptedRegex),
        ("encrypted_regex", Rule::EncryptedRegex),
        ("unencrypted_comment_regex", Rule::UnencryptedComment),
        ("encrypted_comment_regex", Rule::EncryptedComment),
    ];
    for (name, make) in kinds {
        let text = fields.text(name)?;
        if !text.is_empty() {
            rules.push(make(text));
        }
    }
    match rules.len() {
        0 => Ok(Rule::UnencryptedSuffix("_unencrypted".to_owned())),
        1 => Ok(rules.remove(0)),
        _ => Err(Error::Metadata(
            "Cannot use more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex, unencrypted_regex, \
             encrypted_comment_regex, or unencrypted_comment_regex in the same file"
                .to_owned(),
        )),
    }
}

fn group(fields: &Fields<'_>) -> Result<Vec<MasterKey>, Error> {
    let mut keys = Vec::new();
    for key in fields.keys("kms")? {
        key.created()?;
        keys.push(MasterKey::AwsKms {
            arn: key.text("arn")?,
            role: key.text("role")?,
            context: key.texts("context")?,
            profile: key.text("aws_profile")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.keys("gcp_kms")? {
        key.created()?;
        keys.push(MasterKey::GcpKms { resource_id: key.text("resource_id")?, encrypted: key.text("enc")? });
    }
    for key in fields.keys("hckms")? {
        key.created()?;
        keys.push(MasterKey::HuaweiKms { key_id: key.text("key_id")?, encrypted: key.text("enc")? });
    }
    for key in fields.keys("azure_kv")? {
        key.created()?;
        keys.push(MasterKey::AzureKeyVault {
            vault_url: key.text("vault_url")?,
            name: key.text("name")?,
            version: key.text("version")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.keys("hc_vault")? {
        key.created()?;
        keys.push(MasterKey::Vault {
            address: key.text("vault_address")?,
            engine_path: key.text("engine_path")?,
            key_name: key.text("key_name")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.keys("pgp")? {
        key.created()?;
        keys.push(MasterKey::Pgp { fingerprint: key.text("fp")?, encrypted: key.text("enc")? });
    }
    for key in fields.keys("age")? {
        keys.push(MasterKey::Age { recipient: key.text("recipient")?, encrypted: key.text("enc")? });
    }
    Ok(keys)
}

/// The entries of a map. The last of a name counts; types are taken loosely, since dotenv and INI know text only.
struct Fields<'a>(&'a Branch);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.iter().rev().find_map(|item| match item {
            Item::Entry(key, value) if key == name => Some(value),
            _ => None,
        })
    }

    fn text(&self, name: &str) -> Result<String, Error> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::Text(text)) => Ok(String::from_utf8_lossy(text).into_owned()),
            Some(Value::Time(text)) => Ok(text.clone()),
            Some(Value::Bool(value)) => Ok(if *value { "1" } else { "0" }.to_owned()),
            Some(Value::Int(value)) => Ok(value.to_string()),
            Some(Value::Float(value)) => Ok(value.to_string()),
            Some(other) => Err(mismatch(name, "string", other)),
        }
    }

    fn number(&self, name: &str) -> Result<usize, Error> {
        let value = match self.get(name) {
            None | Some(Value::Null) => Some(0),
            Some(Value::Int(value)) => usize::try_from(*value).ok(),
            Some(Value::Float(value)) => Some(*value as usize),
            Some(Value::Bool(value)) => Some(usize::from(*value)),
            Some(Value::Text(text)) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            Some(_) => None,
        };
        value.ok_or_else(|| mismatch(name, "int", self.get(name).unwrap_or(&Value::Null)))
    }

    fn switch(&self, name: &str) -> Result<bool, Error> {
        let value = match self.get(name) {
            None | Some(Value::Null) => Some(false),
            Some(Value::Bool(value)) => Some(*value),
            Some(Value::Int(value)) => Some(*value != 0),
            Some(Value::Text(text)) => match text.as_slice() {
                b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
                b"" | b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
                _ => None,
            },
            Some(_) => None,
        };
        value.ok_or_else(|| mismatch(name, "bool", self.get(name).unwrap_or(&Value::Null)))
    }

    fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let Some(Value::Map(branch)) = self.get(name) else { return Ok(BTreeMap::new()) };
        let fields = Fields(branch);
        branch
            .iter()
            .filter_map(|item| match item {
                Item::Entry(key, _) => Some(key),
                Item::Comment(_) => None,
            })
            .map(|key| Ok((key.clone(), fields.text(key)?)))
            .collect()
    }

    fn maps(&self, name: &str) -> Result<Vec<&'a Branch>, Error> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Map(branch)) if branch.is_empty() => Ok(Vec::new()),
            Some(Value::Map(branch)) => Ok(vec![branch]),
            Some(Value::List(list)) => list
                .iter()
                .filter_map(|element| match element {
                    Element::Comment(_) => None,
                    Element::Value(Value::Map(branch)) => Some(Ok(branch)),
                    Element::Value(other) => Some(Err(mismatch(name, "map", other))),
                })
                .collect(),
            Some(other) => Err(mismatch(name, "list", other)),
        }
    }

    fn keys(&self, name: &str) -> Result<impl Iterator<Item = Fields<'a>>, Error> {
        Ok(self.maps(name)?.into_iter().map(Fields))
    }

    /// Checks the time at which a key was added.
    fn created(&self) -> Result<(), Error> {
        rfc3339::normalize(&self.text("created_at")?).map(|_| ()).map_err(Error::Metadata)
    }
}

fn mismatch(name: &str, wanted: &str, found: &Value) -> Error {
    Error::Metadata(format!(
        "'{name}' expected type '{wanted}', got unconvertible type '{}'",
        found.go_type()
    ))
}
