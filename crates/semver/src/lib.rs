//! Versions and ranges as Masterminds/semver v3 reads them.
//!
//! People write `v1.2`, `01.2.3`, `>=1.0 <2`, `1.x || ~2.3` in `ref.semver`, chart versions and templates; the
//! grammar and its oddities (what a pre-release matches, what a partial version means) decide what gets deployed,
//! so this crate follows that library to the letter. It knows nothing of tags, charts or registries.
//!
//! Enter at [`Version::parse`] and [`Constraints::parse`].

mod constraint;
mod operator;
mod quote;
mod scan;
mod version;

pub use constraint::{ConstraintError, Constraints};
pub use version::{Version, VersionError};
