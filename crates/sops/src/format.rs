/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// YAML, several documents too.
    Yaml,
    /// JSON with an object at the top.
    Json,
    /// Lines of `NAME=value`.
    Dotenv,
    /// Sections of `name = value`.
    Ini,
    /// Anything else, wrapped in JSON when encrypted.
    Binary,
}

impl Format {
    /// The format that the name of a file tells.
    pub fn from_path(path: &str) -> Self {
        let ends = |suffix: &str| path.ends_with(suffix);
        if ends(".yaml") || ends(".yml") {
            Self::Yaml
        } else if ends(".json") || ends(".dockerconfigjson") {
            Self::Json
        } else if ends(".env") {
            Self::Dotenv
        } else if ends(".ini") {
            Self::Ini
        } else {
            Self::Binary
        }
    }

    /// What every file that SOPS encrypted has in this format: a quick look before the whole is read.
    pub fn marker(self) -> &'static str {
        match self {
            Self::Yaml => "mac: ENC[",
            Self::Json | Self::Binary => "\"mac\": \"ENC[",
            Self::Dotenv => "sops_mac=ENC[",
            Self::Ini => "[sops]",
        }
    }

    /// Whether the bytes look as if SOPS had encrypted them in this format.
    pub fn is_marked(self, data: &[u8]) -> bool {
        let marker = self.marker().as_bytes();
        data.windows(marker.len()).any(|window| window == marker)
    }

    /// The format in which the bytes look as if SOPS had encrypted them, if any. Binary files look like JSON.
    pub fn of_marked(data: &[u8]) -> Option<Self> {
        [Self::Json, Self::Dotenv, Self::Ini, Self::Yaml].into_iter().find(|format| format.is_marked(data))
    }
}
