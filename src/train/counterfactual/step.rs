//! Optimiser steps of the discriminator and the generator of a counterfactual training.

use burn::tensor::{Device, FloatDType, Tensor};
use rand::RngExt;

use super::config::{CounterfactualConfig, Rates};
use super::frozen::Frozen;
use super::losses::{
    LossTerms, cross_entropy, distance, diversity, identity, labels_of_generated, total_variation,
};
use super::view::View;
use crate::counterfactual::{
    FAKE, Generator, GeneratorManifest, Interface, one_hot, real_classes, translate,
};
use crate::data::Batch;
use crate::data::random::noise_rng;
use crate::error::Result;
use crate::model::{
    Classifier, FeatureLayer, Manifest, Network, ResNet, UNet, Weights, tensor_values,
};
use crate::train::adam::Adam;
use crate::train::gradients::{WeightAverage, require_gradients, take_gradients};
use crate::train::init;
use crate::train::running_statistics::update_running_statistics;

/// The state of a counterfactual training: both networks, their moving averages and their optimisers; and the
/// frozen classifier, if it is for one.
pub struct CounterfactualTraining {
    pub(super) frozen: Option<Frozen>,
    pub(super) config: CounterfactualConfig,
    pub(super) manifest: Manifest,
    pub(super) discriminator: ResNet,
    pub(super) generator: UNet,
    pub(super) discriminator_average: ResNet,
    pub(super) generator_average: UNet,
    pub(super) discriminator_adam: Adam,
    pub(super) generator_adam: Adam,
    pub(super) device: Device,
}

impl CounterfactualTraining {
    /// Starts a training from random weights, or the discriminator from those of a model.
    ///
    /// # Errors
    /// As [`CounterfactualConfig::validate`] and [`crate::model::zoo::open`];
    /// [`crate::error::Error::Model`] where the frozen classifier does not fit the training.
    pub fn new(config: &CounterfactualConfig, classes: &[String], device: &Device) -> Result<Self> {
        config.validate()?;
        let architecture = config.discriminator_for(classes.len());
        architecture.validate()?;
        let shape = config.generator_for(classes.len());
        let frozen = config.classifier.as_ref();
        let frozen = frozen
            .map(|frozen| Frozen::open(frozen, classes, config.input, device))
            .transpose()?;
        let names = frozen
            .as_ref()
            .map_or_else(|| classes.to_vec(), Frozen::labels);
        let labels: Vec<String> = names.into_iter().chain([FAKE.to_owned()]).collect();
        let generator = init::random_unet(&shape, config.seed, device);
        let mut discriminator = init::random(&architecture, config.seed, device);
        if let Some(path) = &config.discriminator_init {
            init::from_model(&mut discriminator, path, config.input, &labels)?;
        }
        Ok(Self {
            frozen,
            config: config.clone(),
            discriminator_average: discriminator.clone(),
            discriminator,
            generator_average: generator.clone(),
            generator,
            manifest: Manifest {
                name: config.name.clone(),
                architecture: architecture.into(),
                input: config.input,
                grey: false,
                normalizer: config.normalizer,
                labels,
                training: config.summary(),
                notes: Vec::new(),
                assumptions: Vec::new(),
            },
            discriminator_adam: Adam::new(config.betas, config.weight_decay),
            generator_adam: Adam::new(config.betas, 0.0),
            device: device.clone(),
        })
    }

    /// Number of classes, without “fake”.
    pub fn classes(&self) -> usize {
        self.manifest.labels.len() - 1
    }

    /// A frozen copy of the averaged discriminator.
    pub fn classifier(&self) -> Classifier {
        let discriminator = self.discriminator_average.clone();
        Classifier::from_trained(discriminator, self.manifest.clone(), &self.device)
    }

    /// A frozen copy of the averaged generator, for the frozen classifier or else the discriminator.
    pub fn frozen_generator(&self) -> Generator {
        let outputs = match &self.frozen {
            Some(frozen) => frozen.outputs.clone(),
            None => (0..self.classes()).collect(),
        };
        let interface = Interface {
            mixed: false,
            ..self.interface()
        };
        let generator = self.generator_average.clone();
        Generator::with_interface(generator, interface, outputs, &self.device)
    }

    /// How pictures enter and leave the generator.
    fn interface(&self) -> Interface {
        Interface {
            normalizer: self.config.normalizer,
            reduction: self.config.reduction,
            mixed: self.config.mixed,
        }
    }

    /// The content of the generator's own file; `None` where discriminator and generator share one.
    pub fn generator_weights(&mut self) -> Option<Weights> {
        let config = &self.config;
        let classifier = config.classifier.as_ref()?.identity.clone();
        let labels = &self.manifest.labels;
        let manifest = GeneratorManifest {
            name: config.name.clone(),
            classifier,
            labels: labels[..real_classes(labels)].to_vec(),
            input: config.input,
            normalizer: config.normalizer,
            reduction: config.reduction,
            network: *self.generator_average.config(),
            training: config.summary(),
        };
        Some(manifest.with_network(&mut self.generator_average))
    }

