//! `epsiloscope seeds`: class Gaussians for class-specific generation.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::console::{answer, require_new, say};
use crate::data::{Dataset, Split};
use crate::error::Result;
use crate::synthesis::ClassGaussians;

/// Fit a Gaussian to the 4×-downsampled pictures of each class of a data set's training split.
#[derive(Debug, Args)]
pub struct SeedsArguments {
    /// Folder of the data set.
    #[arg(long)]
    data: PathBuf,
    /// Height and width of the pictures before downsampling, in pixels.
    #[arg(long, default_value_t = 32)]
    size: usize,
    /// Keep, of each class, this many directions of largest variance; without it all.
    #[arg(long)]
    directions: Option<usize>,
    /// The file to write.
    #[arg(long, default_value = "seeds.safetensors")]
    out: PathBuf,
}

/// What was fitted.
#[derive(Serialize)]
struct Fitted<'a> {
    file: &'a Path,
    classes: &'a [String],
    /// Number of training pictures.
    pictures: usize,
}

impl SeedsArguments {
    /// Fits and writes the Gaussians.
    pub fn run(&self) -> Result<()> {
        require_new([self.out.clone()])?;
        let size = [self.size; 2];
        let data = Dataset::open(&self.data, Split::Train, size)?;
        data.log_skipped();
        let pictures = (0..data.len()).map(|index| (data.labels[index], data.unit_planes(index)));
        let mut fitted = ClassGaussians::fit(&data.classes, size, pictures);
        if let Some(most) = self.directions {
            fitted.truncate(most);
        }
        fitted.write(&self.out)?;
        say!(
            "{} classes from {} pictures: {}",
            data.classes.len(),
            data.len(),
            self.out.display()
        );
        answer(&Fitted {
            file: &self.out,
            classes: &data.classes,
            pictures: data.len(),
        })
    }
}
