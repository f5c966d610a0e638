use std::fmt;

/// Why a file could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not in its format.
    #[error("{0}")]
    Load(String),
    /// The file says nothing about how it was encrypted: it was not.
    #[error("sops metadata not found")]
    MetadataNotFound,
    /// What the file says about its encryption makes no sense.
    #[error("{0}")]
    Metadata(String),
    /// No key gives the key of the data.
    #[error(transparent)]
    DataKey(#[from] DataKeyError),
    /// The parts of the key of the data do not fit together.
    #[error("could not get data key from shamir parts: {0}")]
    Shamir(&'static str),
    /// A value cannot be decrypted.
    #[error("Error walking tree: {0}")]
    Walk(String),
    /// The message authentication code cannot be decrypted.
    #[error("Cannot decrypt MAC: {0}")]
    MacUnreadable(String),
    /// The values are not those that were encrypted.
    #[error("MAC mismatch. File has {found}, computed {computed}")]
    MacMismatch {
        /// The code that the file has.
        found: String,
        /// The code of the values.
        computed: String,
    },
    /// The values do not fit into the wanted format.
    #[error("{0}")]
    Emit(String),
}

/// No key gives the key of the data: what was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKeyError {
    /// How many groups must succeed; 0 where one key will do.
    pub threshold: usize,
    /// The groups in their order.
    pub groups: Vec<GroupResult>,
}

/// What came of a group of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupResult {
    /// One of its keys worked.
    Success,
    /// None of its keys worked.
    Failed(Vec<KeyFailure>),
}

/// What came of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFailure {
    /// The key's name: a recipient, a fingerprint, a path.
    pub key: String,
    /// Why it did not work, by each service that was asked.
    pub reasons: Vec<String>,
}

impl std::error::Error for DataKeyError {}

impl fmt::Display for DataKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failed to get the data key required to decrypt the SOPS file.\n")?;
        for (index, group) in self.groups.iter().enumerate() {
            match group {
                GroupResult::Success => write!(f, "\nGroup {index}: SUCCESS\n")?,
                GroupResult::Failed(keys) => {
                    write!(f, "\nGroup {index}: FAILED\n")?;
                    let keys: Vec<String> = keys.iter().map(failure).collect();
                    writeln!(f, "{}", prefixed("  ", &keys.join("\n\n")))?;
                }
            }
        }
        let trailer = if self.threshold == 0 {
            "Recovery failed because no master key was able to decrypt the file. In order for SOPS to recover the \
             file, at least one key has to be successful, but none were."
                .to_owned()
        } else {
            let got = self.groups.iter().filter(|group| **group == GroupResult::Success).count();
            let want = self.threshold;
            format!(
                "Recovery failed because the file was encrypted with a Shamir threshold of {want}, but only {got} \
                 part(s) were successfully recovered, one for each successful key group. In order for SOPS to \
                 recover the file, at least {want} groups have to be successful. In order for a group to be \
                 successful, decryption has to succeed with any of the keys in that key group."
            )
        };
        write!(f, "\n{}", wrapped(&trailer, 75))
    }
}

fn failure(key: &KeyFailure) -> String {
    let reasons: Vec<String> = key
        .reasons
        .iter()
        .map(|reason| {
            let text = prefixed("  | ", &wrapped(reason, 60));
            format!("-{}", &text[1..])
        })
        .collect();
    format!("{}: FAILED\n{}", key.key, prefixed("  ", &reasons.join("\n\n")))
}

/// Puts a prefix before every line.
fn prefixed(prefix: &str, text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| format!("{prefix}{line}")).collect();
    lines.join("\n")
}

/// Breaks lines between words so that none is longer than `width`, where words allow it.
fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            column = 0;
        }
        for word in line.split(' ') {
            let length = word.chars().count();
            if column > 0 {
                if column + 1 + length > width && length < width {
                    out.push('\n');
                    column = 0;
                } else {
                    out.push(' ');
                    column += 1;
                }
            }
            out.push_str(word);
            column += length;
        }
    }
    out
}
