//! What is known of each picture for each model of a scan, and what is left to compute.

use super::database::Database;
use super::plan::{Bracket, FlipSearch, Plan, family, noise};
use super::store::{Key, StoredAttack, StoredPrediction};
use crate::attack::Attack;
use crate::error::Result;
use crate::model::{Classifier, Examined};

/// A plan with its models and the numbers that the database knows it by.
pub(super) struct ScanPlan {
    pub(super) models: Vec<(Examined, i64)>,
    /// Each height and width that a model wants.
    pub(super) sizes: Vec<[usize; 2]>,
    pub(super) attack: Option<(Attack, i64)>,
    pub(super) search: Option<(FlipSearch, i64)>,
    pub(super) map: bool,
}

/// A picture before a model: what is known, and what is to be found out.
pub(super) struct ScanItem {
    pub(super) key: Key,
    pub(super) attack_key: StoredAttack,
    /// Its class as the model counts, where it is known.
    pub(super) truth: Option<usize>,
    pub(super) prediction: Option<StoredPrediction>,
    pub(super) wants_prediction: bool,
    pub(super) wants_attack: bool,
    /// As far as the flip is known; nothing if that is not asked for.
    pub(super) bracket: Option<Bracket>,
    pub(super) wants_flip: bool,
}

impl ScanItem {
    /// Whether anything is to be found out.
    pub(super) fn is_open(&self) -> bool {
        self.wants_prediction || self.wants_attack || self.wants_flip
    }
}

impl ScanPlan {
    pub(super) fn new(database: &Database, plan: &Plan, models: Vec<Examined>) -> Result<Self> {
        let mut sizes = Vec::new();
        let mut numbered = Vec::new();
        for examined in models {
            let manifest = examined.classifier.manifest();
            let id = database.model(examined.fingerprint, &manifest.name, &manifest.labels)?;
            sizes.push(manifest.input);
            numbered.push((examined, id));
        }
        sizes.sort_unstable();
        sizes.dedup();
        let number = |attack: &Attack| database.attack(attack);
        let attack = plan.attack.as_ref();
        let search = attack.zip(plan.flip).map(|(attack, search)| {
            let number = number(&family(attack))?;
            Ok((search, number))
        });
        let attack = attack.map(|attack| Ok((attack.clone(), number(attack)?)));
        Ok(Self {
            models: numbered,
            sizes,
            attack: attack.transpose()?,
            search: search.transpose()?,
            map: plan.map,
        })
    }

    /// What is known of a picture, model by model.
    pub(super) fn items(
        &self,
        database: &Database,
        picture: i64,
        label: Option<&str>,
        number: u64,
    ) -> Result<Vec<ScanItem>> {
        let models = self.models.iter();
        let items = models.map(|(examined, model)| {
            let key = Key {
                picture,
                model: *model,
            };
            self.item(database, &examined.classifier, key, label, number)
        });
        items.collect()
    }

    fn item(
        &self,
        database: &Database,
        model: &Classifier,
        key: Key,
        label: Option<&str>,
        number: u64,
    ) -> Result<ScanItem> {
        let labels = &model.manifest().labels;
        let truth = label.and_then(|label| labels.iter().position(|known| known == label));
        let prediction = database.prediction(key, model.classes())?;
        let drawn = self.attack.as_ref();
        let attack_key = StoredAttack {
            attack: 0,
            label: truth
                .or(prediction.map(|prediction| prediction.class))
                .unwrap_or_default(),
            noise: drawn.map_or(0, |(attack, _)| noise(attack, number)),
        };
        let is_represented =
            |attack_key| Ok(!self.map || database.is_represented(key, attack_key)?);
        let mut item = ScanItem {
            key,
            attack_key,
            truth,
            prediction,
            wants_prediction: prediction.is_none() || !is_represented(StoredAttack::default())?,
            wants_attack: drawn.is_some(),
            bracket: None,
            wants_flip: self.search.is_some(),
        };
        if item.truth.is_none() && prediction.is_none() {
            // Which class an attack would leave is not known yet, so nothing was attacked.
            return Ok(item);
        }
        if let Some((_, attack)) = drawn {
            let attack_key = attack_key.of(*attack);
            let hit = database.hit(key, attack_key, model.classes())?;
            item.wants_attack = hit.is_none() || !is_represented(attack_key)?;
        }
        if let Some((search, attack)) = self.search {
            item.bracket = database.bracket(key, attack_key.of(attack))?;
            let next = |bracket: Bracket| bracket.next(search);
            item.wants_flip = item.bracket.is_none_or(|known| next(known).is_some());
        }
        Ok(item)
    }
}
