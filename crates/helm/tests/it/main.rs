//! Tests of the helm engine as its users see it.

mod archives;
mod charts;
mod hostile;
mod reference;
