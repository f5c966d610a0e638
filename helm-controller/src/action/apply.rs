//! Objects of a manifest to the cluster: those that are new, those that differ, and away with those that are no more.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use kube::api::{Patch, PatchParams, PropagationPolicy, ValidationDirective};
use serde_json::{Value, json};
use sluice_releases::{Item, foreign, is_kept};
use sluice_runtime::apply::{Object, ObjectId, Refusal, Requests, Resource};

use super::{Error, FIELD_MANAGER, Method, Session, manager, merge};

/// How many objects of one kind are written at the same time.
const CONCURRENCY: usize = 8;

/// How to write objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applying<'a> {
    pub(crate) release: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) method: Method,
    /// Whether the objects were written by the client before.
    pub(crate) migrate: bool,
    /// Whether objects are put in place of those that are there.
    pub(crate) replace: bool,
    /// Whether it matters which objects are new.
    pub(crate) tells_new: bool,
    /// Whether unknown fields are an error. Server-side apply always refuses them.
    pub(crate) strict: bool,
}

/// An object that the server has now, without its content: what is waited for takes little memory.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) id: ObjectId,
    pub(crate) api_version: String,
    pub(crate) resource: Arc<Resource>,
    /// Whether it is new, where that was to be told.
    pub(crate) created: bool,
    /// The resource version.
    pub(crate) version: u64,
    /// Whether nobody is at work on it: a Deployment that is paused.
    pub(crate) paused: bool,
    /// Whether it goes when it is done: a Job with a time to live.
    pub(crate) vanishes: bool,
}

impl Written {
    pub(crate) fn new(item: &Item, created: bool, answer: &Object) -> Self {
        let spec = |field: &str| item.object.fields().get("spec").and_then(|spec| spec.get(field));
        Self {
            id: item.id.clone(),
            api_version: item.object.api_version().to_owned(),
            resource: item.resource.clone(),
            created,
            version: answer.resource_version().parse().unwrap_or_default(),
            paused: item.id.kind == "Deployment" && spec("paused") == Some(&Value::Bool(true)),
            vanishes: is_job(&item.id) && spec("ttlSecondsAfterFinished").is_some(),
        }
    }
}

/// Whether something is a Job.
pub(crate) fn is_job(id: &ObjectId) -> bool {
    id.group == "batch" && id.kind == "Job"
}

/// What came of an update.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) written: Vec<Written>,
    pub(crate) error: Option<Error>,
}

fn requests<'s>(session: &Session<'s>) -> Requests<'s> {
    Requests { client: session.client, field_manager: FIELD_MANAGER }
}

/// Refuses objects that are there and belong to somebody else.
pub(crate) async fn check_ownership(
    session: &Session<'_>,
    items: impl Iterator<Item = &Item>,
    release: &str,
    namespace: &str,
) -> Result<(), Error> {
    let looks: Vec<BoxFuture<'_, Result<Option<String>, Refusal>>> = items
        .map(|item| {
            async move {
                let found = requests(session)
                    .find(&item.resource, item.object.namespace(), item.object.name())
                    .await?;
                Ok(found.and_then(|live| foreign(&live, release, namespace)))
            }
            .boxed()
        })
        .collect();
    let mut looks = stream::iter(looks).buffered(CONCURRENCY);
    while let Some(look) = looks.next().await {
        match look {
            Ok(None) => {}
            Ok(Some(complaint)) => {
                return Err(Error::Apply(format!("unable to continue with install: {complaint}")));
            }
            Err(error) => return Err(Error::Apply(error.to_string())),
        }
    }
    Ok(())
}

/// Brings the cluster from the objects of one manifest to those of another.
pub(crate) async fn update(
    session: &Session<'_>,
    current: Vec<Item>,
    wanted: Vec<Item>,
    how: Applying<'_>,
) -> Applied {
    let mut applied = Applied::default();
    let mut errors: Vec<String> = Vec::new();
    for group in wanted.chunk_by(|a, b| a.object.kind() == b.object.kind()) {
        let writes: Vec<BoxFuture<'_, Result<Written, String>>> = group
            .iter()
            .map(|item| {
                let before = current.iter().find(|known| known.id == item.id);
                write(session, before, item, how).boxed()
            })
            .collect();
        let mut writes = stream::iter(writes).buffered(CONCURRENCY);
        while let Some(written) = writes.next().await {
            match written {
                Ok(written) => applied.written.push(written),
                Err(error) => errors.push(error),
            }
        }
    }
    if !errors.is_empty() {
        applied.error = Some(Error::Apply(errors.join(" && ")));
        return applied;
    }
    let kept: HashSet<&ObjectId> = wanted.iter().map(|item| &item.id).collect();
    for item in current.iter().filter(|item| !kept.contains(&item.id)) {
        if let Err(error) = remove(session, item).await {
            session.log.push(format!("warning: failed to delete {}: {error}", item.id));
        }
    }
    applied
}