    /// The content of the discriminator's own file, an ordinary model.
    pub fn discriminator_weights(&mut self) -> Weights {
        let mut weights = Weights::of(&mut self.discriminator_average);
        self.manifest.attach(&mut weights);
        weights
    }

    /// The model file's content: averaged discriminator and generator, and the manifest.
    pub fn weights(&mut self) -> Weights {
        let mut weights = Weights::default();
        let discriminator = Weights::of(&mut self.discriminator_average).tensors;
        weights.add_under(crate::model::DISCRIMINATOR, discriminator);
        Generator::attach(&mut self.generator_average, &mut weights);
        self.manifest.attach(&mut weights);
        weights
    }

    /// One optimiser step of the discriminator on real pictures only; `number` is the step's index in the whole
    /// training.
    pub fn warm_up(&mut self, batch: &Batch, rate: f64, number: u64) -> LossTerms {
        let real = one_hot(&batch.classes, self.classes() + 1, &self.device);
        let view = self.view(batch.classes.len(), number);
        let pictures = seen(view.as_ref(), batch.pictures.clone());
        let discriminator_real = self.update_discriminator(pictures, rate, |logits| {
            let loss = cross_entropy(logits, real);
            (loss.clone(), loss)
        });
        LossTerms {
            discriminator_real,
            ..LossTerms::default()
        }
    }

    /// One optimiser step of both networks, the discriminator's first; `number` is the step's index in the
    /// whole training and `progress` the share of it that is done. Without a learning rate the discriminator is
    /// frozen, and its moving average is used.
    pub fn step(&mut self, batch: &Batch, rates: Rates, number: u64, progress: f64) -> LossTerms {
        let count = self.classes();
        let sources = &batch.classes;
        let x = batch.pictures.clone();
        let targets = self.targets(&x, sources, number);
        let view = self.view(sources.len(), number);
        let condition = one_hot(&targets, count, &self.device);
        let back = one_hot(sources, count, &self.device);
        let mut generator = require_gradients(&self.generator);
        let (interface, weights) = (self.interface(), self.config.weights);
        let made = translate(&generator, x.clone(), &condition, &interface);

        let [discriminator_real, discriminator_fake] = match rates.discriminator {
            Some(rate) => {
                let made = made.picture.clone().inner();
                self.discriminator_step(&x, made, sources, &targets, rate, view.as_ref())
            }
            None => [0.0; 2],
        };
        let discriminator = match rates.discriminator {
            Some(_) => &self.discriminator,
            None => &self.discriminator_average,
        };
        let seen_made = seen(view.as_ref(), made.picture.clone());
        let discriminator = discriminator.clone().fold();
        let pixels = interface
            .normalizer
            .apply_in(seen_made.clone(), interface.mixed);
        let features = discriminator.features(pixels, FeatureLayer::LAST);
        let answers = discriminator.logits(discriminator.embed(features).cast(FloatDType::F32));
        let fool = cross_entropy(answers, one_hot(&targets, count + 1, &self.device));
        let returned = translate(&generator, made.picture.clone(), &back, &interface);
        let cycle = distance(returned.picture, x.clone());
        let change = made.picture - x;
        let same = targets
            .iter()
            .zip(sources)
            .map(|(target, source)| target == source);
        let same: Vec<f32> = same.map(|same| f32::from(u8::from(same))).collect();
        let identity = identity(change.clone(), Tensor::from_floats(&same[..], &self.device));
        let sparsity = change.clone().abs().mean();
        let total_variation = total_variation(change.clone());
        let head = cross_entropy(made.head, back);
        let mut terms = LossTerms {
            discriminator_real,
            discriminator_fake,
            fool: scalar(&fool),
            cycle: scalar(&cycle),
            identity: scalar(&identity),
            sparsity: scalar(&sparsity),
            total_variation: scalar(&total_variation),
            head: scalar(&head),
            ..LossTerms::default()
        };
        let mut loss = fool * weights.fool
            + cycle * weights.cycle
            + identity * weights.identity
            + sparsity * weights.sparsity
            + total_variation * weights.total_variation
            + head * weights.head;
        if weights.diversity > 0.0 {
            let diversity = diversity(change, &targets);
            terms.diversity = scalar(&diversity);
            loss = loss + diversity * weights.diversity;
        }
        if let Some(frozen) = &self.frozen {
            let (flip, with_gradient) = frozen.flip_term(seen_made, &targets);
            terms.flip = flip;
            loss = loss + with_gradient * self.config.flip_weight(progress);
        }
        let gradients = take_gradients(&mut generator, &mut loss.backward());
        self.generator_adam
            .step(&mut self.generator, gradients, rates.generator);
        WeightAverage::of(&mut self.generator, 1.0 - self.config.average)
            .blend_into(&mut self.generator_average);
        terms
    }

