//! A batch of a scan: predictions, attacks and flip search of some pictures by all models, step by step.

use burn::tensor::{Tensor, TensorData};

use super::database::Database;
use super::gather::{Gathered, GatheredItem};
use super::plan::{Bracket, FlipSearch, Plan, family, noise};
use super::scan::Examined;
use super::store::{Findings, Hit, Key, StoredAttack, StoredPrediction};
use crate::attack::{Attack, AttackRun};
use crate::counterfactual::FAKE;
use crate::error::Result;
use crate::evaluate::{self, Prediction};
use crate::model::{Classifier, tensor_values};

/// A plan with its models and the numbers that the database knows it by.
pub(super) struct ScanPlan {
    pub(super) models: Vec<(Examined, i64)>,
    /// Each height and width that a model wants.
    pub(super) sizes: Vec<[usize; 2]>,
    attack: Option<(Attack, i64)>,
    search: Option<(FlipSearch, i64)>,
    map: bool,
}

/// A picture before a model: what is known, and what is to be found out.
pub(super) struct ScanItem {
    key: Key,
    aim: StoredAttack,
    /// Its class as the model counts, where it is known.
    truth: Option<usize>,
    look: Option<StoredPrediction>,
    wants_look: bool,
    wants_attack: bool,
    /// As far as the flip is known; nothing if that is not asked for.
    bracket: Option<Bracket>,
    wants_flip: bool,
}

impl ScanItem {
    /// Whether anything is to be found out.
    pub(super) fn is_open(&self) -> bool {
        self.wants_look || self.wants_attack || self.wants_flip
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
    pub(super) fn cases(
        &self,
        database: &Database,
        picture: i64,
        label: Option<&str>,
        number: u64,
    ) -> Result<Vec<ScanItem>> {
        let models = self.models.iter();
        let cases = models.map(|(examined, model)| {
            let key = Key {
                picture,
                model: *model,
            };
            self.case(database, &examined.classifier, key, label, number)
        });
        cases.collect()
    }

    fn case(
        &self,
        database: &Database,
        model: &Classifier,
        key: Key,
        label: Option<&str>,
        number: u64,
    ) -> Result<ScanItem> {
        let labels = &model.manifest().labels;
        let truth = label.and_then(|label| labels.iter().position(|known| known == label));
        let look = database.look(key, model.classes())?;
        let drawn = self.attack.as_ref();
        let aim = StoredAttack {
            attack: 0,
            label: truth.or(look.map(|look| look.class)).unwrap_or_default(),
            noise: drawn.map_or(0, |(attack, _)| noise(attack, number)),
        };
        let is_represented = |aim| Ok(!self.map || database.is_represented(key, aim)?);
        let mut case = ScanItem {
            key,
            aim,
            truth,
            look,
            wants_look: look.is_none() || !is_represented(StoredAttack::default())?,
            wants_attack: drawn.is_some(),
            bracket: None,
            wants_flip: self.search.is_some(),
        };
        if case.truth.is_none() && look.is_none() {
            // Which class an attack would leave is not known yet, so nothing was attacked.
            return Ok(case);
        }
        if let Some((_, attack)) = drawn {
            let aim = aim.of(*attack);
            let hit = database.hit(key, aim, model.classes())?;
            case.wants_attack = hit.is_none() || !is_represented(aim)?;
        }
        if let Some((search, attack)) = self.search {
            case.bracket = database.bracket(key, aim.of(attack))?;
            let next = |bracket: Bracket| bracket.next(search);
            case.wants_flip = case.bracket.is_none_or(|known| next(known).is_some());
        }
        Ok(case)
    }
}

/// The computations of a model on a batch, in this order.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Predict,
    Attack,
    Flip,
}

/// A running attack on some pictures of the batch.
struct Running {
    /// Indices of the attacked items.
    rows: Vec<usize>,
    x: Tensor<4>,
    run: AttackRun,
    /// The ε of each, in a flip search.
    radii: Option<Vec<f32>>,
}

