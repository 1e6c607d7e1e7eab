//! The models in use.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use burn::tensor::Device;

use crate::counterfactual::{Counterfactual, Generator};
use crate::error::{Error, Result};
use crate::model::import::{LabelSource, ModelSource};
use crate::model::{Classifier, ModelRef, memory, zoo};
use crate::triage::Fingerprint;

/// Share of the free memory (the cache's own counted as free) that models which nobody asks for may
/// take: a quarter. No graphics interface tells how much a GPU has, so there it is the same.
const SHARE: u64 = 4;
/// Models kept of one file that differ in their overrides alone, unless requests ask for more: the one
/// in use, and the one before for whoever goes back.
const VARIANTS: usize = 2;
/// Bytes that an opened model takes for each of its numbers: a 32-bit float, on the CPU once more in the
/// order that its convolutions read.
const BYTES_PER_NUMBER: u64 = 8;

/// Models that were opened, least recently used first. Each is known by its file and overrides; its
/// [`Stamp`]s tell when the file has become another.
#[derive(Default)]
pub(super) struct ModelCache {
    entries: Vec<Entry>,
    /// The models that current requests ask for; these stay.
    wanted: HashSet<ModelRef>,
    /// The files of every model as they were when it was last opened, also of those evicted since.
    seen: HashMap<ModelRef, Vec<Stamp>>,
}

struct Entry {
    model: ModelRef,
    opened: CachedModel,
    /// Estimated size in bytes.
    bytes: u64,
}

/// A model, with its generator if it has one.
#[derive(Clone)]
pub(super) struct CachedModel {
    pub(super) classifier: Arc<Classifier>,
    pub(super) generator: Option<Arc<Generator>>,
    pub(super) fingerprint: Fingerprint,
}

/// A file at a moment: time of its last change and length in bytes; nothing if it is not there.
#[derive(Clone, Debug, PartialEq)]
struct Stamp {
    path: PathBuf,
    version: Option<(SystemTime, u64)>,
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let version = std::fs::metadata(path).and_then(|facts| {
            let modified = facts.modified()?;
            Ok((modified, facts.len()))
        });
        Self {
            path: path.into(),
            version: version.ok(),
        }
    }

    /// Whether there is another file now. One that is gone leaves the model that was read from it.
    fn has_changed(&self) -> bool {
        let now = Self::of(&self.path).version;
        now.is_some() && now != self.version
    }
}

/// The files that decide what a model is: its own, the weights that a description names, its labels.
fn stamps(model: &ModelRef) -> Vec<Stamp> {
    let Some(path) = model.path() else {
        return Vec::new();
    };
    let mut files = vec![path.to_path_buf()];
    if let Some(description) = model.description() {
        if let Some(LabelSource::Named(labels)) = description.labels {
            files.extend(Some(PathBuf::from(labels)).filter(|labels| labels.is_file()));
        }
        // Programs that write an ONNX graph's numbers beside it write the graph as well.
        files.extend(description.file);
    }
    files.iter().map(|file| Stamp::of(file)).collect()
}

impl ModelCache {
    /// Takes note of the models that current requests ask for; those are not evicted.
    pub(super) fn keep<'a>(&mut self, models: impl Iterator<Item = &'a ModelRef>) {
        self.wanted = models.cloned().collect();
    }

    /// Has the model opened anew the next time if a file of it has changed since.
    pub(super) fn drop_if_changed(&mut self, model: &ModelRef) {
        let seen = self.seen.get(model);
        if seen.is_some_and(|stamps| stamps.iter().any(Stamp::has_changed)) {
            self.entries.retain(|entry| entry.model != *model);
        }
    }

    /// The model, opened on `device` unless it is there. Whether it is another than the last one of this
    /// name, as its file has changed, so that what was computed with that one is void.
    ///
    /// # Errors
    /// As [`zoo::source`] and [`zoo::classifier`].
    pub(super) fn get(&mut self, model: &ModelRef, device: &Device) -> Result<(CachedModel, bool)> {
        if let Some(place) = self.entries.iter().position(|entry| entry.model == *model) {
            let entry = self.entries.remove(place);
            let opened = entry.opened.clone();
            self.entries.push(entry);
            return Ok((opened, false));
        }
        // Taken before the file is read: what is written meanwhile is read again.
        let stamps = stamps(model);
        let source = zoo::source(model, device)?;
        let bytes = bytes(&source, &stamps);
        let opened = CachedModel::new(model, &source, device)?;
        drop(source);
        let before = self.seen.insert(model.clone(), stamps);
        let changed = before.is_some_and(|before| before != self.seen[model]);
        self.entries.push(Entry {
            model: model.clone(),
            opened: opened.clone(),
            bytes,
        });
        self.evict_variants(model);
        self.evict((memory::available() + self.bytes()) / SHARE);
        Ok((opened, changed))
    }

    /// Has a model take half as many pictures at once. Whether it can.
    pub(super) fn halve(&self, model: &ModelRef) -> bool {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.model == *model);
        entry.is_some_and(|entry| entry.opened.classifier.budget().halve())
    }

    /// Estimated bytes of all models.
    fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    /// Whether a request or a computation under way needs the model at this place; the newest is about
    /// to be used.
    fn is_used(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        place + 1 == self.entries.len()
            || self.wanted.contains(&entry.model)
            || Arc::strong_count(&entry.opened.classifier) > 1
    }

    /// Drops all but [`VARIANTS`] models of the same file that nobody uses.
    fn evict_variants(&mut self, model: &ModelRef) {
        let Some(path) = model.path() else { return };
        let mut count = 0;
        for place in (0..self.entries.len()).rev() {
            if self.entries[place].model.path() != Some(path) {
                continue;
            }
            count += 1;
            if count > VARIANTS && !self.is_used(place) {
                self.entries.remove(place);
            }
        }
    }

    /// Drops models that nobody uses, the least recently used first, until all take `most` bytes.
    fn evict(&mut self, most: u64) {
        let mut place = 0;
        while self.bytes() > most && place < self.entries.len() {
            if self.is_used(place) {
                place += 1;
            } else {
                self.entries.remove(place);
            }
        }
    }
}

