//! The requests that follow from the state. Pure functions.

use std::collections::BTreeMap;
use std::path::Path;

use super::results::Row;
use super::state::State;
use super::{Bottom, LibraryEntry, counterfactual_request, synthesis};
use crate::attack::Attack;
use crate::attribution::{Background, Method};
use crate::compute::{
    AttributionRequest, BACKGROUND_MOST, Lane, MOST_LABELLED, ModelInput, PictureSource, Place,
    PreviewRequest, Request, RobustnessRequest, thinned,
};
use crate::data::{Corruption, Crop, Picture};
use crate::evaluate::top_two;

/// The requests for what is on the screen, given the results so far.
pub fn requests(state: &State, rows: &[Row]) -> BTreeMap<Lane, Request> {
    let mut requests = BTreeMap::new();
    if let Some(order) = state
        .progress
        .scan
        .request
        .as_ref()
        .filter(|_| !state.progress.scan.paused)
    {
        requests.insert(Lane::Scan, Request::Scan(order.clone()));
    }
    let Some(entry) = state.entry() else {
        return requests;
    };
    for (row, model) in state.document.models.iter().enumerate() {
        let place = Place::on_screen(row);
        if !state.settings.display.shows_row(row) {
            continue;
        }
        let subject = ModelInput {
            model: model.clone(),
            picture: entry.picture.clone(),
            crop: entry.crop,
            truth: entry.truth.clone(),
            corruption: state.settings.corruption,
            attack_mask: None,
        };
        let attacked = ModelInput {
            attack_mask: entry.attack_mask.clone(),
            ..subject.clone()
        };
        // The sweep is the same for every ε.
        let sweep = Attack {
            epsilon: 0.0,
            ..state.settings.attack.clone()
        };
        if state.settings.display.bottom == Bottom::Corruption {
            // The sweep is the same for every severity.
            let corruption = Corruption {
                severity: 0.0,
                ..subject.corruption
            };
            let request = Request::SweepSeverity(ModelInput {
                corruption,
                ..subject.clone()
            });
            requests.insert(Lane::SeveritySweep(place), request);
        }
        requests.insert(Lane::Prediction(place), Request::Predict(subject));
        requests.insert(
            Lane::Attack(place),
            Request::Attack(attacked.clone(), state.settings.attack.clone()),
        );
        requests.insert(
            Lane::Sweep(place),
            Request::Sweep(attacked, sweep, state.range()),
        );
    }
    for (index, row) in shown(state, rows) {
        let place = Place::on_screen(index);
        if state.transient.about == Some(index)
            && let Some(Request::Predict(subject)) = requests.get(&Lane::Prediction(place))
        {
            let request = Request::PreviewDescriptions(PreviewRequest {
                input: subject.clone(),
                labelled: labelled(&state.document.library),
            });
            requests.insert(Lane::DescriptionPreview(place), request);
        }
        if let (Some(check), Some(Request::Attack(input, _))) =
            (state.robustness_check(), requests.get(&Lane::Attack(place)))
        {
            let request = Request::CheckRobustness(RobustnessRequest {
                input: input.clone(),
                attack: check.attack.clone(),
            });
            requests.insert(Lane::Robustness(place), request);
        }
        if let Some(search) = state.patch_search().filter(|search| search.row == index) {
            let request = Request::SearchPatch(search.request.clone());
            requests.insert(Lane::PatchSearch(place), request);
        }
        for which in state.settings.display.maps() {
            add_map_requests(state, index, row, which, &mut requests);
        }
        let request = counterfactual_request(state, rows, index);
        if let Some(request) = request.filter(|_| !state.progress.counterfactual.paused) {
            let request = Request::Counterfactual(request);
            requests.insert(Lane::Counterfactual(place), request);
        }
        synthesis::add_requests(state, index, row, &mut requests);
    }
    requests
}

/// The pictures of the library whose class is known or may be the name of their folder, evenly spread where they are
/// many.
fn labelled(library: &[LibraryEntry]) -> Vec<(Picture, Crop, String)> {
    let known = library.iter().filter_map(|entry| {
        let folder = entry.picture.path.parent().and_then(Path::file_name);
        let folder = folder.map(|name| name.to_string_lossy().into_owned());
        let class = entry.truth.clone().or(folder)?;
        Some((entry.picture.clone(), entry.crop, class))
    });
    let known: Vec<_> = known.collect();
    thinned(&known, MOST_LABELLED)
        .into_iter()
        .cloned()
        .collect()
}