/// A batch of a scan in progress.
pub(super) struct ScanBatch {
    items: Vec<GatheredItem>,
    model: usize,
    stage: Stage,
    running: Option<Running>,
    pub(super) findings: Findings,
}

impl ScanBatch {
    pub(super) fn new(gathered: Gathered) -> Self {
        Self {
            items: gathered.items,
            model: 0,
            stage: Stage::Predict,
            running: None,
            findings: Findings {
                entries: gathered.entries,
                ..Findings::default()
            },
        }
    }

    /// Number of pictures for which something has to be computed.
    pub(super) fn open(&self) -> usize {
        let open = |item: &&GatheredItem| item.cases.iter().any(ScanItem::is_open);
        self.items.iter().filter(open).count()
    }

    /// Does at most one forward and one backward pass over the batch; `false` once finished.
    pub(super) fn step(&mut self, orders: &ScanPlan) -> bool {
        let Some((examined, _)) = orders.models.get(self.model) else {
            return false;
        };
        let model = &*examined.classifier;
        if let Some(running) = &mut self.running {
            if let Some(loss) = running.run.step(model) {
                // Reading the losses waits for the device, so that no queue of work delays more urgent requests.
                tensor_values(loss);
            } else if let Some(running) = self.running.take() {
                self.judge(orders, model, running);
            }
            return true;
        }
        match self.stage {
            Stage::Predict => {
                self.look(orders, model);
                self.stage = Stage::Attack;
            }
            Stage::Attack => {
                self.running = self.attack(orders, model);
                self.stage = Stage::Flip;
            }
            Stage::Flip => {
                self.running = self.try_radii(orders, model);
                if self.running.is_none() {
                    self.keep_brackets(orders);
                    self.model += 1;
                    self.stage = Stage::Predict;
                }
            }
        }
        true
    }

    fn rows(&self, wants: impl Fn(&ScanItem) -> bool) -> Vec<usize> {
        let items = self.items.iter().enumerate();
        let wanting = items.filter(|(_, item)| wants(&item.cases[self.model]));
        wanting.map(|(row, _)| row).collect()
    }

    /// The pictures `[n, 3, h, w]` of the items `rows`, at the model's input size.
    fn tensor(&self, orders: &ScanPlan, model: &Classifier, rows: &[usize]) -> Tensor<4> {
        let size = model.manifest().input;
        let place = orders.sizes.iter().position(|&known| known == size);
        let place = place.expect("every model's size is there");
        let planes = rows.iter().flat_map(|&row| &self.items[row].planes[place]);
        let values: Vec<f32> = planes.map(|&byte| f32::from(byte) / 255.0).collect();
        let shape = [rows.len(), 3, size[0], size[1]];
        Tensor::from_data(TensorData::new(values, shape), model.device())
    }

    fn look(&mut self, orders: &ScanPlan, model: &Classifier) {
        let rows = self.rows(|case| case.wants_look);
        if rows.is_empty() {
            return;
        }
        let features = model.features(self.tensor(orders, model, &rows));
        if orders.map {
            let aims = vec![StoredAttack::default(); rows.len()];
            self.represent(&rows, &aims, model.embed(features.clone()));
        }
        let fakeness = |seen: &Prediction| {
            let knows = model
                .manifest()
                .labels
                .last()
                .is_some_and(|last| last == FAKE);
            seen.probabilities.last().copied().filter(|_| knows)
        };
        let seen = evaluate::predictions_from_logits(model.logits_of(features));
        for (row, seen) in rows.into_iter().zip(seen) {
            let case = &mut self.items[row].cases[self.model];
            let look = StoredPrediction {
                class: seen.class,
                confidence: seen.probabilities[seen.class],
                fakeness: fakeness(&seen),
            };
            case.look = Some(look);
            case.aim.label = case.truth.unwrap_or(look.class);
            self.findings.looks.push((case.key, look));
        }
    }

    fn represent(&mut self, rows: &[usize], aims: &[StoredAttack], embedding: Tensor<2>) {
        let [_, width] = embedding.dims();
        let values = tensor_values(embedding);
        for ((&row, aim), values) in rows.iter().zip(aims).zip(values.chunks_exact(width)) {
            let key = self.items[row].cases[self.model].key;
            self.findings
                .representations
                .push((key, *aim, values.to_vec()));
        }
    }

