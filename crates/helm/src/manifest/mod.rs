//! Rendered files to documents in the order of their installation.

mod customize;
mod head;
mod hook;
mod kinds;
mod place;
mod post_render;
mod sort;
mod split;

pub use customize::Customization;
pub use head::Head;
pub use hook::{Hook, HookDeletePolicy, HookEvent, HookOutputLogPolicy};
pub use kinds::{install_rank, uninstall_rank};
pub use place::Place;
pub use post_render::{PostRenderError, PostRenderStrategy, PostRenderer, post_render};
pub(crate) use sort::read_head;
pub use sort::{Document, ManifestError, Sorted, sort};
pub use split::split;
