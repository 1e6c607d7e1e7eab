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
        state.settings.display.gain = gain;
        history.observe(&state, 1.0 + number as f64, false);
    }
    let mut seen = Vec::new();
    while history.can_undo() {
        history.undo(&mut state);
        seen.push(state.settings.display.gain);
    }
    assert_eq!(seen, [30.0, 20.0, 10.0]);
    while history.can_redo() {
        history.redo(&mut state);
        seen.push(state.settings.display.gain);
    }
    assert_eq!(seen[3..], [20.0, 30.0, 40.0]);
    history.undo(&mut state);
    state.settings.display.zoom = 2.0;
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
        state.settings.attack.epsilon = f32::from(step) / 100.0;
        history.observe(&state, 1.0 + f64::from(step) / 60.0, true);
    }
    history.observe(&state, 4.0, false);
    let before = state.clone();
    history.undo(&mut state);
    assert_eq!(
        state.settings.attack.epsilon,
        State::default().settings.attack.epsilon
    );
    assert!(!history.can_undo());
    history.redo(&mut state);
    assert_eq!(state.settings.attack, before.settings.attack);
}

#[test]
fn removed_pictures_and_replaced_models_come_back() {
    let (mut state, mut history) = start();
    let removed = state.document.library.remove(1);
    state.navigation.selected = Some(1);
    history.observe(&state, 1.0, false);
    state.use_model(0, "c".into());
    history.observe(&state, 2.0, false);
    history.undo(&mut state);
    assert_eq!(
        state.document.models,
        ["a", "b"].map(epsiloscope::model::ModelRef::from)
    );
    assert_eq!(state.document.library.len(), 2);
    history.undo(&mut state);
    assert_eq!(state.document.library.len(), 3);
    assert_eq!(state.document.library[1], removed);
    assert_eq!(
        state.navigation.selected,
        Some(1),
        "the selection is no setting"
    );
}

#[test]
fn what_comes_and_goes_by_itself_is_no_change() {
    let (mut state, mut history) = start();
    state.navigation.selected = Some(0);
    state.navigation.playhead.until = 7;
    state.progress.synthesis.running = true;
    state.transient.about = Some(1);
    history.observe(&state, 1.0, false);
    history.observe(&state, 2.0, false);
    assert!(!history.can_undo());
    state.settings.display.gain = 50.0;
    history.observe(&state, 3.0, false);
    state.navigation.playhead.until = 9;
    history.undo(&mut state);
    assert_eq!(
        state.navigation.playhead.until, 9,
        "an optimisation goes on"
    );
    assert!(state.progress.synthesis.running);
    // Other settings of it begin it anew, at the same pace.
    let attempt = state.progress.synthesis.attempt;
    state.settings.synthesis.config.step *= 2.0;
    history.observe(&state, 4.0, false);
    history.undo(&mut state);
    assert_eq!(state.navigation.playhead.until, 0);
    assert_ne!(state.progress.synthesis.attempt, attempt);
}

#[test]
fn a_view_brings_everything_back_but_the_library() {
    let (mut state, mut history) = start();
    state.navigation.selected = Some(2);
    state.settings.attack.epsilon = 0.75;
    state.progress.synthesis.done = 40;
    state.navigation.playhead.until = 40;
    state.add_bookmark();
    let prepared = state.clone();
    state.navigation.selected = Some(0);
    state.settings.attack.epsilon = 0.1;
    state.document.models[1] = "c".into();
    state.settings.display.gain = 70.0;
    state.settings.synthesis.config.step *= 2.0;
    state.progress.synthesis.running = true;
    state.document.library.remove(1);
    state.show_bookmark(0);
    assert_eq!(
        state.navigation.selected,
        Some(1),
        "the picture is found by what it is"
    );
    assert_eq!(state.document.library.len(), 2);
    assert_eq!(state.document.models, prepared.document.models);
    assert_eq!(state.settings.attack, prepared.settings.attack);
    assert_eq!(state.settings.display, prepared.settings.display);
    assert_eq!(
        state.settings.synthesis.config,
        prepared.settings.synthesis.config
    );
    assert_eq!(
        (
            state.navigation.playhead.until,
            state.progress.synthesis.running
        ),
        (40, false)
    );
    assert_eq!(state.document.bookmarks.len(), 1);
    history.observe(&state, 1.0, false);
    history.undo(&mut state);
    assert!(
        state.document.bookmarks.is_empty(),
        "adding a view can be undone"
    );
    state.show_bookmark(3);
    assert_eq!(
        state.document.library.len(),
        3,
        "a view that is not there changes nothing"
    );
}
