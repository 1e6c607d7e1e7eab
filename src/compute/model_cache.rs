//! The models in use: opened once for all who compute with them, dropped when others need the memory, opened
//! again when their files change.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use burn::tensor::Device;

use crate::counterfactual::{Counterfactual, Generator, GeneratorFile, GeneratorRef};
use crate::error::{Error, Result};
use crate::model::Fingerprint;
use crate::model::import::ModelSource;
use crate::model::{Classifier, ModelRef, zoo};
use crate::tasks;

/// Bytes of all models together, beyond which those that were used longest ago are dropped.
const MOST_BYTES: u64 = 2 << 30;
/// Copies of one file under different descriptions, such as other normalisers.
const MOST_COPIES: usize = 2;
/// Bytes of a model in memory for each number of its file: weights, and the same packed twice.
const BYTES_A_NUMBER: u64 = 12;

/// The models that run on a device. Clones share them: the window, its exports, and every command that
/// settles a state.
#[derive(Clone)]
pub struct Models {
    device: Device,
    cache: Arc<Mutex<ModelCache>>,
}

impl From<Device> for Models {
    /// None yet.
    fn from(device: Device) -> Self {
        Self {
            device,
            cache: Arc::default(),
        }
    }
}

impl Models {
    /// Where they run.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The model, opened the first time. Who asks for a model meanwhile waits.
    ///
    /// # Errors
    /// As [`zoo::open`].
    pub fn get(&self, wanted: &ModelRef) -> Result<CachedModel> {
        self.lock().get(wanted, &self.device)
    }

    /// The model with a generator of its counterfactuals.
    ///
    /// # Errors
    /// As [`zoo::open`]; [`Error::Config`] where the model has no generator of its own,
    /// [`Error::Model`] where the generator's file is broken or for another classifier.
    pub fn with_generator(
        &self,
        model: &ModelRef,
        generator: &GeneratorRef,
    ) -> Result<Counterfactual> {
        self.lock().with_generator(model, generator, &self.device)
    }

    /// Forgets the model if its file has changed since it was opened. Whether it has.
    pub(super) fn forget_if_changed(&self, model: &ModelRef) -> bool {
        self.lock().forget_if_changed(model)
    }

    /// Has a model take half as many pictures at once. Whether it can.
    pub(super) fn halve(&self, model: &ModelRef) -> bool {
        self.lock().halve(model)
    }

    fn lock(&self) -> MutexGuard<'_, ModelCache> {
        // A panic while a model was opened leaves the others as they were.
        tasks::lock(&self.cache)
    }
}

/// Models, each opened once while its file stays as it is; see [`MOST_BYTES`] and
/// [`MOST_COPIES`] for how many.
#[derive(Default)]
struct ModelCache {
    entries: HashMap<ModelRef, Entry>,
    /// Counts the uses of all models.
    uses: u64,
    /// Generators with files of their own, each with its file as it was and its classifier; the newest last.
    generators: Vec<(FileState, Fingerprint, Arc<Generator>)>,
}

/// Generators with files of their own that are kept.
const MOST_GENERATORS: usize = 8;

/// A model of the cache.
struct Entry {
    model: CachedModel,
    /// The file it came from, as it was; none for a bundled model.
    file: Option<FileState>,
    /// Estimate of its size in memory.
    bytes: u64,
    /// When it was last used, in uses of all models.
    used: u64,
}

/// A file with what tells that it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
    path: PathBuf,
    modified: Option<SystemTime>,
    length: u64,
}

impl FileState {
    /// Of a model's file; none for a bundled model, or where the file is gone.
    fn of(model: &ModelRef) -> Option<Self> {
        let described = model.description().and_then(|description| description.file);
        Self::of_file(described.or_else(|| model.path().map(PathBuf::from))?)
    }

