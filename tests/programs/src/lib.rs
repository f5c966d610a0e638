//! What the programs share.

pub mod measure;
pub mod plot;
