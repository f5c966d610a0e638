//! What an apply would change, object by object, for people to read. Nothing is written.

use super::applier::{Applier, Item};
use super::{Action, Error, Object, normalize};

/// What an apply would make of one object.
#[derive(Clone, Debug)]
pub struct Difference {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// What would be done.
    pub action: Action,
    /// The object as it is.
    pub live: Option<Object>,
    /// The object as it would be.
    pub merged: Option<Object>,
}

impl Applier<'_> {
    /// Asks the server what an apply of an object would do.
    pub async fn difference(&self, mut object: Object) -> Result<Difference, Error> {
        normalize(&mut object);
        let resource = self.cluster.resolve(object.api_version(), object.kind()).await;
        let resource = resource.map_err(|refusal| Error::dry_run(&object.id(), &refusal))?;
        let (id, digest) = (resource.identify(&object), object.digest());
        let item = Item { object, resource, id, digest };
        let done =
            |action, live, merged| Ok(Difference { subject: item.id.to_string(), action, live, merged });
        let live = self.find(&item).await.map_err(|refusal| Error::dry_run(&item.id, &refusal))?;
        let once = item.object.is_marked(&self.mark("ssa"), "IfNotPresent") && live.is_some();
        if once || self.is_excluded(&item.object) || live.as_ref().is_some_and(|live| self.is_excluded(live))
        {
            return done(Action::Skipped, live, None);
        }
        let merged = match self.requests().apply(&item.resource, &item.object, true).await {
            Ok(merged) => merged,
            Err(refusal) => match live {
                // It would be made anew.
                Some(live) if self.may_recreate(&item, &live, &refusal).await => {
                    return done(Action::Created, Some(live), Some(item.object.clone()));
                }
                _ => return Err(Error::dry_run(&item.id, &refusal)),
            },
        };
        match live {
            None => done(Action::Created, None, Some(merged)),
            Some(live) if self.options.ignore.has_drifted(&live, &merged) => {
                let rules = &self.options.ignore;
                let (before, after) =
                    (rules.without_ignored(&merged, &live), rules.without_ignored(&merged, &merged));
                done(Action::Configured, Some(before), Some(after))
            }
            Some(live) => done(Action::Unchanged, Some(live), Some(merged)),
        }
    }
}
