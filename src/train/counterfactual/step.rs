//! Optimiser steps of the discriminator and the generator of a counterfactual training.

use burn::tensor::{Device, FloatDType, Tensor};
use rand::RngExt;

use super::config::{CounterfactualConfig, Rates};
use super::losses::{cross_entropy, distance, identity, labels_of_generated, total_variation};
use crate::counterfactual::{FAKE, Generator, one_hot, translate};
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

/// Values of the loss terms of one step, unweighted; 0 where a term was not computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LossTerms {
    /// Discriminator: cross-entropy of real pictures to their classes.
    pub discriminator_real: f64,
    /// Discriminator: cross-entropy of generated pictures to “fake”.
    pub discriminator_fake: f64,
    /// Generator: cross-entropy of the discriminator's output to the target classes.
    pub fool: f64,
    /// Generator: cycle-consistency loss.
    pub cycle: f64,
    /// Generator: identity loss.
    pub identity: f64,
    /// Generator: mean |x − G(x)|.
    pub sparsity: f64,
    /// Generator: total variation of the change.
    pub total_variation: f64,
    /// Generator: cross-entropy of its classification head.
    pub head: f64,
}

impl LossTerms {
    /// The values in the order of the fields.
    pub fn values(&self) -> [f64; 8] {
        [
            self.discriminator_real,
            self.discriminator_fake,
            self.fool,
            self.cycle,
            self.identity,
            self.sparsity,
            self.total_variation,
            self.head,
        ]
    }

    /// Whether all values are finite.
    pub fn is_finite(&self) -> bool {
        self.values().iter().all(|value| value.is_finite())
    }

    /// Adds the values of another step.
    pub fn add(&mut self, other: &Self) {
        let Self {
            discriminator_real,
            discriminator_fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
        } = self;
        let sums = [
            discriminator_real,
            discriminator_fake,
            fool,
            cycle,
            identity,
            sparsity,
            total_variation,
            head,
        ];
        for (sum, value) in sums.into_iter().zip(other.values()) {
            *sum += value;
        }
    }
}

