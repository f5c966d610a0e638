//! Rules that hold for the whole repository.

mod architecture;
mod chart;
mod image;
mod security;
