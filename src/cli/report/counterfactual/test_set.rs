//! One seed's models before the test pictures, with what they all say of them.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use crate::counterfactual::{Counterfactual, change_map};
use crate::data::mask::GroundTruthMask;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate::{masks, probabilities};
use crate::model::{Classifier, tensor_values, zoo};

/// Pictures looked at together.
pub const BATCH: usize = 64;

/// The models of one seed and the pictures.
pub struct Scene {
    /// Discriminator with “fake”, and generator.
    pub model: Counterfactual,
    /// The discriminator without “fake”.
    pub discriminator: Classifier,
    /// The generator's head.
    pub head: Classifier,
    /// An ordinary classifier of the same pictures.
    pub ordinary: Option<Classifier>,
    /// One trained on attacked pictures.
    pub robust: Option<Classifier>,
    /// The test pictures.
    pub data: Dataset,
    /// Their true masks, where there are any.
    pub masks: Vec<Option<GroundTruthMask>>,
    /// Their counterfactuals, planes in [0, 1].
    pub made: Vec<Vec<f32>>,
    /// |x − G(x)| of each.
    pub changes: Vec<Vec<f32>>,
}

impl Scene {
    /// Opens the models of one seed and turns all test pictures into the next class.
    pub fn open(
        name: &str,
        ordinary: Option<&String>,
        robust: Option<&String>,
        data: &Path,
        device: &Device,
    ) -> Result<Self> {
        let (weights, path) = (zoo::weights(name, device)?, Path::new(name));
        let model = Counterfactual::new(&weights, path, device)?;
        let manifest = model.discriminator.manifest();
        let other = |name: Option<&String>| name.map(|name| zoo::open(name, device)).transpose();
        let (ordinary, robust) = (other(ordinary)?, other(robust)?);
        let classes = &manifest.labels[..model.classes()];
        for other in [&ordinary, &robust].into_iter().flatten() {
            let other = other.manifest();
            if other.labels != classes || other.input != manifest.input {
                let reason = format!("{} sees other classes or sizes than {name}", other.name);
                return Err(Error::Config(reason));
            }
        }
        let mut data = Dataset::open(data, Split::Test, manifest.input)?;
        data.require_uniform()?;
        let relabelled = data.relabel(classes);
        relabelled.map_err(|reason| Error::Config(format!("{name}: {reason}")))?;
        let mut scene = Self {
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
        let length = 3 * scene.data.size.iter().product::<usize>();
        for chunk in scene.chunks() {
            let x = scene.data.tensor(&chunk, device);
            let targets: Vec<usize> = chunk.iter().map(|&index| scene.target(index)).collect();
            let made = scene.model.generator.translate(x.clone(), &targets).picture;
            let changes = tensor_values(change_map(x, made.clone()));
            let each = changes.chunks_exact(length / 3);
            scene.changes.extend(each.map(<[f32]>::to_vec));
            let made = tensor_values(made);
            scene
                .made
                .extend(made.chunks_exact(length).map(<[f32]>::to_vec));
        }
        Ok(scene)
    }

    /// The class that a test picture is turned into: the next one.
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

    /// Every classifier there is with what to call it.
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

    /// What `model` says of pictures: probabilities of every output.
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
