//! Figures, films and arrays of what is on the screen, and computing it without a window.

pub mod arrays;
pub mod figure;
pub mod film;
pub mod headless;
pub mod job;
