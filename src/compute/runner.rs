//! Requests computed one after the other and waited for, as every command without a window does it: by the
//! window's own scheduler, worker and model cache.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::scheduler::Scheduler;
use super::{
    AttackResult, AttributionRequest, AttributionResult, ComputeMessage, ComputeWorker,
    CounterfactualRequest, CounterfactualResult, DescriptionPreview, Lane, ModelInput, Models,
    PatchRequest, PatchResult, PictureSource, Place, PredictionResult, PreviewRequest, Request,
    SeverityPrediction, SynthesisRequest, SynthesisResult,
};
use crate::attack::Attack;
use crate::attribution::Curves;
use crate::error::{Error, Result};

/// How long to wait for a message before asking again.
const POLL: Duration = Duration::from_millis(50);
/// The row of all requests.
const ROW: Place = Place::on_screen(0);

/// A scheduler whose results are waited for.
pub struct Runner {
    scheduler: Scheduler<ComputeWorker>,
    wake_ups: Receiver<()>,
    models: Models,
}

impl Runner {
    /// Starts a thread that computes with these models; a device alone stands for none yet.
    pub fn new(models: impl Into<Models>) -> Self {
        let models = models.into();
        let (wake_up, wake_ups) = channel();
        let wake = move || {
            // Nobody listens any more while it ends.
            let _ = wake_up.send(());
        };
        let opened = models.clone();
        Self {
            scheduler: Scheduler::spawn(move || ComputeWorker::new(models), wake),
            wake_ups,
            models: opened,
        }
    }

    /// The models that it computes with.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The scheduler, for several requests at once.
    pub fn scheduler(&mut self) -> &mut Scheduler<ComputeWorker> {
        &mut self.scheduler
    }

    /// Waits until there may be a message, for a moment at most.
    pub fn wait(&self) {
        let _ = self.wake_ups.recv_timeout(POLL);
        // One wake-up is enough for all messages.
        while self.wake_ups.try_recv().is_ok() {}
    }

    /// What a model predicts for its input.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn predict(&mut self, input: ModelInput) -> Result<PredictionResult> {
        let request = Request::Predict(input);
        self.last(Lane::Prediction(ROW), request, |message| match message {
            ComputeMessage::Predicted(prediction) => Some(prediction),
            _ => None,
        })
    }

    /// The result of an attack.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn attack(&mut self, input: ModelInput, attack: Attack) -> Result<AttackResult> {
        let request = Request::Attack(input, attack);
        self.last(Lane::Attack(ROW), request, |message| match message {
            ComputeMessage::Attacked(attacked) => Some(attacked),
            _ => None,
        })
    }

    /// The finished attribution, with its deletion and insertion curves.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn explain(
        &mut self,
        request: AttributionRequest,
    ) -> Result<(Arc<AttributionResult>, Curves)> {
        let lane = Lane::Attribution(PictureSource::Input, ROW);
        let explained = self.last(lane, Request::Explain(request), |message| match message {
            ComputeMessage::Explained(explained) => Some(explained),
            _ => None,
        })?;
        let lane = Lane::Curves(PictureSource::Input, ROW);
        let request = Request::Curves(explained.clone());
        let curves = self.last(lane, request, |message| match message {
            ComputeMessage::Checked => explained.curves.get().cloned(),
            _ => None,
        })?;
        Ok((explained, curves))
    }

    /// Predictions over a grid of severities of the input's corruption, by rising severity.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn sweep_severity(&mut self, input: ModelInput) -> Result<Vec<SeverityPrediction>> {
        let mut all = std::cell::RefCell::new(Vec::new());
        let request = Request::SweepSeverity(input);
        self.last(Lane::SeveritySweep(ROW), request, |message| match message {
            ComputeMessage::SeveritySwept(prediction) => {
                all.borrow_mut().push(prediction);
                Some(())
            }
            _ => None,
        })?;
        let mut all = std::mem::take(all.get_mut());
        all.sort_by(|a: &SeverityPrediction, b| a.severity.total_cmp(&b.severity));
        Ok(all)
    }

    /// Predictions under other descriptions of a model's file.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn preview(&mut self, request: PreviewRequest) -> Result<Vec<DescriptionPreview>> {
        let request = Request::PreviewDescriptions(request);
        self.last(
            Lane::DescriptionPreview(ROW),
            request,
            |message| match message {
                ComputeMessage::DescriptionsPreviewed(previews) => Some(previews),
                _ => None,
            },
        )
    }

    /// The best place of a patch.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn search_patch(&mut self, request: PatchRequest) -> Result<PatchResult> {
        let request = Request::SearchPatch(request);
        self.last(Lane::PatchSearch(ROW), request, |message| match message {
            ComputeMessage::PatchSearched(result) => Some(*result),
            _ => None,
        })
    }

    /// The finished counterfactual.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn counterfactual(
        &mut self,
        request: CounterfactualRequest,
    ) -> Result<Arc<CounterfactualResult>> {
        let request = Request::Counterfactual(request);
        self.last(
            Lane::Counterfactual(ROW),
            request,
            |message| match message {
                ComputeMessage::Counterfactual(answer) => Some(answer),
                _ => None,
            },
        )
    }

    /// The finished synthesis; its row does not matter.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong, [`Error::Device`] where the device was lost.
    pub fn synthesize(&mut self, request: SynthesisRequest) -> Result<SynthesisResult> {
        let request = Request::Synthesize {
            until: request.config.iterations,
            request,
            rests: true,
        };
        self.last(Lane::Synthesis(ROW), request, |message| match message {
            ComputeMessage::Synthesized(made) => Some(*made),
            _ => None,
        })
    }

    /// The last of the messages about `request` that `take` takes, once it is finished.
    ///
    /// # Errors
    /// [`Error::Config`] with what went wrong in the computation, [`Error::Device`] where the device was lost.
    fn last<T>(
        &mut self,
        lane: Lane,
        request: Request,
        take: impl Fn(ComputeMessage) -> Option<T>,
    ) -> Result<T> {
        // The same request again is computed again.
        self.scheduler.submit(BTreeMap::new());
        self.scheduler.submit(BTreeMap::from([(lane, request)]));
        let mut last = None;
        loop {
            for (_, message) in self.scheduler.messages() {
                match message {
                    ComputeMessage::Failed(reason) => return Err(Error::Config(reason)),
                    ComputeMessage::DeviceLost(reason) => return Err(Error::Device(reason)),
                    ComputeMessage::OutOfMemory => last = None,
                    message => last = take(message).or(last),
                }
            }
            if self.scheduler.has_finished(&lane) {
                let missing = || Error::Config("the computation ended without a result".into());
                return last.ok_or_else(missing);
            }
            self.wait();
        }
    }
}
