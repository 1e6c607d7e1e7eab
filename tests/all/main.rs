//! Integration tests that need no graphics adapter, in one binary.

mod common; // tiny networks, tiny data, readers of tensors

mod boundaries; // which room may use what, and how long a file may be
mod counting; // an engine worker that counts
mod engine; // wishes, urgency, panics, on integers
mod tasks; // background threads: names, order, cancellation, panics; thumbnails and exports on them

mod bad_pictures; // hostile picture files
mod crops; // the part of a picture that a model sees
mod huge_pictures; // claims of size

mod bad_checkpoints; // hostile PyTorch and ONNX files, mutated files of every kind
mod bad_models; // hostile model files
mod foreign; // what PyTorch, Hugging Face and ONNX exporters write
mod sound_models; // round trips

mod attacks; // laws of attacks; models are inert
mod attribution_checks; // captum's and shap's values, shared with the tests on wgpu
mod attribution_laws; // completeness, linearity, symmetry, dummy, additivity; likeness
mod attributions; // the same on the CPU; refusals
mod laws; // laws of norms, balls and descents
mod parity; // PyTorch's values, on the CPU
mod parity_checks; // the same checks, shared with the tests on wgpu

mod counterfactual_descent; // of any classifier, by steps on the pixels
mod counterfactual_parts; // loss terms, masks, files
mod counterfactual_report; // the whole report on two seeds
mod counterfactual_training; // on made-up walls: worth, refusals, resumption
mod masks; // where true masks lie, and what of them a model sees

mod synthesis; // pictures that a model makes
mod synthesis_parts; // their cuts, Gaussians, kept iterates, distances

mod budget; // how many pictures at once
mod diagnostics; // the log file and the reports of panics
mod history; // undo and redo
mod older_files; // what version 0.1.0 wrote
mod sessions; // what was on the screen comes back; hostile session files
mod triage_compare; // two scans in one table, histograms
mod triage_database; // strangers' databases
mod triage_map; // components, neighbourhoods, arrows
mod triage_query; // laws of the query language
mod triage_report; // tables, pictures, pages, matrices
mod triage_scan; // counts, resumption, brackets, lists
mod triage_window; // scans that the window orders

mod requests; // what the window asks of the engine

mod interface; // keys in README, glyphs

mod export; // tables and arrays, read back
mod figure; // layout, SVG, PNG, what is computed without a window
mod film; // frames, GIF, PNG files, MP4
mod screens; // made-up results for them

mod batches; // shuffling and augmentation
mod data; // ImageFolder and CIFAR-10 binary
mod resuming; // interruption and resumption
mod training; // results and refusals
