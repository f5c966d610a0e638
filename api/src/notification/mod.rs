//! Group `notification.toolkit.fluxcd.io`: events out, webhooks in.

mod alert;
mod provider;
mod receiver;
mod reference;

pub use alert::{Alert, AlertSpec, EventSeverity};
pub use provider::{Provider, ProviderSpec, ProviderType};
pub use receiver::{
    OidcProvider, OidcValidation, OidcVariable, Receiver, ReceiverResource, ReceiverSpec, ReceiverStatus,
    ReceiverType,
};
pub use reference::CrossNamespaceObjectReference;

/// The API group.
pub const GROUP: &str = "notification.toolkit.fluxcd.io";
