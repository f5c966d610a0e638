//! The repository that a cluster is bootstrapped from: fetched into a directory, changed there, pushed.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use sluice_git::tree::{Selection, View, checkout};
use sluice_git::{
    Change, Client, Credentials, Error, Identity, Interrupt, ObjectId, RefFilter, RemoteUrl, Repository,
    SigningKey, Tls, commit,
};

use super::run::Login;
use super::tree::Tree;

/// Who commits.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) name: String,
    pub(super) email: String,
    /// What signs for them.
    pub(super) signing: Option<Arc<SigningKey>>,
}

/// A branch of a repository elsewhere.
pub(super) struct Remote {
    client: Client,
    remote: sluice_git::Remote,
    branch: String,
}

/// A branch as it was fetched, and what was changed since.
pub(super) struct Clone {
    /// Its files.
    pub(super) tree: Tree,
    base: Option<(Repository, ObjectId)>,
    /// The commit that the branch names, in hexadecimal; empty where there is none yet.
    pub(super) head: String,
    /// The commit that was pushed, if one was.
    pub(super) pushed: Option<String>,
}

/// Whether a push failed because somebody else was faster.
pub(super) fn was_overtaken(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref::<Error>(), Some(Error::Overtaken(_))))
}

impl Remote {
    pub(super) fn new(url: &str, branch: &str, login: &Login, authority: Option<&[u8]>) -> Result<Self> {
        let credentials = match login {
            Login::Password { password, .. } if password.is_empty() => Credentials::None,
            Login::Password { password, bearer: true, .. } => Credentials::Bearer(password.clone()),
            Login::Password { username, password, bearer: false } => {
                Credentials::Basic { username: username.clone(), password: password.clone() }
            }
            Login::Key { pair, password, known_hosts, .. } => Credentials::Ssh {
                identity: pair.identity.clone(),
                passphrase: password.clone().filter(|password| !password.is_empty()),
                known_hosts: known_hosts.clone(),
            },
            Login::NewKey => bail!("there is no key to push with"),
        };
        let tls = Tls { authorities: authority.map(<[u8]>::to_vec), identity: None };
        let url = RemoteUrl::parse(url)?;
        let remote = sluice_git::Remote { credentials, tls, ..sluice_git::Remote::anonymous(url) };
        Ok(Self { client: Client::default(), remote, branch: branch.to_owned() })
    }

    fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// Fetches the branch. A repository without any reference gives an empty clone.
    pub(super) async fn clone_branch(&self) -> Result<Clone> {
        match self.fetch().await {
            // A connection may break once.
            Err(error) if matches!(error.downcast_ref::<Error>(), Some(Error::Transport { .. })) => {
                self.fetch().await
            }
            outcome => outcome,
        }
        .context("failed to clone repository")
    }

    async fn fetch(&self) -> Result<Clone> {
        let filter = RefFilter::Prefix("refs/heads/".into());
        let (listing, mut session) = self.client.list(&self.remote, &filter).await?;
        let files = Tree::new()?;
        let reference = self.reference();
        let Some(found) = listing.refs.iter().find(|found| found.name == reference) else {
            if !listing.refs.is_empty() || !session.is_empty().await? {
                bail!("the repository has no branch {:?}", self.branch);
            }
            return Ok(Clone { tree: files, base: None, head: String::new(), pushed: None });
        };
        let id = found.commit();
        let repository = session.fetch(&[id]).await?;
        let view = View::new(repository.clone(), repository.commit(id)?.tree);
        let path = files.folder().to_owned();
        tokio::task::spawn_blocking(move || checkout(&view, &Selection::all(), &path, &Interrupt::default()))
            .await??;
        Ok(Clone { tree: files, base: Some((repository, id)), head: id.to_string(), pushed: None })
    }

    /// Commits changed files and pushes.
    pub(super) async fn push(
        &self,
        clone: &mut Clone,
        files: &BTreeMap<String, String>,
        message: &str,
        author: &Author,
    ) -> Result<()> {
        let changes: Vec<Change> = files
            .iter()
            .map(|(path, content)| Change {
                path: path.clone(),
                content: Some(content.clone().into_bytes()),
                executable: false,
            })
            .collect();
        let signing = author.signing.as_ref();
        let sign = signing.map(|key| |payload: &[u8]| key.sign(payload));
        let author = Identity {
            name: author.name.clone(),
            email: author.email.clone(),
            seconds: Timestamp::now().as_second(),
        };
        let parent = clone.base.as_ref().map(|(repository, id)| (repository, *id));
        let made = commit(
            parent,
            &changes,
            &author,
            message,
            sign.as_ref().map(|sign| sign as sluice_git::Signer<'_>),
        )?;
        let old = clone.base.as_ref().map(|(_, id)| *id);
        self.client
            .push(&self.remote, &self.reference(), old, &made)
            .await
            .context("failed to push manifests")?;
        clone.head = made.id.to_string();
        clone.pushed = Some(clone.head.clone());
        Ok(())
    }
}
