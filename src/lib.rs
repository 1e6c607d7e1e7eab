//! Epsiloscope: see what a standard and an adversarially robust image classifier see in the same
//! picture.
//!
//! Three sentences hold the house together:
//!
//! 1. **Everything done to a picture is projected descent on pixels.** Objective, ball and start
//!    differ; the loop in [`descent`] is one.
//! 2. **The window states what it wants each frame; the engine runs the difference, one step at a
//!    time.** [`state::wanted`] says it, [`engine`] runs it, [`jobs`] knows how.
//! 3. **Only the worker thread touches tensors, only the window touches egui.** Frames
//!    ([`view::Frame`]) and plain data cross between them.
//!
//! | to learn about | read |
//! |---|---|
//! | networks, checkpoints of any kind, the bundled models | [`model`] |
//! | attacks | [`attack`], on top of [`descent`] |
//! | which pixels speak for a class, and how far to trust that | [`attribution`] |
//! | pictures that a model makes: inversion, generation, units | [`synthesis`] |
//! | what a picture would be were it of another class | [`counterfactual`] |
//! | pictures, their true masks, data sets | [`picture`], [`mask`], [`samples`], [`data`] |
//! | training and measuring | [`train`], [`evaluate`] |
//! | what goes wrong in a whole set of pictures | [`triage`] |
//! | what runs in the background | [`engine`], [`jobs`], [`loader`], [`dialogs`], [`archive`], [`thumbnails`], [`watch`] |
//! | figures, films and their numbers as files | [`figure`], [`film`], [`export`], [`exporter`], [`headless`] |
//! | what is on the screen | [`app`], [`state`], [`results`], [`ui`], [`view`] |
//! | sessions: what was on the screen, in a file | [`session`] |
//! | the command line | [`cli`] |
//! | GPU or CPU, memory, start-up and frame times | [`device`], [`memory`], [`vitals`] |

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
