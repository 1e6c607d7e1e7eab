//! What runs in the background: the scheduler, the requests it takes, the worker that computes them,
//! and the device they run on.

mod background_cache;
mod batch;
mod counterfactual;
mod device;
mod explain;
mod failure;
mod gpu_image;
mod heat_map;
mod model_cache;
mod preview;
mod requests;
mod scan;
pub mod scheduler;
mod sweep;
mod synthesis;
mod throttle;
mod unit_activations;
mod worker;

pub use background_cache::{BACKGROUND_MOST, Pictures, background, thinned};
pub use counterfactual::{Contrast, Contrasted, PLACES, contrast};
pub use device::{Backend, Compute};
pub use failure::Trouble;
pub use gpu_image::Frame;
pub use heat_map::{Blend, Channels, HeatMap, HeatStyle, Palette, Sign, row_color, short};
pub use preview::Guess;
pub use requests::{
    Attacked, Case, Explained, Lane, Look, MOST_ROWS, News, Request, Subject, Which,
    flipped_before, flips,
};
pub use scan::Order;
pub use sweep::flip_interval;
pub use synthesis::{Brief, Examples, Made};
pub use unit_activations::{SURVEYED_MOST, Survey, Surveyed};
pub use worker::{Explorer, attack_once};
