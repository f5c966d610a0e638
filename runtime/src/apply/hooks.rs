//! Beyond Flux: hooks. A hook is made anew for each content, and then left alone until it is done.

use kube::api::PropagationPolicy;
use sluice_kstatus::Status;

use super::applier::Applier;
use super::observe::version_number;
use super::{Action, Change, Error, Object, health};

/// Annotation on a hook: for which content it was made.
const RUN: &str = "sluice.dev/hook-run";

/// A hook that is there.
#[derive(Clone, Debug)]
pub struct Hook {
    /// What was done to it.
    pub change: Change,
    /// Its version, as the server knows it.
    pub version: u64,
    /// How it is.
    pub status: Status,
}

impl Applier<'_> {
    /// Makes sure that a hook was made for the content that `run` stands for. One of another content is made anew, and
    /// with `again` also one that has failed. Objects that carry none of the `owner` labels are never touched.
    pub async fn hook(
        &self,
        mut object: Object,
        run: &str,
        again: bool,
        owner: &[(&str, &str)],
    ) -> Result<Hook, Error> {
        object.set_tags("annotations", [(RUN, run)]);
        let resource = self.cluster.resolve(object.api_version(), object.kind()).await;
        let resource = resource.map_err(|refusal| Error::dry_run(&object.id(), &refusal))?;
        let id = resource.identify(&object);
        let failed = |cause: String| Error::Apply { id: id.clone(), cause, perhaps_written: false };
        let live = self.requests().find(&resource, object.namespace(), object.name()).await;
        let live = live.map_err(|refusal| failed(refusal.to_string()))?;
        if let Some(live) = live {
            let (status, _) = health::judge(&live.clone().into_value());
            if live.tag("annotations", RUN) == run && !(again && status == Status::Failed) {
                let version = version_number(Some(live.resource_version()));
                let change = Change::new(id, object.version(), Action::Unchanged);
                return Ok(Hook { change, version, status });
            }
            if owner.iter().any(|(label, value)| live.tag("labels", label) != *value) {
                return Err(failed(
                    "it is there already and was not made as a hook of this owner".to_owned(),
                ));
            }
            // In the background, so that Pods of an old run go with it.
            let gone = self.requests().delete_by(&resource, &live, PropagationPolicy::Background).await;
            gone.or_else(
                |refusal| if refusal.is_not_found() { Ok(()) } else { Err(failed(refusal.to_string())) },
            )?;
            self.await_removal(&resource, &id, &live).await?;
        }
        let made = self.requests().apply(&resource, &object, false).await;
        let made = made.map_err(|refusal| Error::dry_run(&id, &refusal))?;
        let version = version_number(Some(made.resource_version()));
        let (status, _) = health::judge(&made.into_value());
        Ok(Hook { change: Change::new(id, object.version(), Action::Created), version, status })
    }
}
