//! One cluster: how kinds map to paths, shared by all who apply there, and the requests themselves.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::discovery::ApiResource;
use kube::core::request::Request;
use serde_json::Value;
use tokio::time::Instant;

use super::error::Refusal;
use super::{Error, Object, ObjectId, Observer, Tracked};

/// How old the list of a group's kinds must be before an unknown kind makes it be read again.
const REFRESH: Duration = Duration::from_secs(1);

/// How long the server may take to list a kind whose definition it has established.
const LISTED_WITHIN: Duration = Duration::from_mins(1);

/// A cluster and what is known about it.
pub struct Cluster {
    client: Client,
    /// By `apiVersion`.
    versions: Mutex<HashMap<String, Version>>,
    /// When definitions were applied, by group and kind: the server lists their kinds some time after.
    defined: Mutex<HashMap<(String, String), Instant>>,
    /// The watches on objects of this cluster.
    pub observer: Arc<Observer>,
}

/// What is known of a group's version.
#[derive(Default)]
struct Version {
    /// When its kinds were read.
    read: Option<Instant>,
    kinds: HashMap<String, Arc<Resource>>,
    /// Held by who reads them: one at a time, while kinds that are known and other versions wait for nobody. Servers
    /// behind the API server may take a minute to answer.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Version {
    fn is_fresh(&self) -> bool {
        self.read.is_some_and(|read| read.elapsed() < REFRESH)
    }

    /// Whether something would be lost with it. Manifests may name any version.
    fn is_needed(&self) -> bool {
        !self.kinds.is_empty() || self.is_fresh() || Arc::strong_count(&self.reading) > 1
    }
}

/// How a kind is addressed.
#[derive(Debug)]
pub struct Resource {
    /// Group, version, kind and plural.
    pub api: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// The path of the collection. A namespace on a cluster-scoped kind is left out.
    pub(crate) fn path(&self, namespace: &str) -> String {
        let prefix =
            if self.api.group.is_empty() { "api".to_owned() } else { format!("apis/{}", self.api.group) };
        if self.namespaced && !namespace.is_empty() {
            let namespace = segment(namespace);
            return format!("/{prefix}/{}/namespaces/{namespace}/{}", self.api.version, self.api.plural);
        }
        format!("/{prefix}/{}/{}", self.api.version, self.api.plural)
    }

    /// The identity of an object as the server sees it: without a namespace where the kind has none.
    pub fn identify(&self, object: &Object) -> ObjectId {
        let mut id = object.id();
        if !self.namespaced {
            id.namespace.clear();
        }
        id
    }
}