/// The rows on the screen with their places.
fn shown<'a>(state: &'a State, rows: &'a [Row]) -> impl Iterator<Item = (usize, &'a Row)> {
    let rows = rows.iter().enumerate();
    rows.filter(|(index, _)| state.settings.display.shows_row(*index))
}

fn add_map_requests(
    state: &State,
    index: usize,
    row: &Row,
    which: PictureSource,
    requests: &mut BTreeMap<Lane, Request>,
) {
    let Some(request) = attribution_request(state, index, row, which) else {
        return;
    };
    let place = Place::on_screen(index);
    if let Some(map) = row.finished_map(which, &request) {
        if state.settings.checks.curves && map.curves.get().is_none() {
            let request = Request::Curves(map.clone());
            requests.insert(Lane::Curves(which, place), request);
        }
        if state.settings.checks.sanity && map.sanity.get().is_none() {
            let request = Request::Sanity(map.clone());
            requests.insert(Lane::Sanity(which, place), request);
        }
    }
    requests.insert(Lane::Attribution(which, place), Request::Explain(request));
}

/// What is to be explained: the picture that is on the screen, so while ε is dragged the map follows
/// the nearest finished attack.
pub fn attribution_request(
    state: &State,
    index: usize,
    row: &Row,
    which: PictureSource,
) -> Option<AttributionRequest> {
    let prediction = row.prediction.as_ref()?;
    let (picture, probabilities, epsilon) = match which {
        PictureSource::Input => (&prediction.input, &prediction.probabilities, 0.0),
        PictureSource::Attacked => {
            let attacked = row.nearest(state.settings.attack.epsilon)?.attacked;
            (&attacked.picture, &attacked.probabilities, attacked.epsilon)
        }
    };
    let from_library = match &state.settings.explanation.method {
        Method::ExpectedGradients(config) => config.background == Background::Library,
        _ => false,
    };
    let library = if from_library {
        thinned(&state.document.library, BACKGROUND_MOST)
    } else {
        Vec::new()
    };
    Some(AttributionRequest {
        model: state.document.models.get(index)?.clone(),
        picture: picture.clone(),
        likeliest: top_two(probabilities),
        label: prediction.label,
        epsilon,
        explanation: state.settings.explanation.clone(),
        reference: state.document.reference.clone(),
        background: library
            .into_iter()
            .map(|entry| entry.picture.clone())
            .collect(),
    })
}

/// Whether every attack and every map that the window wants is there.
pub fn complete(state: &State, rows: &[Row]) -> bool {
    let has = |index: usize, row: &Row, which: PictureSource| {
        let request = attribution_request(state, index, row, which);
        request.is_some_and(|request| row.finished_map(which, &request).is_some())
    };
    let maps = state.settings.display.maps();
    let answered = |index: usize, row: &Row| {
        let asked = counterfactual_request(state, rows, index);
        let answer = row.counterfactual.as_ref();
        let answer = answer.filter(|answer| answer.finished());
        asked.is_none() || asked.as_ref() == answer.map(|answer| &answer.request)
    };
    shown(state, rows).all(|(index, row)| {
        let mapped = maps.iter().all(|&which| has(index, row, which));
        row.attacked.is_some() && mapped && answered(index, row)
    })
}

/// Where the colours of all maps on the screen end, if they share a scale: at the largest.
pub fn shared_scale(state: &State, rows: &[Row]) -> Option<f32> {
    let style = &state.settings.display.heat;
    let shown = state.settings.display.maps().into_iter();
    let maps = shown.flat_map(|which| {
        rows.iter()
            .map(move |row| &row.attributions[which as usize])
    });
    // Values of another method are in another unit.
    let current = maps
        .flatten()
        .filter(|map| map.request.explanation == state.settings.explanation);
    let scales = current.map(|map| map.heat.scale(style));
    style.locked.then(|| scales.fold(0.0, f32::max))
}
