//! When models are asked for counterfactuals, and which.

use epsiloscope::compute::{CounterfactualMethod, Lane, Place, Request};
use epsiloscope::counterfactual::{DescentSettings, GeneratorRef};
use epsiloscope::session::{
    Bottom, Column, CounterfactualTarget, MethodChoice, Row, State, requests,
};

use crate::session::requests::{row, state};

#[test]
fn counterfactuals_are_asked_of_every_model_and_only_while_they_show() {
    let (mut state, mut row) = (state(), row());
    let asked = |state: &State, row: &Row| {
        let mut requests = requests(state, std::slice::from_ref(row));
        match requests.remove(&Lane::Counterfactual(Place::on_screen(0))) {
            Some(Request::Counterfactual(request)) => Some(request),
            _ => None,
        }
    };
    state.settings.display.bottom = Bottom::Counterfactual;
    let request = asked(&state, &row).expect("a question");
    let descent = CounterfactualMethod::Descent(DescentSettings::default());
    assert_eq!(request.method, descent, "there is no generator");
    row.prediction.as_mut().expect("a look").has_generator = true;
    let request = asked(&state, &row).expect("a question");
    assert_eq!(
        request.method,
        CounterfactualMethod::Generator(GeneratorRef::WithModel)
    );
    assert_eq!((request.epsilon, request.target), (0.0, None));
    state.settings.counterfactual.method = MethodChoice::Descent;
    assert_eq!(asked(&state, &row).expect("a question").method, descent);
    state.progress.counterfactual.paused = true;
    assert!(asked(&state, &row).is_none(), "paused");
    state.progress.counterfactual.paused = false;
    // What is none of the classes is no target.
    let class = CounterfactualTarget::Class;
    state.settings.counterfactual.target = Some(class(1));
    assert_eq!(asked(&state, &row).expect("a question").target, Some(1));
    state.settings.counterfactual.target = Some(class(9));
    assert_eq!(asked(&state, &row).expect("a question").target, None);
    state.settings.counterfactual.attacked = true;
    state.settings.attack.epsilon = 0.9;
    assert_eq!(asked(&state, &row).expect("a question").epsilon, 1.0);
    // How it is drawn asks for nothing new.
    let before = asked(&state, &row);
    (
        state.settings.counterfactual.along,
        state.settings.counterfactual.threshold,
    ) = (0.3, Some(0.2));
    assert_eq!(asked(&state, &row), before);
    state.settings.display.bottom = Bottom::Epsilon;
    assert!(asked(&state, &row).is_none(), "nothing of it shows");
    state.settings.display.shown[Column::Change as usize] = true;
    assert!(asked(&state, &row).is_some());
}
