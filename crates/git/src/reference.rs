//! What a user asks for, and which commit that is.

use sluice_semver::{Constraints, Version};

use crate::client::Listing;
use crate::error::Error;
use crate::object::ObjectId;
use crate::wire::refs::{RefFilter, RemoteRef};

/// What a user asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The tip of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The highest tag in a range.
    Semver(String),
    /// A reference by its full name.
    Name(String),
    /// A commit, and the branch it is said to be on.
    Commit {
        /// 40 hexadecimal digits.
        id: String,
        /// The branch that the revision names.
        branch: Option<String>,
    },
}

/// The commit that a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What the revision says before the `@`; `None` for a bare commit.
    pub name: Option<String>,
    /// The commit.
    pub commit: ObjectId,
    /// The tag object, if an annotated tag was asked for.
    pub tag: Option<ObjectId>,
}

impl Resolved {
    /// The revision: `<name>@sha1:<commit>`.
    pub fn revision(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}@sha1:{}", self.commit),
            None => format!("sha1:{}", self.commit),
        }
    }
}

impl Reference {
    /// The references that must be listed to resolve this one; `None` if none are needed.
    pub fn filter(&self) -> Result<Option<RefFilter>, Error> {
        Ok(match self {
            Reference::Branch(branch) => Some(RefFilter::Names(vec![format!("refs/heads/{branch}")])),
            Reference::Tag(tag) => Some(RefFilter::Names(vec![format!("refs/tags/{tag}")])),
            Reference::Semver(_) => Some(RefFilter::Prefix("refs/tags/".to_owned())),
            Reference::Name(name) => {
                if name.starts_with('/') || name.ends_with('/') {
                    return Err(Error::NameInvalid(name.clone()));
                }
                Some(RefFilter::Names(vec![name.strip_suffix("^{}").unwrap_or(name).to_owned()]))
            }
            Reference::Commit { id, .. } => {
                id.parse::<ObjectId>().map_err(|()| Error::CommitInvalid(id.clone()))?;
                None
            }
        })
    }

    /// Whether the commit is known without a fetch: the highest of equal versions is not.
    pub fn is_exact(&self) -> bool {
        matches!(self, Reference::Branch(_) | Reference::Tag(_) | Reference::Name(_))
    }

    /// The candidates in a listing, best first. More than one only for versions that differ in nothing but their
    /// build metadata: there the newest commit wins, which the listing does not tell.
    pub fn resolve(&self, listing: &Listing) -> Result<Vec<Resolved>, Error> {
        match self {
            Reference::Branch(branch) => {
                let full = format!("refs/heads/{branch}");
                let found = find(listing, &full).ok_or(Error::ReferenceNotFound(full))?;
                Ok(vec![Resolved { name: Some(branch.clone()), commit: found.id, tag: None }])
            }
            Reference::Tag(tag) => {
                let full = format!("refs/tags/{tag}");
                let found = find(listing, &full).ok_or(Error::ReferenceNotFound(full))?;
                Ok(vec![resolved(tag, found)])
            }
            Reference::Name(name) => {
                let full = name.strip_suffix("^{}").unwrap_or(name);
                let found = find(listing, full).ok_or_else(|| Error::NameNotResolved(name.clone()))?;
                Ok(vec![resolved(name, found)])
            }
            Reference::Semver(range) => highest(range, listing),
            Reference::Commit { id, branch } => {
                let commit = id.parse().map_err(|()| Error::CommitInvalid(id.clone()))?;
                Ok(vec![Resolved { name: branch.clone(), commit, tag: None }])
            }
        }
    }
}

fn find<'a>(listing: &'a Listing, full: &str) -> Option<&'a RemoteRef> {
    listing.refs.iter().find(|r| r.name == full)
}

fn resolved(name: &str, found: &RemoteRef) -> Resolved {
    Resolved { name: Some(name.to_owned()), commit: found.commit(), tag: found.peeled.map(|_| found.id) }
}

