//! `epsiloscope walls`.

use std::path::PathBuf;

use clap::Args;

use crate::data::samples::synthetic_cracks::write_data_set;
use crate::error::Result;

/// Makes up a data set of walls.
#[derive(Debug, Args)]
pub struct WallsArguments {
    /// Folder for train/CLASS, test/CLASS and test_masks.
    #[arg(long)]
    out: PathBuf,
    /// Training walls of each class; half as many test walls are made.
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// Height and width of a wall, in pixels.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..=512))]
    size: u32,
}

impl WallsArguments {
    /// Makes and writes them.
    pub fn run(&self) -> Result<()> {
        write_data_set(&self.out, self.count, self.size)?;
        println!("the walls are in {}", self.out.display());
        Ok(())
    }
}
