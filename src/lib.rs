//! Epsiloscope: see what a standard and an adversarially robust image classifier see in the same
//! picture.
//!
//! Three sentences hold the house together:
//!
//! 1. **Everything done to a picture is projected descent on pixels.** Objective, ball and start
//!    differ; the loop in [`attack::Descent`] is one.
//! 2. **The window states what it wants each frame; the engine runs the difference, one step at a
//!    time.** [`session::requests`] says it, [`compute::scheduler`] runs it, [`compute::ComputeWorker`]
//!    knows how.
//! 3. **Only the worker thread touches tensors, only the window touches egui.** Images on the GPU
//!    ([`compute::GpuImage`]) and plain data cross between them.
//!
//! A module imports only from those above it in this table:
//!
//! | module | what is in it |
//! |---|---|
//! | [`error`], [`files`], [`tasks`] | the error type, atomic writes, background tasks with progress and cancellation |
//! | [`data`] | pictures, masks, bundled samples, class names, data sets, seeded random numbers |
//! | [`model`] | networks, the frozen classifier, importers of other programs' files, the bundled models |
//! | [`attack`] | norms, balls, masks, projected descent, PGD, AutoAttack, DeepFool, patches, how ε is read and printed |
//! | [`attribution`] | which pixels speak for a class, and how far to trust that |
//! | [`synthesis`] | pictures that a model makes: inversion, class generation, units |
//! | [`counterfactual`] | discriminator and generator, the map of changes and its overlap with masks |
//! | [`evaluate`] | accuracy under attack, uncertainty, masks |
//! | [`train`] | standard, adversarial and counterfactual training |
//! | [`triage`] | scans of whole data sets, their database, queries |
//! | [`compute`] | scheduler, requests, the worker that computes them, device, model cache |
//! | [`session`] | settings, document, results, the requests that follow, undo, session files |
//! | [`export`] | figures, films and arrays, and computing them without a window |
//! | [`app`] | the window |
//! | [`cli`] | the command line |

pub mod app;
pub mod attack;
pub mod attribution;
pub mod cli;
pub mod compute;
pub mod counterfactual;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod model;
pub mod session;
pub mod synthesis;
pub mod tasks;
pub mod train;
pub mod triage;
