//! Where a repository is.

use reqwest::Url;

use crate::{Error, Kind, escaped};

/// A repository at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host's kind.
    pub kind: Kind,
    /// The host's address, with the path that its API is below, as [`crate::Api::new`] takes it.
    pub address: String,
    /// The path of the repository in the API, such as `/repos/owner/name`.
    pub(crate) path: String,
    /// Who has it, as far as the API asks for that.
    pub(crate) owner: String,
    /// Its name, as far as the API asks for that.
    pub(crate) name: String,
}

impl Place {
    /// Reads the URL that a repository is cloned from: `http`, `https` or `ssh`. Without a kind the host must be a public
    /// one.
    pub fn of(url: &str, kind: Option<Kind>) -> Result<Self, Error> {
        let none = || Error::Place("the URL of the repository does not tell where its API is".to_owned());
        let parsed = Url::parse(url).map_err(|_| none())?;
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(none)?;
        let kind = kind.or_else(|| Kind::of_host(host)).ok_or_else(|| {
            Error::Place(format!(
                "which API '{host}' has cannot be told: name one of github, gitlab, gitea, bitbucket, bitbucketserver \
                 and azuredevops"
            ))
        })?;
        let decoded: Vec<String> = parsed
            .path_segments()
            .into_iter()
            .flatten()
            .filter(|segment| !segment.is_empty())
            .map(|segment| segment.replace("%20", " "))
            .collect();
        let mut segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        if let Some(last) = segments.last_mut() {
            *last = last.strip_suffix(".git").unwrap_or(last);
        }
        let ssh = parsed.scheme() == "ssh";
        let address = match (parsed.scheme(), parsed.port()) {
            ("ssh", _) => format!("https://{}", public(host)),
            (scheme @ ("http" | "https"), Some(port)) => format!("{scheme}://{host}:{port}"),
            (scheme @ ("http" | "https"), None) => format!("{scheme}://{host}"),
            _ => return Err(none()),
        };
        let place = |address: String, path: String, owner: &str, name: &str| Place {
            kind,
            address,
            path,
            owner: owner.to_owned(),
            name: name.to_owned(),
        };
        let wrong = |form: &str| Error::Place(format!("the URL of a repository at {kind} ends in {form}"));
        match kind {
            Kind::GitHub | Kind::Gitea => {
                let [before @ .., owner, name] = segments.as_slice() else {
                    return Err(wrong("/owner/name"));
                };
                let path = format!("/repos/{}/{}", escaped(owner), escaped(name));
                Ok(place(below(address, before), path, owner, name))
            }
            Kind::GitLab => {
                let [groups @ .., name] = segments.as_slice() else { return Err(wrong("/group/name")) };
                let path = format!("/projects/{}", escaped(&segments.join("/")));
                Ok(place(address, path, &groups.join("/"), name))
            }
            Kind::Bitbucket => {
                let [owner, name] = segments.as_slice() else { return Err(wrong("/workspace/name")) };
                let path = format!("/repositories/{}/{}", escaped(owner), escaped(name));
                Ok(place(address, path, owner, name))
            }
            Kind::BitbucketServer => {
                let [before @ .., project, name] = segments.as_slice() else {
                    return Err(wrong("/scm/project/name"));
                };
                let before = match before {
                    [before @ .., "scm"] => before,
                    // Over SSH there is nothing before the project that the API would be below.
                    before if ssh => before,
                    _ => return Err(wrong("/scm/project/name")),
                };
                let path = format!("/api/1.0/projects/{}/repos/{}", escaped(project), escaped(name));
                Ok(place(below(address, before), path, project, name))
            }
            Kind::AzureDevOps => azure(&segments, ssh, host).map_or_else(
                || Err(wrong("/organization/project/_git/name")),
                |(before, project, name)| {
                    let address = if ssh { "https://dev.azure.com".to_owned() } else { address };
                    let path = format!("/{}/_apis/git/repositories/{}", escaped(project), escaped(name));
                    Ok(place(below(address, &before), path, project, name))
                },
            ),
        }
    }
}