/// About what the opened model takes: by its numbers, or for a graph by the length of its files.
fn bytes(source: &ModelSource, stamps: &[Stamp]) -> u64 {
    match source {
        ModelSource::Weights(weights) => weights.numbers() as u64 * BYTES_PER_NUMBER,
        ModelSource::Graph(..) => {
            let lengths = stamps.iter().filter_map(|stamp| Some(stamp.version?.1));
            lengths.sum()
        }
    }
}

impl CachedModel {
    fn new(model: &ModelRef, source: &ModelSource, device: &Device) -> Result<Self> {
        let origin = model.origin();
        let generator = match source {
            ModelSource::Weights(weights) if Generator::is_in(weights) => {
                Some(Arc::new(Generator::new(weights, origin, device)?))
            }
            _ => None,
        };
        Ok(Self {
            classifier: Arc::new(zoo::classifier(source, origin, device)?),
            generator,
            fingerprint: Fingerprint::of_model(model, source)?,
        })
    }

    /// Classifier and generator.
    ///
    /// # Errors
    /// [`Error::Config`] without a generator.
    pub(super) fn pair(self) -> Result<Counterfactual> {
        let Self {
            classifier,
            generator,
            ..
        } = self;
        let generator = generator.ok_or_else(|| {
            let name = &classifier.manifest().name;
            Error::Config(format!("{name} has no generator of counterfactuals"))
        })?;
        Ok(Counterfactual {
            discriminator: classifier,
            generator,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Normalizer;
    use crate::model::import::{DescriptionEdit, NormalizerSource};

    const FIXTURE: &str = "tests/fixtures/foreign/wide.pt";

    fn variant(number: usize) -> ModelRef {
        let normalizer = Normalizer {
            mean: [number as f32 / 20.0; 3],
            std: [1.0; 3],
        };
        let edit = DescriptionEdit::Normalizer(NormalizerSource::Given(normalizer));
        let variant = ModelRef::file(FIXTURE).edited(edit);
        variant.expect("the fixture is there")
    }

    fn get(cache: &mut ModelCache, model: &ModelRef) -> (CachedModel, bool) {
        let opened = cache.get(model, &Device::flex());
        opened.unwrap_or_else(|error| panic!("{error}"))
    }

    fn names(cache: &ModelCache) -> Vec<ModelRef> {
        let entries = cache.entries.iter();
        entries.map(|entry| entry.model.clone()).collect()
    }

    #[test]
    fn twenty_normalisers_of_one_file_are_two_models_at_the_most() {
        let mut cache = ModelCache::default();
        for number in 0..20 {
            let model = variant(number);
            cache.keep([&model].into_iter());
            get(&mut cache, &model);
            assert!(cache.entries.len() <= 2);
        }
        assert_eq!(names(&cache), [variant(18), variant(19)]);
    }

    #[test]
    fn models_that_requests_ask_for_stay_however_many() {
        let mut cache = ModelCache::default();
        let wanted: Vec<ModelRef> = (0..4).map(variant).collect();
        cache.keep(wanted.iter());
        let first = get(&mut cache, &wanted[0]).0;
        for model in &wanted {
            get(&mut cache, model);
        }
        cache.evict(0);
        assert_eq!(names(&cache), wanted);
        let again = get(&mut cache, &wanted[0]).0;
        assert!(
            Arc::ptr_eq(&first.classifier, &again.classifier),
            "it was opened once"
        );
    }

    #[test]
    fn the_least_recently_used_goes_first_and_what_computes_stays() {
        let mut cache = ModelCache::default();
        let models = [
            variant(0),
            ModelRef::from("cifar10-robust"),
            ModelRef::from("cifar10-standard"),
        ];
        for model in &models {
            get(&mut cache, model);
        }
        get(&mut cache, &models[0]);
        let [robust, standard] = [cache.entries[0].bytes, cache.entries[1].bytes];
        assert!(
            robust > 1_000_000,
            "{robust} bytes are too few for a ResNet-18"
        );
        cache.evict(cache.bytes() - 1);
        assert_eq!(names(&cache), [models[2].clone(), models[0].clone()]);
        let computing = cache.entries[0].opened.classifier.clone();
        cache.evict(standard / 2);
        assert_eq!(cache.entries.len(), 2);
        drop(computing);
        cache.evict(standard / 2);
        assert_eq!(names(&cache), [models[0].clone()]);
    }

    #[test]
    fn a_file_that_was_written_anew_is_another_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.pt");
        std::fs::copy(FIXTURE, &path).expect("the fixture is there");
        let model = ModelRef::file(&path);
        let mut cache = ModelCache::default();
        let (first, changed) = get(&mut cache, &model);
        assert!(!changed);
        cache.drop_if_changed(&model);
        let (same, changed) = get(&mut cache, &model);
        assert!(!changed && Arc::ptr_eq(&first.classifier, &same.classifier));

        std::fs::copy("tests/fixtures/foreign/preact.pt", &path).expect("the fixture is there");
        cache.drop_if_changed(&model);
        let (second, changed) = get(&mut cache, &model);
        assert!(changed);
        assert_ne!(first.fingerprint, second.fingerprint);

        // One that is gone leaves what was read of it.
        std::fs::remove_file(&path).expect("it can be removed");
        cache.drop_if_changed(&model);
        assert!(!get(&mut cache, &model).1);
    }
}