    /// One optimiser step of the discriminator on real and generated pictures, both in the same `view`; returns
    /// the values of both terms.
    ///
    /// Pictures whose target class is their own are no fakes: they hardly differ from the real ones.
    fn discriminator_step(
        &mut self,
        x: &Tensor<4>,
        made: Tensor<4>,
        sources: &[usize],
        targets: &[usize],
        rate: f64,
        view: Option<&View>,
    ) -> [f64; 2] {
        let (count, n) = (self.classes(), sources.len());
        let real = one_hot(sources, count + 1, &self.device);
        let translated: Vec<f32> = (0..n)
            .map(|at| f32::from(u8::from(targets[at] != sources[at])))
            .collect();
        let translated = Tensor::<1>::from_floats(&translated[..], &self.device).reshape([n, 1]);
        let share = self.config.source_share;
        let label = labels_of_generated(sources, count, share, &self.device) * translated;
        let weight = self.config.weights.fake;
        let mut discriminator_fake = 0.0;
        let both = Tensor::cat(vec![x.clone(), made], 0);
        let both = seen(view.map(View::twice).as_ref(), both);
        let discriminator_real = self.update_discriminator(both, rate, |logits| {
            let real = cross_entropy(logits.clone().narrow(0, 0, n), real);
            let fake = cross_entropy(logits.narrow(0, n, n), label);
            discriminator_fake = scalar(&fake);
            (real.clone() + fake * weight, real)
        });
        [discriminator_real, discriminator_fake]
    }

    /// Random target classes for pictures `x`: their own with probability `same_share`; of the others with
    /// probability `runner_up_share` the frozen classifier's runner-up, else any other.
    fn targets(&self, x: &Tensor<4>, sources: &[usize], number: u64) -> Vec<usize> {
        let mut rng = noise_rng(self.config.seed, STEP_STREAM | number);
        let count = self.classes();
        let (same, runner_up) = (self.config.same_share, self.config.runner_up_share);
        let runners_up = match &self.frozen {
            Some(frozen) if runner_up > 0.0 => Some(frozen.runners_up(x.clone(), sources)),
            _ => None,
        };
        let target = |(at, &source): (usize, &usize)| {
            if rng.random::<f64>() < same {
                return source;
            }
            match &runners_up {
                Some(runners_up) if rng.random::<f64>() < runner_up => runners_up[at],
                _ => (source + rng.random_range(1..count)) % count,
            }
        };
        sources.iter().enumerate().map(target).collect()
    }

    /// The view of `n` pictures in a step.
    fn view(&self, n: usize, number: u64) -> Option<View> {
        let mut rng = noise_rng(self.config.seed, STEP_STREAM | VIEW_STREAM | number);
        let input = self.config.input;
        self.config.views.then(|| View::random(n, input, &mut rng))
    }

    /// Updates the discriminator along the gradient of the first value of `loss`, a function of its logits;
    /// returns the second.
    fn update_discriminator(
        &mut self,
        pictures: Tensor<4>,
        rate: f64,
        loss: impl FnOnce(Tensor<2>) -> (Tensor<1>, Tensor<1>),
    ) -> f64 {
        let mut tracked = require_gradients(&self.discriminator);
        let pixels = self.config.normalizer.apply_in(pictures, self.config.mixed);
        let mut statistics = Vec::new();
        let (loss, reported) = loss(tracked.train_forward(pixels, &mut statistics));
        let gradients = take_gradients(&mut tracked, &mut loss.backward());
        self.discriminator_adam
            .step(&mut self.discriminator, gradients, rate);
        update_running_statistics(&mut self.discriminator, statistics);
        WeightAverage::of(&mut self.discriminator, 1.0 - self.config.average)
            .blend_into(&mut self.discriminator_average);
        scalar(&reported)
    }

    /// Whether all weights of both networks are finite.
    pub fn is_finite(&mut self) -> bool {
        Weights::of(&mut self.discriminator).is_finite()
            && Weights::of(&mut self.generator).is_finite()
    }
}

/// Random streams below this are those of single pictures.
const STEP_STREAM: u64 = 1 << 63;
/// Of the streams of steps, those of their views.
const VIEW_STREAM: u64 = 1 << 62;

/// Pictures in a view, if there is one.
fn seen(view: Option<&View>, pictures: Tensor<4>) -> Tensor<4> {
    match view {
        Some(view) => view.of(pictures),
        None => pictures,
    }
}

fn scalar(tensor: &Tensor<1>) -> f64 {
    f64::from(tensor_values(tensor.clone())[0])
}