/// Deletes an object that a manifest has no more, unless it says that it is to be kept.
async fn remove(session: &Session<'_>, item: &Item) -> Result<(), Refusal> {
    let requests = requests(session);
    let object = &item.object;
    let Some(live) = requests.find(&item.resource, object.namespace(), object.name()).await? else {
        return Ok(());
    };
    if is_kept(&live) {
        session.log.push(format!("skipping delete of {} due to annotation", item.id));
        return Ok(());
    }
    match requests.delete_by(&item.resource, &live, PropagationPolicy::Background).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

async fn write(
    session: &Session<'_>,
    before: Option<&Item>,
    item: &Item,
    how: Applying<'_>,
) -> Result<Written, String> {
    let mut item = item.clone();
    item.own(how.release, how.namespace);
    let answer = match how.method {
        Method::Server => write_by_server(session, before, &item, how).await,
        Method::Client => write_by_client(session, before, &item, how).await,
    };
    let (created, answer) = answer.map_err(|error| {
        let what = if before.is_some() { "cannot patch" } else { "failed to create resource" };
        format!("{what} {:?} with kind {}: {error}", item.object.name(), item.object.kind())
    })?;
    Ok(Written::new(&item, created, &answer))
}

async fn write_by_server(
    session: &Session<'_>,
    before: Option<&Item>,
    item: &Item,
    how: Applying<'_>,
) -> Result<(bool, Object), Refusal> {
    let requests = requests(session);
    if how.migrate || how.tells_new && before.is_none() {
        let live = requests.find(&item.resource, item.object.namespace(), item.object.name()).await?;
        if let Some(live) = &live {
            migrate(&requests, item, live).await?;
        }
        return Ok((live.is_none(), apply(&requests, item).await?));
    }
    let answer = apply(&requests, item).await?;
    // What the client wrote to an object that is new to this release is known only now.
    if before.is_none() && migrate(&requests, item, &answer).await? {
        return Ok((false, apply(&requests, item).await?));
    }
    Ok((false, answer))
}

/// Makes what the client wrote to an object part of what is applied. Returns whether there was something.
async fn migrate(requests: &Requests<'_>, item: &Item, live: &Object) -> Result<bool, Refusal> {
    let operations = manager::to_server_side(live, FIELD_MANAGER);
    if operations.is_empty() {
        return Ok(false);
    }
    requests.json_patch(&item.resource, live, &operations).await?;
    Ok(true)
}

/// Applies an object; what it says is taken from whoever had it.
async fn apply(requests: &Requests<'_>, item: &Item) -> Result<Object, Refusal> {
    let params = PatchParams {
        force: true,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    let body = Patch::Apply(Value::Object(item.object.fields().clone()));
    requests.patch(&item.resource, &item.object, params, &body).await
}

/// How often a patch is computed anew when others change the object in between.
const TRIES: usize = 5;

async fn write_by_client(
    session: &Session<'_>,
    before: Option<&Item>,
    item: &Item,
    how: Applying<'_>,
) -> Result<(bool, Object), Refusal> {
    let requests = requests(session);
    let mut tries = 0;
    loop {
        tries += 1;
        let found = requests.find(&item.resource, item.object.namespace(), item.object.name()).await?;
        let Some(live) = found else {
            return Ok((true, requests.create(&item.resource, &item.object).await?));
        };
        if how.replace {
            let mut object = item.object.clone();
            object.metadata_mut().insert("resourceVersion".to_owned(), live.resource_version().into());
            return Ok((false, requests.replace(&item.resource, &object).await?));
        }
        let mut patch = merge::three_way(before.map(|item| &item.object), &item.object, &live);
        if patch == json!({}) {
            return Ok((false, live));
        }
        // Lists are sent whole: whatever others add in between must not be lost.
        patch["metadata"]["resourceVersion"] = live.resource_version().into();
        let validation = if how.strict { ValidationDirective::Strict } else { ValidationDirective::Ignore };
        let params = PatchParams { field_validation: Some(validation), ..PatchParams::default() };
        match requests.patch(&item.resource, &item.object, params, &Patch::Merge(patch)).await {
            Err(error) if error.code() == 409 && tries < TRIES => {}
            answer => return Ok((false, answer?)),
        }
    }
}

/// Creates a single object as it is, by a method that never takes fields from others.
pub(crate) async fn create(session: &Session<'_>, item: &Item, method: Method) -> Result<Object, Refusal> {
    let requests = requests(session);
    match method {
        Method::Server => {
            let params =
                PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
            let body = Patch::Apply(Value::Object(item.object.fields().clone()));
            requests.patch(&item.resource, &item.object, params, &body).await
        }
        Method::Client => requests.create(&item.resource, &item.object).await,
    }
}