    fn of_file(path: PathBuf) -> Option<Self> {
        let metadata = std::fs::metadata(&path).ok()?;
        Some(Self {
            path,
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}

/// A model, with its generator if it has one.
#[derive(Clone)]
pub struct CachedModel {
    /// The classifier; a discriminator where there is a generator.
    pub classifier: Arc<Classifier>,
    /// The generator of counterfactuals that was trained with it, if there is one.
    pub generator: Option<Arc<Generator>>,
    /// Of all that decides its predictions.
    pub fingerprint: Fingerprint,
}

impl ModelCache {
    /// The model, opened on `device` the first time.
    ///
    /// # Errors
    /// As [`zoo::open`].
    fn get(&mut self, wanted: &ModelRef, device: &Device) -> Result<CachedModel> {
        self.uses += 1;
        if let Some(entry) = self.entries.get_mut(wanted) {
            entry.used = self.uses;
            return Ok(entry.model.clone());
        }
        let file = FileState::of(wanted);
        let (source, path) = (zoo::source(wanted, device)?, wanted.origin());
        let generator = match &source {
            ModelSource::Weights(weights) if Generator::is_in(weights) => {
                Some(Arc::new(Generator::new(weights, path, device)?))
            }
            _ => None,
        };
        let numbers = match &source {
            ModelSource::Weights(weights) => weights.parameter_count() as u64,
            ModelSource::Graph(source) => source.graph.parameter_count() as u64,
        };
        let model = CachedModel {
            classifier: Arc::new(zoo::classifier(&source, path, device)?),
            generator,
            fingerprint: Fingerprint::of_model(wanted, &source)?,
        };
        let entry = Entry {
            model: model.clone(),
            file,
            bytes: numbers * BYTES_A_NUMBER,
            used: self.uses,
        };
        self.entries.insert(wanted.clone(), entry);
        self.evict();
        Ok(model)
    }

    /// See [`Models::with_generator`].
    fn with_generator(
        &mut self,
        model: &ModelRef,
        generator: &GeneratorRef,
        device: &Device,
    ) -> Result<Counterfactual> {
        let opened = self.get(model, device)?;
        let path = match generator {
            GeneratorRef::WithModel => return opened.pair(),
            GeneratorRef::File(path) => path,
        };
        let file = FileState::of_file(path.clone());
        let known = self.generators.iter().find(|(known, classifier, _)| {
            file.as_ref() == Some(known) && *classifier == opened.fingerprint
        });
        if let Some((_, _, generator)) = known {
            return Ok(opened.with(generator.clone()));
        }
        let manifest = opened.classifier.manifest();
        let fingerprint = opened.fingerprint.to_string();
        let generator =
            GeneratorFile::read(path)?.generator(manifest, &fingerprint, path, device)?;
        let generator = Arc::new(generator);
        if let Some(file) = file {
            self.generators
                .retain(|(known, ..)| known.path != file.path);
            let entry = (file, opened.fingerprint, generator.clone());
            self.generators.push(entry);
            let surplus = self.generators.len().saturating_sub(MOST_GENERATORS);
            self.generators.drain(..surplus);
        }
        Ok(opened.with(generator))
    }

    /// Forgets the model if its file has changed since it was opened. Whether it has.
    fn forget_if_changed(&mut self, model: &ModelRef) -> bool {
        let known = self
            .entries
            .get(model)
            .and_then(|entry| entry.file.as_ref());
        let changed =
            known.is_some_and(|known| FileState::of(model).is_some_and(|now| now != *known));
        if changed {
            self.entries.remove(model);
        }
        changed
    }

    /// Drops what was used longest ago, first of files with too many copies, then of all. The newest
    /// stays.
    fn evict(&mut self) {
        let paths = self
            .entries
            .values()
            .filter_map(|entry| entry.file.as_ref());
        let paths: Vec<PathBuf> = paths.map(|file| file.path.clone()).collect();
        for path in paths {
            let is_copy = |entry: &Entry| entry.file.as_ref().is_some_and(|file| file.path == path);
            while self.entries.values().filter(|entry| is_copy(entry)).count() > MOST_COPIES {
                self.drop_oldest(is_copy);
            }
        }
        let bytes = |cache: &Self| cache.entries.values().map(|entry| entry.bytes).sum::<u64>();
        while self.entries.len() > 1 && bytes(self) > MOST_BYTES {
            self.drop_oldest(|_| true);
        }
    }

    fn drop_oldest(&mut self, among: impl Fn(&Entry) -> bool) {
        let entries = self.entries.iter().filter(|(_, entry)| among(entry));
        let oldest = entries.min_by_key(|(_, entry)| entry.used);
        if let Some(model) = oldest.map(|(model, _)| model.clone()) {
            self.entries.remove(&model);
        }
    }

    /// Has a model take half as many pictures at once. Whether it can.
    fn halve(&self, model: &ModelRef) -> bool {
        let entry = self.entries.get(model);
        entry.is_some_and(|entry| entry.model.classifier.budget().halve())
    }
}

impl CachedModel {
    /// The model's display name.
    pub fn name(&self) -> &str {
        &self.classifier.manifest().name
    }

    /// Classifier and generator.
    ///
    /// # Errors
    /// [`Error::Config`] without a generator.
    pub fn pair(self) -> Result<Counterfactual> {
        let generator = self.generator.clone().ok_or_else(|| {
            let name = &self.classifier.manifest().name;
            Error::Config(format!("{name} has no generator of counterfactuals"))
        })?;
        Ok(self.with(generator))
    }

    fn with(self, generator: Arc<Generator>) -> Counterfactual {
        Counterfactual {
            discriminator: self.classifier,
            generator,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{Precision, Weights};

    /// A small bundled model in a file.
    fn file(folder: &Path) -> PathBuf {
        let device = Device::flex();
        let weights = zoo::weights(&"cifar10-standard".into(), &device).expect("a bundled model");
        let path = folder.join("model.safetensors");
        weights.write(&path, Precision::Half).expect("a file");
        path
    }

    #[test]
    fn the_window_and_its_exports_open_a_model_once() {
        let window = Models::from(Device::flex());
        let exporter = window.clone();
        let model = ModelRef::from("cifar10-standard");
        let opened = window.get(&model).expect("bundled");
        let again = exporter.get(&model).expect("bundled");
        assert!(Arc::ptr_eq(&opened.classifier, &again.classifier));
    }

    #[test]
    fn a_file_under_many_descriptions_is_held_twice_at_most() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path());
        let mut cache = ModelCache::default();
        for name in ["imagenet", "cifar10", "cifar100", "half", "none"] {
            let said = format!("file = {path:?}\nnormalizer = \"{name}\"\n");
            cache
                .get(&ModelRef::from(&*said), &Device::flex())
                .expect("a sound model");
        }
        assert_eq!(cache.entries.len(), MOST_COPIES);
        cache
            .get(&"cifar10-robust".into(), &Device::flex())
            .expect("bundled");
        assert_eq!(
            cache.entries.len(),
            MOST_COPIES + 1,
            "others have their own room"
        );
    }

    #[test]
    fn the_least_recently_used_models_make_room() {
        let mut cache = ModelCache::default();
        for name in ["cifar10-standard", "cifar10-robust", "cracks-ordinary"] {
            cache.get(&name.into(), &Device::flex()).expect("bundled");
        }
        cache
            .get(&"cifar10-standard".into(), &Device::flex())
            .expect("known");
        for entry in cache.entries.values_mut() {
            entry.bytes = MOST_BYTES / 2;
        }
        cache.evict();
        let mut left: Vec<String> = cache.entries.keys().map(ModelRef::title).collect();
        left.sort_unstable();
        assert_eq!(left, ["cifar10-standard", "cracks-ordinary"]);
    }

    #[test]
    fn a_file_that_was_trained_again_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path());
        let model = ModelRef::file(&path);
        let mut cache = ModelCache::default();
        let before = cache.get(&model, &Device::flex()).expect("a sound model");
        assert!(!cache.forget_if_changed(&model));
        let mut weights = Weights::read(&path).expect("a sound file");
        let bias = weights.tensors.get_mut("fc.bias").expect("a bias");
        bias.values.fill(1.0);
        weights
            .metadata
            .insert("longer".into(), "than before".into());
        weights.write(&path, Precision::Half).expect("a file");
        assert!(cache.forget_if_changed(&model));
        let after = cache.get(&model, &Device::flex()).expect("a sound model");
        assert_ne!(before.fingerprint, after.fingerprint);
    }
}