fn highest(range: &str, listing: &Listing) -> Result<Vec<Resolved>, Error> {
    let constraints = Constraints::parse(range)?;
    let versions = listing.refs.iter().filter_map(|found| {
        let tag = found.name.strip_prefix("refs/tags/")?;
        // A version in a tag has three parts; `v1` is a moving tag, not a release.
        let core = tag.split(['-', '+']).next().unwrap_or_default();
        let version = (core.split('.').count() == 3).then(|| Version::parse(tag).ok())??;
        constraints.check(&version).then(|| (version, resolved(tag, found)))
    });
    let mut versions: Vec<(Version, Resolved)> = versions.collect();
    versions.sort_by(|(a, _), (b, _)| b.cmp(a));
    let Some((best, _)) = versions.first().cloned() else {
        return Err(Error::NoSemverMatch(range.to_owned()));
    };
    Ok(versions
        .into_iter()
        .take_while(|(version, _)| *version == best)
        .map(|(_, resolved)| resolved)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let reference = |(index, name): (usize, &&str)| RemoteRef {
            name: (*name).to_owned(),
            id: ObjectId::from_bytes([index as u8 + 1; 20]),
            peeled: name.contains("annotated").then(|| ObjectId::from_bytes([100; 20])),
        };
        Listing { refs: names.iter().enumerate().map(reference).collect() }
    }

    fn names(reference: &Reference, refs: &[&str]) -> Vec<String> {
        let found = reference.resolve(&listing(refs)).unwrap();
        found.into_iter().map(|r| r.name.unwrap_or_default()).collect()
    }

    #[test]
    fn the_highest_version_in_range_wins() {
        let tags = [
            "refs/tags/v1.2.3",
            "refs/tags/1.10.0",
            "refs/tags/v1",
            "refs/tags/1.9.0-rc.1",
            "refs/tags/2.0.0",
            "refs/tags/x",
        ];
        assert_eq!(names(&Reference::Semver(">=1.0.0 <2.0.0".into()), &tags), ["1.10.0"]);
        assert_eq!(names(&Reference::Semver("~1.2".into()), &tags), ["v1.2.3"]);
        assert_eq!(
            names(&Reference::Semver("1.x".into()), &["refs/tags/1.0.0+a", "refs/tags/01.0.0+b"]),
            ["1.0.0+a", "01.0.0+b"]
        );
        let none = Reference::Semver("3.x".into()).resolve(&listing(&tags)).unwrap_err();
        assert_eq!(none.to_string(), "no match found for semver: 3.x");
        assert!(Reference::Semver("nonsense".into()).resolve(&listing(&tags)).is_err());
    }

    #[test]
    fn annotated_tags_are_peeled() {
        let found = Reference::Tag("annotated".into()).resolve(&listing(&["refs/tags/annotated"])).unwrap();
        assert_eq!(found[0].revision(), format!("annotated@sha1:{}", "64".repeat(20)));
        assert_eq!(found[0].tag, Some(ObjectId::from_bytes([1; 20])));
        let found = Reference::Name("refs/tags/annotated^{}".into())
            .resolve(&listing(&["refs/tags/annotated"]))
            .unwrap();
        assert_eq!(found[0].revision(), format!("refs/tags/annotated^{{}}@sha1:{}", "64".repeat(20)));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let empty = listing(&[]);
        let message = |reference: Reference| reference.resolve(&empty).unwrap_err().to_string();
        assert_eq!(message(Reference::Branch("nope".into())), "couldn't find remote ref \"refs/heads/nope\"");
        assert_eq!(
            message(Reference::Name("refs/pull/1/head".into())),
            "unable to resolve ref 'refs/pull/1/head' to a specific commit"
        );
        assert!(Reference::Name("refs/heads/x/".into()).filter().is_err());
        assert!(Reference::Commit { id: "abc".into(), branch: None }.filter().is_err());
    }
}
