//! `epsiloscope synthetic-cracks`: a synthetic data set of cracked and clean walls, with masks.

use std::path::PathBuf;

use clap::Args;

use super::console::{answer, require_new, say};
use crate::data::samples::synthetic_cracks::write_data_set;
use crate::error::Result;

/// Write a synthetic data set of cracked and clean walls, with masks.
#[derive(Debug, Args)]
pub struct SyntheticCracksArguments {
    /// Folder for train/CLASS, test/CLASS and test_masks.
    #[arg(long)]
    out: PathBuf,
    /// Number of training pictures of each class; the test set has half as many.
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// Height and width of the pictures.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..=512))]
    size: u32,
}

impl SyntheticCracksArguments {
    /// Generates and writes the pictures.
    pub fn run(&self) -> Result<()> {
        let folders = ["train", "test", "test_masks"].map(|name| self.out.join(name));
        require_new(folders)?;
        write_data_set(&self.out, self.count, self.size)?;
        say!("the data set is in {}", self.out.display());
        answer(&serde_json::json!({ "folder": self.out, "count": self.count, "size": self.size }))
    }
}
