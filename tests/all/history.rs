//! Undo and redo.

use epsiloscope::data::samples;
use epsiloscope::session::{State, UndoHistory};

fn start() -> (State, UndoHistory) {
    let mut state = State::new(vec!["a".into(), "b".into()]);
    for (picture, truth) in samples::all().into_iter().take(3) {
        state.add(picture, truth);
    }
    let history = UndoHistory::new(&state);
    (state, history)
}

#[test]
fn changes_are_undone_one_by_one_and_redone() {
    let (mut state, mut history) = start();
    assert!(!history.can_undo());
    for (number, gain) in [20.0, 30.0, 40.0].into_iter().enumerate() {
        state.display.gain = gain;
        history.observe(&state, 1.0 + number as f64, false);
    }
    let mut seen = Vec::new();
    while history.can_undo() {
        history.undo(&mut state);
        seen.push(state.display.gain);
    }
    assert_eq!(seen, [30.0, 20.0, 10.0]);
    while history.can_redo() {
        history.redo(&mut state);
        seen.push(state.display.gain);
    }
    assert_eq!(seen[3..], [20.0, 30.0, 40.0]);
    history.undo(&mut state);
    state.display.zoom = 2.0;
    history.observe(&state, 9.0, false);
    assert!(
        !history.can_redo(),
        "a new change ends what could be redone"
    );
}

#[test]
fn a_drag_is_one_change() {
    let (mut state, mut history) = start();
    for step in 0_u8..100 {
        state.attack.epsilon = f32::from(step) / 100.0;
        history.observe(&state, 1.0 + f64::from(step) / 60.0, true);
    }
    history.observe(&state, 4.0, false);
    let before = state.clone();
    history.undo(&mut state);
    assert_eq!(state.attack.epsilon, State::default().attack.epsilon);
    assert!(!history.can_undo());
    history.redo(&mut state);
    assert_eq!(state.attack, before.attack);
}

#[test]
fn removed_pictures_and_replaced_models_come_back() {
    let (mut state, mut history) = start();
    let removed = state.library.remove(1);
    state.selected = Some(1);
    history.observe(&state, 1.0, false);
    state.use_model(0, "c".into());
    history.observe(&state, 2.0, false);
    history.undo(&mut state);
    assert_eq!(
        state.models,
        ["a", "b"].map(epsiloscope::model::ModelRef::from)
    );
    assert_eq!(state.library.len(), 2);
    history.undo(&mut state);
    assert_eq!(state.library.len(), 3);
    assert_eq!(state.library[1], removed);
    assert_eq!(state.selected, Some(1), "the selection is no setting");
}

#[test]
fn what_comes_and_goes_by_itself_is_no_change() {
    let (mut state, mut history) = start();
    state.selected = Some(0);
    state.synthesis.until = 7;
    state.synthesis.running = true;
    state.about = Some(1);
    history.observe(&state, 1.0, false);
    history.observe(&state, 2.0, false);
    assert!(!history.can_undo());
    state.display.gain = 50.0;
    history.observe(&state, 3.0, false);
    state.synthesis.until = 9;
    history.undo(&mut state);
    assert_eq!(state.synthesis.until, 9, "an optimisation goes on");
    assert!(state.synthesis.running);
    // Other settings of it begin it anew, at the same pace.
    let attempt = state.synthesis.attempt;
    state.synthesis.config.step *= 2.0;
    history.observe(&state, 4.0, false);
    history.undo(&mut state);
    assert_eq!(state.synthesis.until, 0);
    assert_ne!(state.synthesis.attempt, attempt);
}

#[test]
fn a_view_brings_everything_back_but_the_library() {
    let (mut state, mut history) = start();
    state.selected = Some(2);
    state.attack.epsilon = 0.75;
    state.synthesis.done = 40;
    state.synthesis.until = 40;
    state.add_view();
    let prepared = state.clone();
    state.selected = Some(0);
    state.attack.epsilon = 0.1;
    state.models[1] = "c".into();
    state.display.gain = 70.0;
    state.synthesis.config.step *= 2.0;
    state.synthesis.running = true;
    state.library.remove(1);
    state.show_view(0);
    assert_eq!(
        state.selected,
        Some(1),
        "the picture is found by what it is"
    );
    assert_eq!(state.library.len(), 2);
    assert_eq!(state.models, prepared.models);
    assert_eq!(state.attack, prepared.attack);
    assert_eq!(state.display, prepared.display);
    assert_eq!(state.synthesis.config, prepared.synthesis.config);
    assert_eq!(
        (state.synthesis.until, state.synthesis.running),
        (40, false)
    );
    assert_eq!(state.views.len(), 1);
    history.observe(&state, 1.0, false);
    history.undo(&mut state);
    assert!(state.views.is_empty(), "adding a view can be undone");
    state.show_view(3);
    assert_eq!(
        state.library.len(),
        3,
        "a view that is not there changes nothing"
    );
}
