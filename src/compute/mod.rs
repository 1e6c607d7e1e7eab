//! What runs in the background: the scheduler, the requests it takes, the worker that computes them,
//! and the device they run on.

mod background_cache;
mod batch;
mod counterfactual;
mod device;
mod explain;
mod failure;
mod gpu_image;
pub mod graphics;
mod heat_map;
mod lanes;
mod model_cache;
mod patch;
mod preview;
mod requests;
mod robustness;
mod runner;
mod scan;
pub mod scheduler;
mod severity;
mod sweep;
mod synthesis;
mod throttle;
mod unit_activations;
mod worker;

pub use background_cache::{BACKGROUND_MOST, Pictures, background, thinned};
pub use counterfactual::{
    CounterfactualMethod, CounterfactualRequest, CounterfactualResult, SURE, WayBack, by_descent,
    by_generator,
};
pub use device::{Backend, Compute};
pub use failure::DeviceFailure;
pub use gpu_image::GpuImage;
pub use heat_map::{Blend, Channels, HeatMap, HeatStyle, Palette, Sign, row_color, short};
pub use lanes::{Lane, MOST_ROWS, PictureSource, Place};
pub use model_cache::{CachedModel, Models};
pub use patch::{PatchRequest, PatchResult};
pub use preview::{DescriptionPreview, MOST_LABELLED, PreviewRequest};
pub use requests::{
    AttackResult, AttributionRequest, AttributionResult, ComputeMessage, ModelInput,
    PredictionResult, Request, flipped_before, flips,
};
pub use robustness::{AdversarialExample, PartStatus, RobustnessRequest, RobustnessResult};
pub use runner::Runner;
pub use scan::ScanRequest;
pub use severity::SeverityPrediction;
pub use sweep::flip_interval;
pub use synthesis::{Examples, SynthesisRequest, SynthesisResult};
pub use unit_activations::{MOST_UNIT_PICTURES, UnitActivations, UnitActivationsRequest};
pub use worker::ComputeWorker;