    fn attack(&self, orders: &ScanPlan, model: &Classifier) -> Option<Running> {
        let (attack, _) = orders.attack.as_ref()?;
        let rows = self.rows(|case| case.wants_attack);
        self.start(orders, model, rows, &[attack.epsilon])
    }

    /// A step of the flip search: attacks every picture whose bracket is too wide, each at the ε that
    /// bisects it.
    fn try_radii(&mut self, orders: &ScanPlan, model: &Classifier) -> Option<Running> {
        let (search, _) = orders.search?;
        let goal = orders.attack.as_ref()?.0.goal;
        let (mut rows, mut radii) = (Vec::new(), Vec::new());
        for (row, item) in self.items.iter_mut().enumerate() {
            let case = &mut item.cases[self.model];
            if !case.wants_flip {
                continue;
            }
            let bracket = case.bracket.get_or_insert_with(|| {
                let look = case.look.expect("every picture was looked at");
                match goal.is_reached(case.aim.label, look.class) {
                    true => Bracket::AT_ONCE,
                    false => Bracket::default(),
                }
            });
            if let Some(radius) = bracket.next(search) {
                rows.push(row);
                radii.push(radius);
            }
        }
        let mut running = self.start(orders, model, rows, &radii)?;
        running.radii = Some(radii);
        Some(running)
    }

    fn start(
        &self,
        orders: &ScanPlan,
        model: &Classifier,
        rows: Vec<usize>,
        radii: &[f32],
    ) -> Option<Running> {
        let (attack, _) = orders.attack.as_ref()?;
        if rows.is_empty() {
            return None;
        }
        let aims = rows
            .iter()
            .map(|&row| self.items[row].cases[self.model].aim);
        let (labels, numbers): (Vec<usize>, Vec<u64>) =
            aims.map(|aim| (aim.label, aim.noise)).unzip();
        let x = self.tensor(orders, model, &rows);
        Some(Running {
            run: AttackRun::new(attack, model, x.clone(), &labels, &numbers, radii),
            rows,
            x,
            radii: None,
        })
    }

    fn judge(&mut self, orders: &ScanPlan, model: &Classifier, running: Running) {
        let Running {
            rows,
            x,
            run,
            radii,
        } = running;
        let Some((attack, number)) = &orders.attack else {
            return;
        };
        let adversarial = run.finish(model);
        let judged = evaluate::evaluate_attack(model, &x, &adversarial);
        if let Some(radii) = radii {
            for ((&row, seen), radius) in rows.iter().zip(&judged.predictions).zip(radii) {
                let case = &mut self.items[row].cases[self.model];
                let flipped = attack.goal.is_reached(case.aim.label, seen.class);
                if let Some(bracket) = &mut case.bracket {
                    bracket.learn(radius, flipped);
                }
            }
            return;
        }
        let case = |row: usize| &self.items[row].cases[self.model];
        let aims: Vec<StoredAttack> = rows.iter().map(|&row| case(row).aim.of(*number)).collect();
        for (index, (&row, seen)) in rows.iter().zip(&judged.predictions).enumerate() {
            let hit = Hit {
                class: seen.class,
                confidence: seen.probabilities[seen.class],
                linf: judged.linf[index],
                l2: judged.l2[index],
            };
            self.findings.hits.push((case(row).key, aims[index], hit));
        }
        if orders.map {
            self.represent(&rows, &aims, model.representation(adversarial));
        }
    }

    fn keep_brackets(&mut self, orders: &ScanPlan) {
        let Some((_, attack)) = orders.search else {
            return;
        };
        for item in &self.items {
            let case = &item.cases[self.model];
            if let Some(bracket) = case.bracket.filter(|_| case.wants_flip) {
                let aim = case.aim.of(attack);
                self.findings.brackets.push((case.key, aim, bracket));
            }
        }
    }
}
