//! Objects of remotes, kept from one fetch to the next: what is there is not fetched again.
//!
//! Packs are kept apart for each [`Remote`], which is a URL and all that gives access to it: what one login has fetched is
//! no use to another. They are files without a name, so there is no folder that could be lost or damaged; a new process
//! begins with none.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::client::{Client, Remote, Session};
use crate::error::Error;
use crate::object::{Mode, ObjectId};
use crate::pack::{KeptPack, Pack};
use crate::repository::Repository;
use crate::wire::refs::RefFilter;

/// A repository of more packs is fetched anew.
const MAX_PACKS: usize = 32;
/// So many commits are told to the server, the newest ones.
const MAX_HAVES: usize = 16;

/// Objects of remotes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    remotes: Mutex<Remotes>,
}

#[derive(Debug, Default)]
struct Remotes {
    by_remote: HashMap<Remote, Known>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// Held by whoever fetches: others wait, and mostly find what they need then.
    slot: Arc<tokio::sync::Mutex<Slot>>,
    bytes: u64,
    used: u64,
}

/// What is kept of one remote.
#[derive(Debug, Default)]
struct Slot {
    packs: Vec<Kept>,
    /// What was fetched with all that belongs to it: commits and tags.
    complete: HashSet<ObjectId>,
    /// The commits among them, oldest first.
    commits: Vec<ObjectId>,
}

#[derive(Debug)]
struct Kept {
    pack: KeptPack,
    /// The pack while somebody reads it.
    awake: Weak<Pack>,
}

impl ObjectCache {
    /// Keeps at most `limit` bytes of all remotes together, on the disk of temporary files. With 0 nothing is kept.
    pub fn new(limit: u64) -> Self {
        ObjectCache(Arc::new(Shared { limit, remotes: Mutex::default() }))
    }

    /// Fetches `ids` (commits or tags) with their trees and without history, or finds them where the remote has just said
    /// that it has them. `session` is used where there is one, else a connection is made with `filter`.
    pub async fn fetch(
        &self,
        client: &Client,
        remote: &Remote,
        filter: &RefFilter,
        session: Option<Session>,
        ids: &[ObjectId],
    ) -> Result<Repository, Error> {
        if self.0.limit == 0 {
            return connected(client, remote, filter, session).await?.fetch(ids).await;
        }
        let slot = self.slot(remote);
        let mut slot = slot.lock_owned().await;
        if slot.packs.len() >= MAX_PACKS {
            *slot = Slot::default();
        }
        let (mut slot, known) = blocking(move || {
            let known = slot.wake();
            (slot, known)
        })
        .await?;
        if let Some((first, rest)) = known.split_first()
            && ids.iter().all(|id| slot.complete.contains(id))
        {
            return Ok(Repository::new(Arc::clone(first), rest));
        }
        let mut session = connected(client, remote, filter, session).await?;
        let mut fetched = None;
        if !known.is_empty() {
            let haves: Vec<_> = slot.commits.iter().rev().take(MAX_HAVES).copied().collect();
            match news(&mut session, ids, &haves, &known).await {
                Ok(repository) => fetched = Some(repository),
                // What is here does not fit what the server has: as good as nothing.
                Err(Error::Remote(_) | Error::Protocol(_) | Error::Pack(_) | Error::ObjectNotFound(_)) => {
                    *slot = Slot::default();
                    session = client.connect(remote, filter).await?;
                }
                Err(error) => return Err(error),
            }
        }
        let repository = match fetched {
            Some(repository) => repository,
            None => session.fetch(ids).await?,
        };
        self.keep(remote, slot, &repository, ids).await;
        Ok(repository)
    }

    /// Forgets what is kept of a remote.
    pub fn forget(&self, remote: &Remote) {
        self.remotes().by_remote.remove(remote);
    }