/// The state of a counterfactual training: both networks, their moving averages and their optimisers.
pub struct CounterfactualTraining {
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
    /// Starts a training from random weights.
    ///
    /// # Errors
    /// As [`CounterfactualConfig::validate`].
    pub fn new(config: &CounterfactualConfig, classes: &[String], device: &Device) -> Result<Self> {
        config.validate()?;
        let architecture = config.discriminator_for(classes.len());
        architecture.validate()?;
        let shape = config.generator_for(classes.len());
        let generator = init::random_unet(&shape, config.seed, device);
        let discriminator = init::random(&architecture, config.seed, device);
        let labels = classes.iter().cloned().chain([FAKE.to_owned()]).collect();
        Ok(Self {
            config: config.clone(),
            discriminator_average: discriminator.clone(),
            discriminator,
            generator_average: generator.clone(),
            generator,
            manifest: Manifest {
                name: config.name.clone(),
                architecture: architecture.into(),
                input: config.input,
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

    /// A frozen copy of the averaged generator.
    pub fn frozen_generator(&self) -> Generator {
        let generator = self.generator_average.clone();
        Generator::freeze(generator, self.config.normalizer, &self.device)
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

    /// One optimiser step of the discriminator on real pictures only.
    pub fn warm_up(&mut self, batch: &Batch, rate: f64) -> LossTerms {
        let real = one_hot(&batch.classes, self.classes() + 1, &self.device);
        let discriminator_real =
            self.update_discriminator(batch.pictures.clone(), rate, |logits| {
                let loss = cross_entropy(logits, real);
                (loss.clone(), loss)
            });
        LossTerms {
            discriminator_real,
            ..LossTerms::default()
        }
    }

    /// One optimiser step of both networks, the discriminator's first; `number` is the step's index in the
    /// whole training. Without a learning rate the discriminator is frozen, and its moving average is used.
    pub fn step(&mut self, batch: &Batch, rates: Rates, number: u64) -> LossTerms {
        let count = self.classes();
        let (sources, targets) = (&batch.classes, self.targets(&batch.classes, number));
        let x = batch.pictures.clone();
        let condition = one_hot(&targets, count, &self.device);
        let back = one_hot(sources, count, &self.device);
        let mut generator = require_gradients(&self.generator);
        let (normalizer, mixed, weights) = (
            self.config.normalizer,
            self.config.mixed,
            self.config.weights,
        );
        let made = translate(&generator, &normalizer, x.clone(), &condition, mixed);

        let ([discriminator_real, discriminator_fake], discriminator) = match rates.discriminator {
            Some(rate) => {
                let made = made.picture.clone().inner();
                let terms = self.discriminator_step(&x, made, sources, &targets, rate);
                (terms, &self.discriminator)
            }
            None => ([0.0; 2], &self.discriminator_average),
        };
        let discriminator = discriminator.clone().fold();
        let pixels = normalizer.apply_in(made.picture.clone(), mixed);
        let features = discriminator.features(pixels, FeatureLayer::LAST);
        let seen = discriminator.logits(discriminator.embed(features).cast(FloatDType::F32));
        let fool = cross_entropy(seen, one_hot(&targets, count + 1, &self.device));
        let returned = translate(&generator, &normalizer, made.picture.clone(), &back, mixed);
        let cycle = distance(returned.picture, x.clone());
        let change = made.picture - x;
        let same = targets
            .iter()
            .zip(sources)
            .map(|(target, source)| target == source);
        let same: Vec<f32> = same.map(|same| f32::from(u8::from(same))).collect();
        let identity = identity(change.clone(), Tensor::from_floats(&same[..], &self.device));
        let sparsity = change.clone().abs().mean();
        let total_variation = total_variation(change);
        let head = cross_entropy(made.head, back);
        let terms = LossTerms {
            discriminator_real,
            discriminator_fake,
            fool: scalar(&fool),
            cycle: scalar(&cycle),
            identity: scalar(&identity),
            sparsity: scalar(&sparsity),
            total_variation: scalar(&total_variation),
            head: scalar(&head),
        };
        let loss = fool * weights.fool
            + cycle * weights.cycle
            + identity * weights.identity
            + sparsity * weights.sparsity
            + total_variation * weights.total_variation
            + head * weights.head;
        let gradients = take_gradients(&mut generator, &mut loss.backward());
        self.generator_adam
            .step(&mut self.generator, gradients, rates.generator);
        WeightAverage::of(&mut self.generator, 1.0 - self.config.average)
            .blend_into(&mut self.generator_average);
        terms
    }

    /// One optimiser step of the discriminator on real and generated pictures; returns the values of both
    /// terms.
    ///
    /// Pictures whose target class is their own are no fakes: they hardly differ from the real ones.
    fn discriminator_step(
        &mut self,
        x: &Tensor<4>,
        made: Tensor<4>,
        sources: &[usize],
        targets: &[usize],
        rate: f64,
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
        let discriminator_real = self.update_discriminator(both, rate, |logits| {
            let real = cross_entropy(logits.clone().narrow(0, 0, n), real);
            let fake = cross_entropy(logits.narrow(0, n, n), label);
            discriminator_fake = scalar(&fake);
            (real.clone() + fake * weight, real)
        });
        [discriminator_real, discriminator_fake]
    }

    /// Random target classes: any other class than the picture's, or with probability `same_share` its own.
    fn targets(&self, sources: &[usize], number: u64) -> Vec<usize> {
        // Random streams below 2^63 are those of single pictures.
        let mut rng = noise_rng(self.config.seed, (1 << 63) | number);
        let count = self.classes();
        let target = |&source: &usize| {
            if rng.random::<f64>() < self.config.same_share {
                source
            } else {
                (source + rng.random_range(1..count)) % count
            }
        };
        sources.iter().map(target).collect()
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

fn scalar(tensor: &Tensor<1>) -> f64 {
    f64::from(tensor_values(tensor.clone())[0])
}
