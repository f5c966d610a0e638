//! Deciding whether there is anything to do: pure.

use sluice_api::source::{GitRepositorySpec, GitRepositoryStatus, GitVerificationMode};

use super::include::Included;
use super::observe::Inputs;

/// What is to be done.
pub(super) enum Plan {
    /// Nothing: the artifact is of this revision and made with the same settings.
    Keep(String),
    /// Fetch one of the commits and make an artifact of it.
    Fetch(Box<Inputs>),
}

/// Decides.
pub(super) fn plan(spec: &GitRepositorySpec, status: &GitRepositoryStatus, inputs: Inputs) -> Plan {
    let current = status.artifact.as_ref().map(|artifact| artifact.revision.as_str());
    // Of several candidates the newest wins, which only a fetch tells.
    let known = match inputs.candidates.as_slice() {
        [only] => Some(only.revision()),
        _ => None,
    };
    match known {
        Some(revision) if current == Some(&revision) && !settings_changed(spec, status, &inputs.includes) => {
            Plan::Keep(revision)
        }
        _ => Plan::Fetch(Box::new(inputs)),
    }
}

/// Whether the artifact was made with other settings than the spec's.
pub(super) fn settings_changed(
    spec: &GitRepositorySpec,
    status: &GitRepositoryStatus,
    includes: &[Included],
) -> bool {
    spec.ignore != status.observed_ignore
        || spec.recurse_submodules != status.observed_recurse_submodules
        || spec.sparse_checkout != status.observed_sparse_checkout
        || verification_required(spec, status)
        || includes_changed(spec, status, includes)
}

/// Whether included content is other than in the artifact.
pub(super) fn includes_changed(
    spec: &GitRepositorySpec,
    status: &GitRepositoryStatus,
    includes: &[Included],
) -> bool {
    let same_artifact = |included: &Included, recorded: &sluice_api::meta::Artifact| {
        included.artifact.revision == recorded.revision && included.artifact.digest == recorded.digest
    };
    spec.include != status.observed_include
        || includes.len() != status.included_artifacts.len()
        || !includes.iter().zip(&status.included_artifacts).all(|(i, recorded)| same_artifact(i, recorded))
}

/// Whether a signature is wanted that was not verified for the artifact.
fn verification_required(spec: &GitRepositorySpec, status: &GitRepositoryStatus) -> bool {
    let Some(verify) = &spec.verify else { return false };
    let wanted = verify.mode();
    let recorded = status.source_verification_mode.as_deref().unwrap_or_default();
    let both = recorded == GitVerificationMode::TagAndHead.as_str();
    !both && recorded != wanted.as_str()
}

#[cfg(test)]
mod tests {
    use sluice_api::meta::{Artifact, Duration, Time};
    use sluice_api::source::{GitRepositoryInclude, GitRepositoryVerification};
    use sluice_git::{Remote, RemoteUrl, Resolved};

    use super::*;

    const REVISION: &str = "main@sha1:0101010101010101010101010101010101010101";

    fn spec() -> GitRepositorySpec {
        serde_json::from_value(serde_json::json!({"url": "https://h/r", "interval": "1m"})).unwrap()
    }

    fn artifact(revision: &str) -> Artifact {
        Artifact {
            digest: "sha256:00".to_owned(),
            last_update_time: Time(jiff::Timestamp::UNIX_EPOCH),
            metadata: std::collections::BTreeMap::new(),
            path: String::new(),
            revision: revision.to_owned(),
            size: None,
            url: String::new(),
        }
    }

    fn status() -> GitRepositoryStatus {
        GitRepositoryStatus { artifact: Some(artifact(REVISION)), ..Default::default() }
    }

    fn inputs(commits: &[u8]) -> Inputs {
        let resolved = |byte: &u8| Resolved {
            name: Some("main".to_owned()),
            commit: sluice_git::ObjectId::from_bytes([*byte; 20]),
            tag: None,
        };
        Inputs {
            remote: Remote::anonymous(RemoteUrl::parse("https://h/r").unwrap()),
            app: None,
            candidates: commits.iter().map(resolved).collect(),
            session: None,
            includes: Vec::new(),
            deadline: tokio::time::Instant::now(),
        }
    }

    fn keeps(spec: &GitRepositorySpec, status: &GitRepositoryStatus, commits: &[u8]) -> bool {
        matches!(plan(spec, status, inputs(commits)), Plan::Keep(_))
    }

    #[test]
    fn an_unchanged_revision_with_a_present_artifact_is_kept() {
        assert!(keeps(&spec(), &status(), &[1]));
        assert!(!keeps(&spec(), &status(), &[2]));
        assert!(!keeps(&spec(), &status(), &[1, 1]), "equal versions need a look at the commits");
        assert!(!keeps(&spec(), &GitRepositoryStatus::default(), &[1]));
    }

    #[test]
    fn other_settings_call_for_a_new_artifact() {
        let changed = |change: fn(&mut GitRepositorySpec)| {
            let mut spec = spec();
            change(&mut spec);
            !keeps(&spec, &status(), &[1])
        };
        assert!(changed(|s| s.ignore = Some(String::new())));
        assert!(changed(|s| s.recurse_submodules = true));
        assert!(changed(|s| s.sparse_checkout = vec!["a".to_owned()]));
        assert!(changed(|s| s.include = vec![GitRepositoryInclude::default()]));
        assert!(changed(|s| s.verify = Some(GitRepositoryVerification::default())));
        assert!(!changed(|s| s.interval = Duration::from_secs(1)));
    }

    #[test]
    fn a_recorded_verification_of_both_covers_each() {
        for (recorded, wanted, kept) in [
            ("TagAndHEAD", GitVerificationMode::Tag, true),
            ("TagAndHEAD", GitVerificationMode::Head, true),
            ("HEAD", GitVerificationMode::OldHead, true),
            ("HEAD", GitVerificationMode::Tag, false),
            ("HEAD", GitVerificationMode::TagAndHead, false),
            ("", GitVerificationMode::Head, false),
        ] {
            let mut spec = spec();
            spec.verify = Some(GitRepositoryVerification { mode: Some(wanted), ..Default::default() });
            let mut status = status();
            status.source_verification_mode = Some(recorded.to_owned());
            assert_eq!(keeps(&spec, &status, &[1]), kept, "{recorded} {wanted:?}");
        }
    }
}
