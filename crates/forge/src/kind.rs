//! The hosts that are known.

use std::fmt;
use std::str::FromStr;

/// What kind of API a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// GitHub's REST API, version 2022-11-28.
    GitHub,
    /// GitLab's REST API, v4.
    GitLab,
    /// Gitea's and Forgejo's, v1.
    Gitea,
    /// Bitbucket Cloud's, 2.0.
    Bitbucket,
    /// Bitbucket Data Center's, 1.0.
    BitbucketServer,
    /// Azure DevOps' and Azure DevOps Server's, 7.1.
    AzureDevOps,
}

const NAMES: [(&str, Kind); 6] = [
    ("github", Kind::GitHub),
    ("gitlab", Kind::GitLab),
    ("gitea", Kind::Gitea),
    ("bitbucket", Kind::Bitbucket),
    ("bitbucketserver", Kind::BitbucketServer),
    ("azuredevops", Kind::AzureDevOps),
];

impl Kind {
    /// The kind of a public host; of others nobody can tell.
    pub fn of_host(host: &str) -> Option<Self> {
        let known = match host {
            "github.com" | "ssh.github.com" => Kind::GitHub,
            "gitlab.com" | "altssh.gitlab.com" => Kind::GitLab,
            "gitea.com" | "codeberg.org" => Kind::Gitea,
            "bitbucket.org" | "altssh.bitbucket.org" => Kind::Bitbucket,
            "dev.azure.com" | "ssh.dev.azure.com" | "vs-ssh.visualstudio.com" => Kind::AzureDevOps,
            host if host.ends_with(".visualstudio.com") => Kind::AzureDevOps,
            _ => return None,
        };
        Some(known)
    }

    /// Most characters that the text of a pull request may have.
    pub(crate) fn longest_body(self) -> usize {
        match self {
            Kind::AzureDevOps => 4_000,
            Kind::Bitbucket | Kind::BitbucketServer => 32_000,
            Kind::GitHub | Kind::GitLab | Kind::Gitea => 60_000,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        known.ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("'{text}' is none of {}", names.join(", "))
        })
    }
}
