//! What the programs share.

pub mod flux;
pub mod measure;
pub mod overlay;
pub mod plot;
