//! A batch of a scan: predictions, attacks and flip search of some pictures by all models, step by step.

use burn::tensor::{Tensor, TensorData};

use super::gather::{Gathered, GatheredItem};
use super::item::{ScanItem, ScanPlan};
use super::plan::Bracket;
use super::store::{Findings, Hit, StoredAttack, StoredPrediction};
use crate::attack::AttackRun;
use crate::counterfactual::FAKE;
use crate::evaluate::{self, Prediction};
use crate::model::{Classifier, tensor_values};

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
        let open = |item: &&GatheredItem| item.items.iter().any(ScanItem::is_open);
        self.items.iter().filter(open).count()
    }

    /// Does at most one forward and one backward pass over the batch; `false` once finished.
    pub(super) fn step(&mut self, plan: &ScanPlan) -> bool {
        let Some((examined, _)) = plan.models.get(self.model) else {
            return false;
        };
        let model = &*examined.classifier;
        if let Some(running) = &mut self.running {
            if running.run.step(model) {
                return true;
            }
            if let Some(running) = self.running.take() {
                self.judge(plan, model, running);
            }
            return true;
        }
        match self.stage {
            Stage::Predict => {
                self.prediction(plan, model);
                self.stage = Stage::Attack;
            }
            Stage::Attack => {
                self.running = self.attack(plan, model);
                self.stage = Stage::Flip;
            }
            Stage::Flip => {
                self.running = self.try_radii(plan, model);
                if self.running.is_none() {
                    self.keep_brackets(plan);
                    self.model += 1;
                    self.stage = Stage::Predict;
                }
            }
        }
        true
    }

    fn rows(&self, wants: impl Fn(&ScanItem) -> bool) -> Vec<usize> {
        let items = self.items.iter().enumerate();
        let wanting = items.filter(|(_, item)| wants(&item.items[self.model]));
        wanting.map(|(row, _)| row).collect()
    }

    /// The pictures `[n, 3, h, w]` of the items `rows`, at the model's input size.
    fn tensor(&self, plan: &ScanPlan, model: &Classifier, rows: &[usize]) -> Tensor<4> {
        let size = model.manifest().input;
        let place = plan.sizes.iter().position(|&known| known == size);
        let place = place.expect("every model's size is there");
        let planes = rows.iter().flat_map(|&row| &self.items[row].planes[place]);
        let values: Vec<f32> = planes.map(|&byte| f32::from(byte) / 255.0).collect();
        let shape = [rows.len(), 3, size[0], size[1]];
        Tensor::from_data(TensorData::new(values, shape), model.device())
    }

    fn prediction(&mut self, plan: &ScanPlan, model: &Classifier) {
        let rows = self.rows(|item| item.wants_prediction);
        if rows.is_empty() {
            return;
        }
        let features = model.features(self.tensor(plan, model, &rows));
        if plan.map {
            let attacks = vec![StoredAttack::default(); rows.len()];
            self.represent(&rows, &attacks, model.embed(features.clone()));
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
            let item = &mut self.items[row].items[self.model];
            let prediction = StoredPrediction {
                class: seen.class,
                confidence: seen.probabilities[seen.class],
                fakeness: fakeness(&seen),
            };
            item.prediction = Some(prediction);
            item.attack_key.label = item.truth.unwrap_or(prediction.class);
            self.findings.predictions.push((item.key, prediction));
        }
    }

    fn represent(&mut self, rows: &[usize], attacks: &[StoredAttack], embedding: Tensor<2>) {
        let [_, width] = embedding.dims();
        let values = tensor_values(embedding);
        for ((&row, attack_key), values) in rows.iter().zip(attacks).zip(values.chunks_exact(width))
        {
            let key = self.items[row].items[self.model].key;
            self.findings
                .representations
                .push((key, *attack_key, values.to_vec()));
        }
    }

    fn attack(&self, plan: &ScanPlan, model: &Classifier) -> Option<Running> {
        let (attack, _) = plan.attack.as_ref()?;
        let rows = self.rows(|item| item.wants_attack);
        self.start(plan, model, rows, &[attack.epsilon])
    }

    /// A step of the flip search: attacks every picture whose bracket is too wide, each at the ε that
    /// bisects it.
    fn try_radii(&mut self, plan: &ScanPlan, model: &Classifier) -> Option<Running> {
        let (search, _) = plan.search?;
        let goal = plan.attack.as_ref()?.0.goal;
        let (mut rows, mut radii) = (Vec::new(), Vec::new());
        for (row, item) in self.items.iter_mut().enumerate() {
            let item = &mut item.items[self.model];
            if !item.wants_flip {
                continue;
            }
            let bracket = item.bracket.get_or_insert_with(|| {
                let prediction = item.prediction.expect("every picture was looked at");
                match goal.is_reached(item.attack_key.label, prediction.class) {
                    true => Bracket::AT_ONCE,
                    false => Bracket::default(),
                }
            });
            if let Some(radius) = bracket.next(search) {
                rows.push(row);
                radii.push(radius);
            }
        }
        let mut running = self.start(plan, model, rows, &radii)?;
        running.radii = Some(radii);
        Some(running)
    }

    fn start(
        &self,
        plan: &ScanPlan,
        model: &Classifier,
        rows: Vec<usize>,
        radii: &[f32],
    ) -> Option<Running> {
        let (attack, _) = plan.attack.as_ref()?;
        if rows.is_empty() {
            return None;
        }
        let attacks = rows
            .iter()
            .map(|&row| self.items[row].items[self.model].attack_key);
        let (labels, numbers): (Vec<usize>, Vec<u64>) = attacks
            .map(|attack_key| (attack_key.label, attack_key.noise))
            .unzip();
        let x = self.tensor(plan, model, &rows);
        Some(Running {
            run: AttackRun::new(attack, model, x.clone(), &labels, &numbers, radii),
            rows,
            x,
            radii: None,
        })
    }

    fn judge(&mut self, plan: &ScanPlan, model: &Classifier, running: Running) {
        let Running {
            rows,
            x,
            run,
            radii,
        } = running;
        let Some((attack, number)) = &plan.attack else {
            return;
        };
        let adversarial = run.finish(model);
        let judged = evaluate::evaluate_attack(model, &x, &adversarial);
        if let Some(radii) = radii {
            for ((&row, seen), radius) in rows.iter().zip(&judged.predictions).zip(radii) {
                let item = &mut self.items[row].items[self.model];
                let flipped = attack.goal.is_reached(item.attack_key.label, seen.class);
                if let Some(bracket) = &mut item.bracket {
                    bracket.learn(radius, flipped);
                }
            }
            return;
        }
        let item = |row: usize| &self.items[row].items[self.model];
        let attacks: Vec<StoredAttack> = rows
            .iter()
            .map(|&row| item(row).attack_key.of(*number))
            .collect();
        for (index, (&row, seen)) in rows.iter().zip(&judged.predictions).enumerate() {
            let hit = Hit {
                class: seen.class,
                confidence: seen.probabilities[seen.class],
                linf: judged.linf[index],
                l2: judged.l2[index],
            };
            self.findings
                .hits
                .push((item(row).key, attacks[index], hit));
        }
        if plan.map {
            self.represent(&rows, &attacks, model.representation(adversarial));
        }
    }

    fn keep_brackets(&mut self, plan: &ScanPlan) {
        let Some((_, attack)) = plan.search else {
            return;
        };
        for item in &self.items {
            let item = &item.items[self.model];
            if let Some(bracket) = item.bracket.filter(|_| item.wants_flip) {
                let attack_key = item.attack_key.of(attack);
                self.findings.brackets.push((item.key, attack_key, bracket));
            }
        }
    }
}
