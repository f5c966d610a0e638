//! What has to be ready first: `spec.dependsOn`, and objects of other kinds by annotation.

mod annotation;

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::Api;
use serde_json::json;
use sluice_api::meta::{DependencyReference, READY_CONDITION, Reconcilable, Status as _};

use crate::apply::Cluster;
use crate::expressions::{ReadyError, is_ready};
use crate::{Cache, ObjectKey, Waiting, check_name, conditions, errors};

/// Why a dependency holds an object up.
#[derive(Debug)]
pub enum Obstacle {
    /// It is not ready, or not there: it may yet become so.
    NotReady(String),
    /// Its `readyExpr` is wrong: only another one helps.
    InvalidExpression(String),
}

/// How dependencies of a kind are looked at.
pub struct Dependencies<'a, K> {
    /// The cluster that has them.
    pub cluster: &'a Cluster,
    /// Those that this process watches.
    pub cache: &'a Cache<K>,
    /// Who waits for whom.
    pub waiting: &'a Waiting,
    /// Whether `readyExpr` is asked beside the usual rule instead of in its place.
    pub additive_ready_check: bool,
    /// Whether objects of other namespaces may not be named in the annotation.
    pub own_namespace_only: bool,
    /// What is said of a dependency that cannot be had, from its key and the error.
    pub not_found: fn(&ObjectKey, &str) -> String,
    /// What is said of an expression that is wrong, from the name of the dependency and the error.
    pub invalid_expression: fn(&str, &str) -> String,
}

impl<K> Dependencies<'_, K>
where
    K: Reconcilable,
{
    /// Checks all dependencies of an object. `also` is asked about each that is ready; what it says holds the object up.
    ///
    /// # Errors
    ///
    /// The first dependency that is not as it should be. The object is woken when that one has been reconciled, unless
    /// that cannot help.
    pub async fn check(
        &self,
        object: &K,
        depends_on: &[DependencyReference],
        also: impl Fn(&K, &ObjectKey) -> Result<(), String> + Send,
    ) -> Result<(), Obstacle> {
        let key = ObjectKey::of(object);
        for reference in depends_on {
            let dependency = ObjectKey::new(reference.namespace_or(&key.namespace), reference.name.clone());
            // Noted before the look, so that a change in between is not lost.
            self.waiting.add(dependency.clone(), &key);
            let found = self.check_one(object, reference, &dependency).await;
            if matches!(found, Err(Obstacle::InvalidExpression(_))) {
                self.waiting.remove(&dependency, &key);
            }
            let found = found?;
            also(&found, &dependency).map_err(Obstacle::NotReady)?;
            self.waiting.remove(&dependency, &key);
        }
        let annotations = object.meta().annotations.as_ref();
        annotation::check(self.cluster, &key.namespace, annotations, self.own_namespace_only)
            .await
            .map_err(Obstacle::NotReady)
    }

    async fn check_one(
        &self,
        object: &K,
        reference: &DependencyReference,
        key: &ObjectKey,
    ) -> Result<Arc<K>, Obstacle> {
        let found = self.find(key).await.map_err(Obstacle::NotReady)?;
        if !reference.ready_expr.is_empty() {
            let (own, other) = (json!(object), json!(*found));
            match is_ready(&reference.ready_expr, &own, &other) {
                Ok(true) if !self.additive_ready_check => return Ok(found),
                Ok(true) => {}
                Ok(false) => {
                    let message = format!("dependency '{key}' is not ready according to readyExpr eval");
                    return Err(Obstacle::NotReady(message));
                }
                Err(ReadyError::Transient(error)) => return Err(Obstacle::NotReady(error.to_string())),
                Err(ReadyError::Terminal(error)) => {
                    let message = (self.invalid_expression)(&key.name, &error.to_string());
                    return Err(Obstacle::InvalidExpression(message));
                }
            }
        }
        let observed = found.status().map(|status| status.observed_generation());
        let current = found.meta().generation.is_some() && observed == found.meta().generation;
        if current && conditions::is_true(found.conditions(), READY_CONDITION) {
            return Ok(found);
        }
        Err(Obstacle::NotReady(format!("dependency '{key}' is not ready")))
    }

    async fn find(&self, key: &ObjectKey) -> Result<Arc<K>, String> {
        if let Some(found) = self.cache.get(key) {
            return Ok(found);
        }
        // Another shard may look after it.
        check_name(&K::kind(&()), &key.name)?;
        check_name("Namespace", &key.namespace)?;
        let api = Api::<K>::namespaced(self.cluster.client().clone(), &key.namespace);
        let found = api.get(&key.name).await.map(Arc::new);
        found.map_err(|error| (self.not_found)(key, &errors::describe(&error)))
    }
}

/// Whether an object has anything to wait for.
pub fn has_any(depends_on: &[DependencyReference], annotations: Option<&BTreeMap<String, String>>) -> bool {
    !depends_on.is_empty()
        || annotations.is_some_and(|annotations| annotations.contains_key(annotation::ANNOTATION))
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use sluice_api::helm::HelmRelease;
    use tower::BoxError;

    use super::*;

    #[tokio::test]
    async fn only_what_the_dependency_can_help_waits_for_it() {
        let release = |name: &str, on: serde_json::Value| {
            let (kind, spec) = ("HelmRelease", json!({"interval": "1h", "dependsOn": on}));
            json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": kind,
                   "metadata": {"name": name, "namespace": "apps", "generation": 1}, "spec": spec})
        };
        let answer = release("base", json!([])).to_string();
        let service = tower::service_fn(move |_: Request<Body>| {
            let body = Body::from(answer.clone().into_bytes());
            std::future::ready(Ok::<_, BoxError>(Response::new(body)))
        });
        let cluster = Cluster::new(Client::new(service, "apps"), "");
        let (cache, waiting) = (Cache::<HelmRelease>::default(), Waiting::default());
        let dependencies = Dependencies {
            cluster: &cluster,
            cache: &cache,
            waiting: &waiting,
            additive_ready_check: false,
            own_namespace_only: false,
            not_found: |_, error| error.to_owned(),
            invalid_expression: |_, error| error.to_owned(),
        };
        let base = ObjectKey::new("apps", "base");
        for (expression, waits) in
            [("", true), ("false", true), ("dep.none == 1", true), ("dep.", false), ("'a'", false)]
        {
            let on = json!([{"name": "base", "readyExpr": expression}]);
            let object: HelmRelease = serde_json::from_value(release("app", on)).unwrap();
            let obstacle =
                dependencies.check(&object, &object.spec.depends_on, |_, _| Ok(())).await.unwrap_err();
            assert_eq!(matches!(obstacle, Obstacle::NotReady(_)), waits, "{expression}: {obstacle:?}");
            assert_eq!(waiting.take(&base).len(), usize::from(waits), "{expression}");
        }
    }
}
