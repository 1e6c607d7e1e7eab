//! Integration tests that need no graphics adapter, in one binary; a folder for each module of `src`.

#[path = "../support/mod.rs"]
mod support; // tiny networks, tiny data, an engine that counts, made-up results

mod boundaries; // which module may use what, and how long a file may be
mod docs; // measured figures name their weights
mod tasks; // background threads: names, order, cancellation, panics; thumbnails and exports on them

mod attack {
    mod auto; // AutoAttack against its authors' program
    mod laws; // laws of norms, balls and descents
    mod masked; // networks that mask their gradients are found out
    mod masks; // a part of the picture, patches
    mod pgd; // laws of attacks; models are inert
}

mod attribution {
    mod laws; // completeness, linearity, symmetry, dummy, additivity; likeness
    mod methods; // the same on the CPU; refusals
}

mod compute {
    mod engine; // requests, urgency, panics, on integers
}

mod data {
    pub(crate) mod bad_pictures; // hostile picture files
    mod batches; // shuffling and augmentation
    mod corruption; // everyday corruptions
    mod crops; // the part of a picture that a model sees
    mod field; // data sets as people have them
    mod huge_pictures; // claims of size
    mod masks; // where true masks lie, and what of them a model sees
    mod sets; // ImageFolder and CIFAR-10 binary
}

mod model {
    mod bad_checkpoints; // hostile PyTorch and ONNX files, mutated files of every kind
    mod bad_models; // hostile model files
    mod budget; // how many pictures at once
    mod fingerprint; // what the fingerprint of a model covers
    mod foreign; // what PyTorch, Hugging Face and ONNX exporters write
    mod grey; // networks for one channel
    mod heads; // heads, stems and channels that files do not tell; refusals with a remedy
    mod modern; // transformers and modern convolutional networks
    mod parity; // PyTorch's values, on the CPU
    pub(crate) mod sound_models; // round trips
}

mod counterfactual {
    mod descent; // of any classifier, by steps on the pixels
    mod parts; // loss terms, masks, files
}

mod synthesis {
    mod parts; // their cuts, Gaussians, kept iterates, distances
    mod runs; // pictures that a model makes
}

mod train {
    pub(crate) mod counterfactual; // on made-up walls: worth, refusals, resumption
    mod foreign; // from models of other programs, and from a teacher
    mod frozen; // generators for classifiers that stay as they are
    mod resuming; // interruption and resumption
    pub(crate) mod training; // results and refusals
}

mod session {
    mod corruption; // severities and their sweep
    mod counterfactual; // when models are asked for counterfactuals, and which
    mod edit; // masks of attacks, patches
    mod history; // undo and redo
    mod older_files; // what version 0.1.0 wrote
    mod painting; // on a copy of the picture
    pub(crate) mod requests; // what the window asks of the engine
    pub(crate) mod sessions; // what was on the screen comes back; hostile session files
}

mod triage {
    mod compare; // two scans in one table, histograms
    mod database; // strangers' databases
    mod map; // components, neighbourhoods, arrows
    mod parts; // scans in parts, merged
    mod query; // laws of the query language
    mod report; // tables, pictures, pages, matrices
    mod scan; // counts, resumption, brackets, lists
    mod window; // scans that the window orders
}

mod export {
    mod arrays; // tables and arrays, read back
    mod figure; // layout, SVG, PNG, what is computed without a window
    mod film; // frames, GIF, PNG files, MP4
}

mod app {
    mod diagnostics; // the log file and the reports of panics
    mod drawing; // tools on the input, the timeline of corruptions
    mod interface; // keys in README, glyphs
    mod twins; // trainings that an earlier window left behind
    mod window; // keys, drops and clicks, without a graphics adapter
}

mod cli {
    pub(crate) mod commands; // every subcommand from end to end
    mod console; // JSON, silence, overwriting, exit statuses, interruption
    mod graphics; // the self-test's file
    mod perturbations; // parts of pictures attacked, corruptions
    mod report_counterfactual; // the whole report on two seeds
}
