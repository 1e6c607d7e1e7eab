//! Epsiloscope: see what a standard and an adversarially robust image classifier see in the same
//! picture.
//!
//! Three sentences hold the house together:
//!
//! 1. **Everything done to a picture is projected descent on pixels.** Objective, ball and start
//!    differ; the loop in [`attack::Descent`] is one.
//! 2. **The window states what it wants each frame; the engine runs the difference, one step at a
//!    time.** [`session::wanted`] says it, [`compute::scheduler`] runs it, [`compute::ComputeWorker`]
//!    knows how.
//! 3. **Only the worker thread touches tensors, only the window touches egui.** Frames
//!    ([`compute::GpuImage`]) and plain data cross between them.
//!
//! Fourteen rooms, on three files that all of them may use. No room imports from one below it in this
//! table; `docs/glossary.md` explains the words.
//!
//! | to learn about | read |
//! |---|---|
//! | errors, writing files, long work | [`error`], [`files`], [`tasks`] |
//! | pictures, their true masks, data sets | [`data`] |
//! | networks, checkpoints of any kind, the bundled models | [`model`] |
//! | attacks, and the loop of projected descent | [`attack`] |
//! | which pixels speak for a class, and how far to trust that | [`attribution`] |
//! | pictures that a model makes: inversion, generation, units | [`synthesis`] |
//! | what a picture would be were it of another class | [`counterfactual`] |
//! | measuring | [`evaluate`] |
//! | training | [`train`] |
//! | what goes wrong in a whole set of pictures | [`triage`] |
//! | what runs in the background, on GPU or CPU | [`compute`] |
//! | what is on the screen, as data: settings, results, undo, session files | [`session`] |
//! | figures, films and their numbers as files | [`export`] |
//! | the window | [`app`] |
//! | the command line | [`cli`] |

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
