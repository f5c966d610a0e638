//! Rules that hold for the whole repository.

mod architecture;
mod chart;
mod documents;
mod image;
mod security;