/// What comes before the project, the project, and the repository.
fn azure<'a>(segments: &[&'a str], ssh: bool, host: &str) -> Option<(Vec<&'a str>, &'a str, &'a str)> {
    match segments {
        ["v3", organization, project, name] if ssh => Some((vec![organization], project, name)),
        _ if ssh => None,
        // The first repository of a project has its name, and URLs may leave the project out.
        [organization, "_git", name] if host == "dev.azure.com" => Some((vec![organization], name, name)),
        ["_git", name] => Some((Vec::new(), name, name)),
        [before @ .., project, "_git", name] => Some((before.to_vec(), project, name)),
        _ => None,
    }
}

/// The host that a host for SSH belongs to.
fn public(host: &str) -> &str {
    match host {
        "ssh.github.com" => "github.com",
        "altssh.gitlab.com" => "gitlab.com",
        "altssh.bitbucket.org" => "bitbucket.org",
        host => host,
    }
}

fn below(address: String, path: &[&str]) -> String {
    path.iter().fold(address, |address, segment| format!("{address}/{}", escaped(segment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, kind: Option<Kind>) -> (String, String) {
        let place = Place::of(url, kind).unwrap_or_else(|error| panic!("{url}: {error}"));
        (place.address, place.path)
    }

    #[test]
    fn urls_tell_where_the_api_is() {
        let cases = [
            ("https://github.com/org/app.git", None, "https://github.com", "/repos/org/app"),
            ("ssh://git@github.com/org/app", None, "https://github.com", "/repos/org/app"),
            ("ssh://git@ssh.github.com:443/org/app.git", None, "https://github.com", "/repos/org/app"),
            ("https://gitlab.com/a/b/c.git", None, "https://gitlab.com", "/projects/a%2Fb%2Fc"),
            (
                "https://x.test:8443/git/org/app",
                Some(Kind::Gitea),
                "https://x.test:8443/git",
                "/repos/org/app",
            ),
            ("https://bitbucket.org/space/app.git", None, "https://bitbucket.org", "/repositories/space/app"),
            (
                "https://bb.test/ctx/scm/~me/app.git",
                Some(Kind::BitbucketServer),
                "https://bb.test/ctx",
                "/api/1.0/projects/~me/repos/app",
            ),
            (
                "ssh://git@bb.test:7999/prj/app.git",
                Some(Kind::BitbucketServer),
                "https://bb.test",
                "/api/1.0/projects/prj/repos/app",
            ),
            (
                "https://me@dev.azure.com/org/My%20Project/_git/app",
                None,
                "https://dev.azure.com/org",
                "/My%20Project/_apis/git/repositories/app",
            ),
            (
                "https://dev.azure.com/org/_git/app",
                None,
                "https://dev.azure.com/org",
                "/app/_apis/git/repositories/app",
            ),
            (
                "ssh://git@ssh.dev.azure.com/v3/org/prj/app",
                None,
                "https://dev.azure.com/org",
                "/prj/_apis/git/repositories/app",
            ),
            (
                "https://org.visualstudio.com/prj/_git/app",
                None,
                "https://org.visualstudio.com",
                "/prj/_apis/git/repositories/app",
            ),
        ];
        for (url, kind, address, path) in cases {
            assert_eq!(of(url, kind), (address.to_owned(), path.to_owned()), "{url}");
        }
    }

    #[test]
    fn what_is_no_repository_of_the_host_is_refused() {
        for (url, kind) in [
            ("https://github.com/app", None),
            ("https://dev.azure.com/org/prj/app", None),
            ("https://bb.test/prj/app.git", Some(Kind::BitbucketServer)),
            ("https://bitbucket.org/a/b/c", None),
            ("file:///srv/app", Some(Kind::GitHub)),
            ("nonsense", Some(Kind::GitHub)),
        ] {
            assert!(matches!(Place::of(url, kind), Err(Error::Place(_))), "{url}");
        }
        let error = Place::of("https://u:s3cret@git.example.test/org/app", None).unwrap_err().to_string();
        assert!(error.contains("git.example.test") && !error.contains("s3cret"), "{error}");
    }
}