/// A name as one segment of a path, whatever is in it: names come from manifests.
pub(super) fn segment(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if name.bytes().all(plain) && name != "." && name != ".." {
        return Cow::Borrowed(name);
    }
    let mut encoded = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if plain(byte) && byte != b'.' {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

impl Cluster {
    /// A cluster. `client` is used for what all share: discovery and watches. `managed` is the label that all managed
    /// objects carry.
    pub fn new(client: Client, managed: &'static str) -> Self {
        let observer = Arc::new(Observer::new(client.clone(), managed));
        Self { client, versions: Mutex::default(), defined: Mutex::default(), observer }
    }

    /// The shared client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How to address a kind. Unknown kinds are looked for again, so that new definitions are found. One whose definition
    /// was applied just now is waited for.
    pub async fn resolve(&self, api_version: &str, kind: &str) -> Result<Arc<Resource>, Refusal> {
        match self.known(api_version, kind) {
            Some(known) => Ok(known),
            // Boxed since it is large, rare, and part of about everything.
            None => Box::pin(self.discover(api_version, kind)).await,
        }
    }

    async fn discover(&self, api_version: &str, kind: &str) -> Result<Arc<Resource>, Refusal> {
        let mut pause = Duration::from_millis(50);
        loop {
            let found = self.look_up(api_version, kind).await;
            if !matches!(found, Err(Refusal::Unmapped(_))) || !self.is_new(api_version, kind) {
                return found;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            self.forget_group(group_of(api_version));
        }
    }

    fn known(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        self.versions().get(api_version)?.kinds.get(kind).cloned()
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<String, Version>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, api_version: &str, kind: &str) -> Result<Arc<Resource>, Refusal> {
        let reading = self.versions().entry(api_version.to_owned()).or_default().reading.clone();
        let _reading = reading.lock().await;
        // Another one may have read them meanwhile.
        if let Some(known) = self.known(api_version, kind) {
            return Ok(known);
        }
        if self.versions().get(api_version).is_some_and(Version::is_fresh) {
            return Err(no_match(api_version, kind));
        }
        let kinds = self.read_kinds(api_version).await?;
        let found = kinds.get(kind).cloned();
        let mut versions = self.versions();
        let version = versions.entry(api_version.to_owned()).or_default();
        (version.read, version.kinds) = (Some(Instant::now()), kinds);
        versions.retain(|_, version| version.is_needed());
        found.ok_or_else(|| no_match(api_version, kind))
    }

    /// The identities under which objects will be known, in their order. Kinds that the server does not have (yet) are
    /// left out.
    pub async fn identities<'o>(&self, objects: impl Iterator<Item = &'o Object>) -> Vec<Tracked> {
        let mut found = Vec::new();
        for object in objects {
            if let Ok(resource) = self.resolve(object.api_version(), object.kind()).await {
                found.push(Tracked { id: resource.identify(object), version: object.version().to_owned() });
            }
        }
        found
    }

    /// Notes that the definition of a kind was applied: what is known of its group is out of date.
    pub fn define(&self, group: &str, kind: &str) {
        {
            let mut defined = self.defined.lock().unwrap_or_else(PoisonError::into_inner);
            defined.retain(|_, at| at.elapsed() < LISTED_WITHIN);
            defined.insert((group.to_owned(), kind.to_owned()), Instant::now());
        }
        self.forget_group(group);
    }

    /// Whether the definition of a kind was applied so lately that the server may not list it yet.
    fn is_new(&self, api_version: &str, kind: &str) -> bool {
        let defined = self.defined.lock().unwrap_or_else(PoisonError::into_inner);
        let at = defined.get(&(group_of(api_version).to_owned(), kind.to_owned()));
        at.is_some_and(|at| at.elapsed() < LISTED_WITHIN)
    }

    pub(super) fn forget_group(&self, group: &str) {
        for (api_version, version) in &mut *self.versions() {
            if group_of(api_version) == group {
                (version.read, version.kinds) = (None, HashMap::new());
            }
        }
    }

    async fn read_kinds(&self, api_version: &str) -> Result<HashMap<String, Arc<Resource>>, Refusal> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let listed = if group.is_empty() {
            self.client.list_core_api_resources(version).await
        } else {
            self.client.list_api_group_resources(api_version).await
        };
        let listed = match listed {
            Ok(listed) => listed,
            // The group or version is not there (yet).
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(HashMap::new()),
            Err(error) => return Err(error.into()),
        };
        let main = listed.resources.into_iter().filter(|resource| !resource.name.contains('/'));
        Ok(main
            .map(|resource| {
                let api = ApiResource {
                    group: group.to_owned(),
                    version: version.to_owned(),
                    api_version: api_version.to_owned(),
                    kind: resource.kind.clone(),
                    plural: resource.name,
                };
                (resource.kind, Arc::new(Resource { api, namespaced: resource.namespaced }))
            })
            .collect())
    }
}

/// The group of an `apiVersion`; empty for the core.
fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn no_match(api_version: &str, kind: &str) -> Refusal {
    Error::NoMatch { api_version: api_version.to_owned(), kind: kind.to_owned() }.into()
}

/// Requests on objects, made with somebody's rights.
pub struct Requests<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// The field manager of what is written.
    pub field_manager: &'a str,
}

