//! The models of one seed, the test pictures, and their counterfactuals and change maps.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use crate::counterfactual::{Counterfactual, change_map};
use crate::data::mask::GroundTruthMask;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate::{masks, probabilities};
use crate::model::{Classifier, ModelRef, tensor_values, zoo};

/// Batch size.
pub const BATCH: usize = 64;

/// The models of one seed and the pictures.
pub struct TestSet {
    /// Discriminator with “fake”, and generator.
    pub model: Counterfactual,
    /// The discriminator without its output “fake”.
    pub discriminator: Classifier,
    /// The generator's classification head.
    pub head: Classifier,
    /// An ordinary classifier for the same pictures.
    pub ordinary: Option<Classifier>,
    /// An adversarially trained classifier.
    pub robust: Option<Classifier>,
    /// The test pictures.
    pub data: Dataset,
    /// Their ground-truth masks, where there are any.
    pub masks: Vec<Option<GroundTruthMask>>,
    /// Their counterfactuals, `[3, h, w]` in [0, 1].
    pub made: Vec<Vec<f32>>,
    /// Change map |x − G(x)| of each.
    pub changes: Vec<Vec<f32>>,
}

impl TestSet {
    /// Opens the models of one seed and computes the counterfactuals of all test pictures for the next class.
    pub fn open(
        name: &ModelRef,
        ordinary: Option<&ModelRef>,
        robust: Option<&ModelRef>,
        data: &Path,
        device: &Device,
    ) -> Result<Self> {
        let (weights, path) = (zoo::weights(name, device)?, name.origin());
        let model = Counterfactual::new(&weights, path, device)?;
        let manifest = model.discriminator.manifest();
        let other = |name: Option<&ModelRef>| name.map(|name| zoo::open(name, device)).transpose();
        let (ordinary, robust) = (other(ordinary)?, other(robust)?);
        let classes = &manifest.labels[..model.classes()];
        for other in [&ordinary, &robust].into_iter().flatten() {
            let other = other.manifest();
            if other.labels != classes || other.input != manifest.input {
                let reason = format!(
                    "{} has other classes or another input size than {name}",
                    other.name
                );
                return Err(Error::Config(reason));
            }
        }
        let mut data = Dataset::open(data, Split::Test, manifest.input)?;
        data.require_uniform()?;
        let relabelled = data.relabel(classes);
        relabelled.map_err(|reason| Error::Config(format!("{name}: {reason}")))?;
        let mut test_set = Self {
            discriminator: Counterfactual::classes_only(&weights, path, device)?,
            head: model.generator.head(manifest),
            masks: masks::masks_of(&data)?,
            model,
            ordinary,
            robust,
            data,
            made: Vec::new(),
            changes: Vec::new(),
        };
        let length = 3 * test_set.data.size.iter().product::<usize>();
        for chunk in test_set.chunks() {
            let x = test_set.data.tensor(&chunk, device);
            let targets: Vec<usize> = chunk.iter().map(|&index| test_set.target(index)).collect();
            let made = test_set
                .model
                .generator
                .translate(x.clone(), &targets)
                .picture;
            let changes = tensor_values(change_map(x, made.clone()));
            let each = changes.chunks_exact(length / 3);
            test_set.changes.extend(each.map(<[f32]>::to_vec));
            let made = tensor_values(made);
            test_set
                .made
                .extend(made.chunks_exact(length).map(<[f32]>::to_vec));
        }
        Ok(test_set)
    }

    /// Target class of a test picture: the next class.
    pub fn target(&self, index: usize) -> usize {
        (self.data.labels[index] + 1) % self.model.classes()
    }

    /// All test pictures, a batch at a time.
    pub fn chunks(&self) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.data.len()).collect();
        all.chunks(BATCH).map(<[usize]>::to_vec).collect()
    }

    /// Some planes as a tensor `[n, 3, h, w]`.
    pub fn tensor(&self, pictures: &[Vec<f32>]) -> Tensor<4> {
        let [h, w] = self.data.size;
        let shape = [pictures.len(), 3, h, w];
        let data = burn::tensor::TensorData::new(pictures.concat(), shape);
        Tensor::from_data(data, self.model.discriminator.device())
    }

    /// All classifiers with their names in the tables.
    pub fn classifiers(&self) -> Vec<(&'static str, &Classifier)> {
        let mut all = vec![
            ("discriminator D", &self.discriminator),
            ("generator's head", &self.head),
        ];
        all.extend(
            self.ordinary
                .iter()
                .map(|model| ("ordinary classifier", model)),
        );
        all.extend(
            self.robust
                .iter()
                .map(|model| ("adversarially trained", model)),
        );
        all
    }

    /// Predicted probabilities of every output of `model`.
    pub fn probabilities(&self, model: &Classifier, pictures: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let batch = |chunk: &[Vec<f32>]| probabilities(model, self.tensor(chunk));
        pictures.chunks(BATCH).flat_map(batch).collect()
    }

    /// The planes of all test pictures.
    pub fn pictures(&self) -> Vec<Vec<f32>> {
        (0..self.data.len())
            .map(|index| self.data.unit_planes(index))
            .collect()
    }
}
