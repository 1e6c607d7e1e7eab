//! Painting on the open picture: an entry of its own, undo, and what sessions keep of it.

use std::path::PathBuf;

use epsiloscope::data::Picture;
use epsiloscope::session::{self, DrawEvent, Session, State, Tool, UndoHistory};
use image::{Rgb, RgbImage};

use super::edit::{state, stroke};
use super::sessions::snapshot;

#[test]
fn painting_makes_an_entry_of_its_own_and_can_be_undone() {
    let mut state = state();
    let mut history = UndoHistory::new(&state);
    state.transient.editing.radius = 0.1;
    stroke(&mut state, Tool::Paint, &[[5.0, 5.0], [9.0, 5.0]]);
    history.observe(&state, 1.0, false);
    history.observe(&state, 2.0, false);
    assert_eq!(state.document.library.len(), 2);
    assert_eq!(state.navigation.selected, Some(1));
    let colour = state.transient.editing.colour;
    let pixel = |state: &State, x: u32, y: u32| {
        let entry = state.entry().expect("a picture");
        entry.picture.pixels.get_pixel(x, y).0
    };
    assert_eq!(pixel(&state, 7, 5), colour);
    assert_eq!(
        state.document.library[0].picture.pixels.get_pixel(7, 5).0,
        [20, 40, 200]
    );
    assert_eq!(
        state
            .entry()
            .and_then(|entry| entry.truth.clone())
            .as_deref(),
        Some("bird")
    );
    // The next strokes paint on the same entry.
    stroke(&mut state, Tool::Erase, &[[15.0, 10.0]]);
    assert_eq!(state.document.library.len(), 2);
    let mean = pixel(&state, 15, 10);
    assert!(mean[0] > 20 && mean[0] < 60 && mean[2] > 150, "{mean:?}");
    stroke(&mut state, Tool::Restore, &[[15.0, 10.0]]);
    assert_eq!(pixel(&state, 15, 10), [220, 20, 30]);
    state.draw(DrawEvent::Release);
    state.transient.editing.tool = Some(Tool::Clone);
    state.draw(DrawEvent::Source([15.0, 10.0]));
    stroke(&mut state, Tool::Clone, &[[32.0, 22.0]]);
    assert_eq!(pixel(&state, 32, 22), [220, 20, 30]);
    stroke(&mut state, Tool::Blur, &[[20.0, 10.0]]);
    let blurred = pixel(&state, 20, 10);
    assert!(blurred[0] > 20 && blurred[0] < 220, "{blurred:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("painted.epsiloscope");
    session::write(&Session::of(&snapshot(&state)), &file).expect("a session");
    let mut opened = session::open(&file).expect("the session").state;
    assert_eq!(pixel(&opened, 32, 22), [220, 20, 30]);
    opened.transient.editing.radius = 0.1;
    stroke(&mut opened, Tool::Restore, &[[32.0, 22.0]]);
    assert_eq!(
        pixel(&opened, 32, 22),
        [20, 40, 200],
        "it knows what was there"
    );

    history.observe(&state, 3.0, false);
    history.observe(&state, 4.0, false);
    history.undo(&mut state);
    assert_eq!(pixel(&state, 32, 22), [20, 40, 200]);
    history.undo(&mut state);
    assert_eq!(state.document.library.len(), 1);
}

#[test]
fn undoing_a_painting_comes_back_to_its_original() {
    let mut state = state();
    for name in ["second.png", "third.png"] {
        let pixels = RgbImage::from_pixel(8, 8, Rgb([7, 7, 7]));
        state.add(
            Picture::from_image(PathBuf::from(name), pixels.into()),
            None,
        );
    }
    state.navigation.selected = Some(0);
    let mut history = UndoHistory::new(&state);
    stroke(&mut state, Tool::Paint, &[[5.0, 5.0]]);
    assert_eq!(
        state.navigation.selected,
        Some(3),
        "at the end: no other picture moves"
    );
    history.observe(&state, 1.0, false);
    history.observe(&state, 2.0, false);
    history.undo(&mut state);
    assert_eq!(state.navigation.selected, Some(0));
    // Without a source there is nothing to clone, and nothing to restore without an original.
    stroke(&mut state, Tool::Clone, &[[5.0, 5.0]]);
    stroke(&mut state, Tool::Restore, &[[5.0, 5.0]]);
    assert_eq!(state.document.library.len(), 3);
}
