use std::fmt::Debug;

use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Condition, Duration};

/// A kind that a controller of Sluice reconciles. All of them live in namespaces.
pub trait Reconcilable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The kind's status.
    type Status: Status;

    /// The finalizer that keeps an object until its controller has cleaned up after it.
    const FINALIZER: &'static str = super::FINALIZER;

    /// The status, if the object has one.
    fn status(&self) -> Option<&Self::Status>;

    /// The status, to be changed or put in place.
    fn status_mut(&mut self) -> &mut Option<Self::Status>;

    /// Whether somebody asked for the object to be left alone.
    fn suspend(&self) -> bool;

    /// How often the object is reconciled with nothing having changed; none for kinds that only react.
    fn interval(&self) -> Option<Duration>;

    /// The fields that are set, accepted and without effect, such as `spec.validation`. They deserve a warning.
    fn ignored_fields(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The conditions; none without a status.
    fn conditions(&self) -> &[Condition] {
        self.status().map(Status::conditions).unwrap_or_default()
    }

    /// The value of the annotation that asks for a reconciliation, if any.
    fn requested_at(&self) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(super::RECONCILE_REQUEST_ANNOTATION).map(String::as_str)
    }
}

/// What every status of a reconciled kind holds.
pub trait Status:
    Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The conditions.
    fn conditions(&self) -> &[Condition];

    /// The conditions, to be changed.
    fn conditions_mut(&mut self) -> &mut Vec<Condition>;

    /// The generation that was last reconciled; below zero or zero before the first time.
    fn observed_generation(&self) -> i64;

    /// Notes the generation that was reconciled.
    fn set_observed_generation(&mut self, generation: i64);

    /// The value of the request annotation that was last seen to; empty before the first.
    fn last_handled_reconcile_at(&self) -> &str;

    /// Notes the value of the request annotation.
    fn set_last_handled_reconcile_at(&mut self, value: String);
}

/// Implements [`Status`] by the fields that every status has under the same names.
macro_rules! impl_status {
    ($status:ty) => {
        impl crate::meta::Status for $status {
            fn conditions(&self) -> &[crate::meta::Condition] {
                &self.conditions
            }

            fn conditions_mut(&mut self) -> &mut Vec<crate::meta::Condition> {
                &mut self.conditions
            }

            fn observed_generation(&self) -> i64 {
                self.observed_generation
            }

            fn set_observed_generation(&mut self, generation: i64) {
                self.observed_generation = generation;
            }

            fn last_handled_reconcile_at(&self) -> &str {
                &self.last_handled_reconcile_at
            }

            fn set_last_handled_reconcile_at(&mut self, value: String) {
                self.last_handled_reconcile_at = value;
            }
        }
    };
}
pub(crate) use impl_status;

/// Implements [`Reconcilable`]: the kind, its status, whether it is suspended, its interval, and which fields without
/// effect are set.
macro_rules! impl_reconcilable {
    (
        $kind:ty, $status:ty,
        |$spec:ident| suspend: $suspend:expr, interval: $interval:expr
        $(, ignored: { $($field:literal: $set:expr),+ $(,)? })?
    ) => {
        crate::meta::impl_status!($status);

        impl crate::meta::Reconcilable for $kind {
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }

            fn status_mut(&mut self) -> &mut Option<$status> {
                &mut self.status
            }

            fn suspend(&self) -> bool {
                let $spec = &self.spec;
                $suspend
            }

            fn interval(&self) -> Option<crate::meta::Duration> {
                let $spec = &self.spec;
                $interval
            }
            $(
                fn ignored_fields(&self) -> Vec<&'static str> {
                    let $spec = &self.spec;
                    [$(($field, $set)),+].into_iter().filter(|(_, set)| *set).map(|(field, _)| field).collect()
                }
            )?
        }
    };
}
pub(crate) use impl_reconcilable;
