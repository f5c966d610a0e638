//! Tests of the helm engine as its users see it.

mod archives;
mod charts;
mod determinism;
mod hostile;
mod lint;
mod origins;
mod printing;
mod random;
mod random_chart;
mod reference;
