//! The results that a figure needs: one set of rows for each picture and ε.

use crate::error::{Error, Result};
use crate::export::headless::Headless;
use crate::session::{Figure, Row, State, complete};
use crate::tasks::TaskProgress;

/// What all models found for one picture at one ε.
#[derive(Clone)]
pub struct Shot {
    /// The state that it was found for.
    pub state: State,
    /// One a model.
    pub rows: Vec<Row>,
}

/// Computes what the figure needs: for each picture, for each ε.
///
/// # Errors
/// As [`Headless::settle`]; [`Error::Config`] when a picture is not there.
pub fn shots(
    figure: &Figure,
    state: &State,
    engine: &mut Headless,
    watch: &mut TaskProgress,
) -> Result<Vec<Shot>> {
    figure.validate()?;
    let base = figure.requests(state);
    let places = places(figure, state);
    let mut shots = Vec::new();
    for (done, &(picture, epsilon)) in places.iter().enumerate() {
        let mut state = at(&base, picture, epsilon);
        if state.entry().is_none() {
            let reason = format!(
                "the figure shows picture {}, which is not there",
                picture + 1
            );
            return Err(Error::Config(reason));
        }
        let part = [done, done + 1].map(|place| place as f32 / places.len() as f32);
        let work = |watch: &mut TaskProgress| engine.settle(&mut state, figure.curves, watch);
        let rows = watch.part(part, work)?;
        // The synthesis stays as it is, for the next ε too.
        shots.push(Shot { state, rows });
    }
    if shots.is_empty() {
        return Err(Error::Config("there is no picture to show".into()));
    }
    Ok(shots)
}

/// The same out of what the window has, if nothing is left to compute.
pub fn on_screen(figure: &Figure, state: &State, rows: &[Row]) -> Option<Vec<Shot>> {
    let base = figure.requests(state);
    let &[(picture, epsilon)] = places(figure, state).as_slice() else {
        return None;
    };
    let exact = |(index, row): (usize, &Row)| {
        let attacked = row.nearest(epsilon).is_some_and(|shown| shown.exact);
        attacked || !base.settings.display.shows_row(index)
    };
    let there =
        Some(picture) == state.navigation.selected && epsilon == state.settings.attack.epsilon;
    let done = complete(&base, rows) && rows.iter().enumerate().all(exact);
    let rests = !state.progress.synthesis.running && !state.progress.synthesis.working;
    (there && done && rests).then(|| {
        vec![Shot {
            state: base,
            rows: rows.to_vec(),
        }]
    })
}

/// Pictures and ε, ε running first.
fn places(figure: &Figure, state: &State) -> Vec<(usize, f32)> {
    let epsilons = figure.epsilons(state);
    let pictures = figure.pictures(state).into_iter();
    pictures
        .flat_map(|picture| epsilons.iter().map(move |&epsilon| (picture, epsilon)))
        .collect()
}

fn at(base: &State, picture: usize, epsilon: f32) -> State {
    let mut state = base.clone();
    state.navigation.selected = (picture < state.document.library.len()).then_some(picture);
    state.settings.attack.epsilon = epsilon;
    state
}