    /// Forgets everything, for a disk that is full.
    pub fn clear(&self) {
        self.remotes().by_remote.clear();
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> u64 {
        self.remotes().by_remote.values().map(|known| known.bytes).sum()
    }

    fn remotes(&self) -> MutexGuard<'_, Remotes> {
        self.0.remotes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, remote: &Remote) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut remotes = self.remotes();
        remotes.clock += 1;
        let clock = remotes.clock;
        let known = remotes.by_remote.entry(remote.clone()).or_default();
        known.used = clock;
        Arc::clone(&known.slot)
    }

    /// Keeps what was fetched; a disk that is full keeps nothing, which is no failure.
    async fn keep(
        &self,
        remote: &Remote,
        mut slot: tokio::sync::OwnedMutexGuard<Slot>,
        repository: &Repository,
        ids: &[ObjectId],
    ) {
        let Some(pack) = repository.packs().first().cloned() else { return };
        let commits: Vec<_> = ids.iter().filter_map(|id| repository.peel(*id).ok()).collect();
        let ids = ids.to_vec();
        let limit = self.0.limit;
        let kept = blocking(move || {
            match KeptPack::keep(&pack) {
                Ok(kept) => slot.add(Kept { pack: kept, awake: Arc::downgrade(&pack) }, &ids, &commits),
                Err(_) => *slot = Slot::default(),
            }
            if slot.bytes() > limit {
                *slot = Slot::default();
            }
            slot.bytes()
        })
        .await;
        let mut remotes = self.remotes();
        if let (Ok(bytes), Some(known)) = (kept, remotes.by_remote.get_mut(remote)) {
            known.bytes = bytes;
        }
        remotes.shrink(limit);
    }
}

impl Remotes {
    /// Forgets those that were not used for longest until the rest fits.
    fn shrink(&mut self, limit: u64) {
        while self.by_remote.values().map(|known| known.bytes).sum::<u64>() > limit {
            let oldest = self.by_remote.iter().min_by_key(|(_, known)| known.used);
            let Some(oldest) = oldest.map(|(remote, _)| remote.clone()) else { return };
            self.by_remote.remove(&oldest);
        }
        // Those of which nothing could be kept are worth no memory, unless somebody waits for them.
        self.by_remote.retain(|_, known| known.bytes > 0 || Arc::strong_count(&known.slot) > 1);
    }
}

impl Slot {
    /// The packs, ready to be read; none if one of them cannot be.
    fn wake(&mut self) -> Vec<Arc<Pack>> {
        let mut packs = Vec::new();
        for kept in self.packs.iter_mut().rev() {
            let pack = match kept.awake.upgrade() {
                Some(pack) => pack,
                None => match kept.pack.wake() {
                    Ok(pack) => Arc::new(pack),
                    Err(_) => {
                        *self = Slot::default();
                        return Vec::new();
                    }
                },
            };
            kept.awake = Arc::downgrade(&pack);
            packs.push(pack);
        }
        packs
    }

    fn add(&mut self, kept: Kept, ids: &[ObjectId], commits: &[ObjectId]) {
        self.packs.push(kept);
        self.complete.extend(ids.iter().chain(commits));
        self.commits.retain(|known| !commits.contains(known));
        self.commits.extend(commits);
    }

    fn bytes(&self) -> u64 {
        self.packs.iter().map(|kept| kept.pack.bytes()).sum()
    }
}

async fn connected(
    client: &Client,
    remote: &Remote,
    filter: &RefFilter,
    session: Option<Session>,
) -> Result<Session, Error> {
    match session {
        Some(session) => Ok(session),
        None => client.connect(remote, filter).await,
    }
}

/// Fetches what is not here, and checks that nothing is missing then: that the server knows what is here is only what
/// it says.
async fn news(
    session: &mut Session,
    ids: &[ObjectId],
    haves: &[ObjectId],
    known: &[Arc<Pack>],
) -> Result<Repository, Error> {
    let repository = session.fetch_news(ids, haves, known).await?;
    let (checked, ids) = (repository.clone(), ids.to_vec());
    blocking(move || {
        let mut seen = HashSet::new();
        ids.iter().try_for_each(|id| {
            let commit = checked.commit(checked.peel(*id)?)?;
            check_tree(&checked, commit.tree, &mut seen)
        })
    })
    .await??;
    Ok(repository)
}

fn check_tree(repository: &Repository, root: ObjectId, seen: &mut HashSet<ObjectId>) -> Result<(), Error> {
    let mut trees = vec![root];
    while let Some(tree) = trees.pop() {
        if !seen.insert(tree) {
            continue;
        }
        for entry in repository.tree(tree)? {
            match entry.mode {
                Mode::Directory => trees.push(entry.id),
                Mode::Submodule => {}
                Mode::File { .. } | Mode::Symlink if repository.contains(entry.id) => {}
                Mode::File { .. } | Mode::Symlink => return Err(Error::ObjectNotFound(entry.id)),
            }
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Io(std::io::Error::other(error)))
}
