//! Listings shared by those who ask for the same remote within a short time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Client, Listing, Remote, Session};
use crate::error::Error;
use crate::wire::refs::RefFilter;

/// Nobody may ask for listings older than this.
const MAX_AGE: Duration = Duration::from_secs(30);
/// Larger listings are not kept.
const MAX_REFS: usize = 10_000;

/// A client that remembers listings for a while. Many sources of one repository so cost it few requests.
#[derive(Debug, Clone, Default)]
pub struct Listings {
    client: Client,
    known: Arc<Mutex<HashMap<Remote, Known>>>,
}

#[derive(Debug)]
struct Known {
    at: Instant,
    filter: RefFilter,
    listing: Listing,
}

impl Listings {
    /// Remembers what `client` lists.
    pub fn new(client: Client) -> Self {
        Listings { client, known: Arc::default() }
    }

    /// The client itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Lists the references of `remote` that `filter` accepts, or takes a listing that is at most `age` old. There is a
    /// session only where the remote was asked.
    pub async fn list(
        &self,
        remote: &Remote,
        filter: &RefFilter,
        age: Duration,
    ) -> Result<(Listing, Option<Session>), Error> {
        let wide = match self.find(remote, filter, age) {
            Ok(listing) => return Ok((listing, None)),
            Err(wide) => wide,
        };
        let asked = if wide { &RefFilter::All } else { filter };
        let at = Instant::now();
        let found = self.client.list(remote, asked).await;
        // Who tries again after a failure wants news as well: what was known before does not do.
        let (listing, session) = found.inspect_err(|_| self.forget(remote, at))?;
        let answer = select(&listing, filter);
        self.remember(remote, Known { at, filter: asked.clone(), listing });
        Ok((answer, Some(session)))
    }

    /// What is known; else whether others ask for other references of the remote, so that all should be listed.
    fn find(&self, remote: &Remote, filter: &RefFilter, age: Duration) -> Result<Listing, bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.get(remote).filter(|known| known.at.elapsed() <= MAX_AGE) else {
            return Err(false);
        };
        let covers = known.filter == RefFilter::All || known.filter == *filter;
        if covers && known.at.elapsed() < age.min(MAX_AGE) {
            return Ok(select(&known.listing, filter));
        }
        Err(known.filter != *filter)
    }

    /// Forgets a listing that was made before `at`.
    fn forget(&self, remote: &Remote, at: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(remote).is_some_and(|known| known.at < at) {
            known.remove(remote);
        }
    }

    fn remember(&self, remote: &Remote, found: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.at.elapsed() <= MAX_AGE);
        if found.listing.refs.len() <= MAX_REFS {
            known.insert(remote.clone(), found);
        }
    }
}

fn select(listing: &Listing, filter: &RefFilter) -> Listing {
    Listing { refs: listing.refs.iter().filter(|r| filter.accepts(&r.name)).cloned().collect() }
}