impl Requests<'_> {
    async fn send(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Object, Refusal> {
        let request = request.map_err(kube::Error::BuildRequest)?;
        let value = self.client.request::<Value>(request).await?;
        // What the server sends is an object with a name.
        Object::new(value).ok_or_else(|| {
            let message = "the API server answered with something that is no object";
            kube::Error::Api(kube::core::Status::failure(message, "InternalError").boxed()).into()
        })
    }

    /// The object.
    pub async fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Object, Refusal> {
        self.send(Request::new(resource.path(namespace)).get(&segment(name), &GetParams::default())).await
    }

    /// The objects of a kind with these labels.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Value>, Refusal> {
        let parameters = ListParams::default().labels(labels).limit(500);
        let request =
            Request::new(resource.path(namespace)).list(&parameters).map_err(kube::Error::BuildRequest)?;
        let mut list = self.client.request::<Value>(request).await?;
        // Items of a list do not name their kind.
        let mut items = match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        for item in &mut items {
            item["apiVersion"] = resource.api.api_version.clone().into();
            item["kind"] = resource.api.kind.clone().into();
        }
        Ok(items)
    }

    /// The object, or nothing where it does not exist.
    pub async fn find(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Object>, Refusal> {
        match self.get(resource, namespace, name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object by a patch of any kind. A namespace on a cluster-scoped kind is left out.
    pub async fn patch(
        &self,
        resource: &Resource,
        object: &Object,
        params: PatchParams,
        patch: &Patch<Value>,
    ) -> Result<Object, Refusal> {
        let params = PatchParams { field_manager: Some(self.field_manager.to_owned()), ..params };
        let request = Request::new(resource.path(object.namespace()));
        self.send(request.patch(&segment(object.name()), &params, patch)).await
    }

    /// Creates an object that is not there.
    pub async fn create(&self, resource: &Resource, object: &Object) -> Result<Object, Refusal> {
        let params = PostParams { dry_run: false, field_manager: Some(self.field_manager.to_owned()) };
        let body = serde_json::to_vec(object.fields()).map_err(kube::Error::SerdeError)?;
        self.send(Request::new(resource.path(object.namespace())).create(&params, body)).await
    }

    /// Puts an object in the place of the one that is there.
    pub async fn replace(&self, resource: &Resource, object: &Object) -> Result<Object, Refusal> {
        let params = PostParams { dry_run: false, field_manager: Some(self.field_manager.to_owned()) };
        let body = serde_json::to_vec(object.fields()).map_err(kube::Error::SerdeError)?;
        let request = Request::new(resource.path(object.namespace()));
        self.send(request.replace(&segment(object.name()), &params, body)).await
    }

    pub(crate) async fn apply(
        &self,
        resource: &Resource,
        object: &Object,
        dry_run: bool,
    ) -> Result<Object, Refusal> {
        let params = PatchParams {
            dry_run,
            force: true,
            field_manager: Some(self.field_manager.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(resource.path(object.namespace()));
        self.send(request.patch(&segment(object.name()), &params, &Patch::Apply(object.fields()))).await
    }

    /// Sends the operations of a JSON patch.
    pub async fn json_patch(
        &self,
        resource: &Resource,
        object: &Object,
        operations: &[Value],
    ) -> Result<Object, Refusal> {
        let params =
            PatchParams { field_manager: Some(self.field_manager.to_owned()), ..PatchParams::default() };
        let operations =
            serde_json::from_value(Value::Array(operations.to_vec())).map_err(kube::Error::SerdeError)?;
        let request = Request::new(resource.path(object.namespace()));
        self.send(request.patch(&segment(object.name()), &params, &Patch::<()>::Json(operations))).await
    }

    /// Deletes an object in the background, if it still is the one with this identifier.
    pub async fn delete(&self, resource: &Resource, object: &Object) -> Result<(), Refusal> {
        self.delete_by(resource, object, PropagationPolicy::Background).await
    }

    /// Deletes an object and does with its dependents as told, if it still is the one with this identifier.
    pub async fn delete_by(
        &self,
        resource: &Resource,
        object: &Object,
        propagation: PropagationPolicy,
    ) -> Result<(), Refusal> {
        self.delete_named(resource, (object.namespace(), object.name()), object.uid(), propagation).await
    }

    /// Deletes the object of a namespace and name; unless `uid` is empty, only if it is that one.
    pub async fn delete_named(
        &self,
        resource: &Resource,
        (namespace, name): (&str, &str),
        uid: &str,
        propagation: PropagationPolicy,
    ) -> Result<(), Refusal> {
        let mut params = DeleteParams { propagation_policy: Some(propagation), ..DeleteParams::default() };
        if !uid.is_empty() {
            params.preconditions =
                Some(kube::api::Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        }
        let request = Request::new(resource.path(namespace))
            .delete(&segment(name), &params)
            .map_err(kube::Error::BuildRequest)?;
        self.client.request::<serde::de::IgnoredAny>(request).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_stay_one_segment_of_a_path() {
        for (name, encoded) in [
            ("a-b.c", "a-b.c"),
            ("system:node", "system:node"),
            ("../x?y", "%2E%2E%2Fx%3Fy"),
            ("..", "%2E%2E"),
        ] {
            assert_eq!(super::segment(name), encoded);
        }
    }
}
