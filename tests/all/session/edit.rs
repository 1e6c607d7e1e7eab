//! Drawing on the open picture: masks of attacks, patches, and what sessions keep of them.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use epsiloscope::attack::patch::PatchShape;
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::compute::{Lane, ModelInput, PatchResult, Place, Request, Runner};
use epsiloscope::data::{Crop, Picture};
use epsiloscope::session::{self, DrawEvent, Session, State, Tool, open_attack_mask, requests};
use image::{Rgb, RgbImage};

use super::sessions::snapshot;
use crate::support::message;

/// A picture of 40×30 pixels: a red square on blue.
pub(super) fn state() -> State {
    let pixels = RgbImage::from_fn(40, 30, |x, y| {
        let inside = (10..20).contains(&x) && (5..15).contains(&y);
        Rgb(if inside { [220, 20, 30] } else { [20, 40, 200] })
    });
    let mut state = State::new(vec!["cifar10-standard".into()]);
    let picture = Picture::from_image(PathBuf::from("square.png"), pixels.into());
    state.add(picture, Some("bird".into()));
    state
}

pub(super) fn stroke(state: &mut State, tool: Tool, points: &[[f32; 2]]) {
    state.transient.editing.tool = Some(tool);
    state.draw(DrawEvent::Press(points[0]));
    for &point in &points[1..] {
        state.draw(DrawEvent::Move(point));
    }
    state.draw(DrawEvent::Release);
}

fn inside(state: &State) -> usize {
    let mask = state.entry().and_then(|entry| entry.attack_mask.as_ref());
    mask.map_or(0, |mask| {
        mask.pixels
            .pixels()
            .filter(|pixel| pixel.0[0] > 127)
            .count()
    })
}

#[test]
fn tools_draw_the_mask_of_attacks() {
    let mut state = state();
    // A shape follows the pointer: only its last outline counts.
    stroke(
        &mut state,
        Tool::MaskRectangle,
        &[[2.0, 2.0], [39.0, 29.0], [12.0, 7.0]],
    );
    assert_eq!(inside(&state), 10 * 5);
    // The square's colour, which reaches beyond the rectangle.
    stroke(&mut state, Tool::MaskFlood, &[[15.0, 10.0]]);
    assert_eq!(inside(&state), 50 + 100 - 2 * 2);
    state.transient.editing.removes = true;
    stroke(&mut state, Tool::MaskRectangle, &[[0.0, 0.0], [40.0, 15.0]]);
    assert_eq!(inside(&state), 0, "nothing is left, so there is no mask");
    assert!(
        state
            .entry()
            .is_some_and(|entry| entry.attack_mask.is_none())
    );
    // Taken away from the whole picture.
    stroke(&mut state, Tool::MaskEllipse, &[[0.0, 0.0], [10.0, 10.0]]);
    let outside = 40 * 30 - inside(&state);
    assert!((70..90).contains(&outside), "{outside}");
    state.invert_attack_mask();
    assert_eq!(inside(&state), outside);
    assert!((state.attack_mask_share().expect("a mask") - outside as f32 / 1200.0).abs() < 1e-6);
    state.clear_attack_mask();
    assert_eq!(state.attack_mask_share(), None);
    // A drag of the brush covers what lies between its points.
    (
        state.transient.editing.removes,
        state.transient.editing.radius,
    ) = (false, 0.1);
    stroke(&mut state, Tool::MaskBrush, &[[5.0, 15.0], [35.0, 15.0]]);
    assert!(inside(&state) > 30 * 5, "{}", inside(&state));
    // Without a tool, and outside the picture, nothing happens.
    let before = state.revision();
    stroke(
        &mut state,
        Tool::MaskRectangle,
        &[[-50.0, -50.0], [-10.0, f32::NAN]],
    );
    state.transient.editing.tool = None;
    state.draw(DrawEvent::Press([3.0, 3.0]));
    assert_eq!(inside(&state), {
        let entry = before.document.library[0]
            .attack_mask
            .as_ref()
            .expect("a mask");
        entry
            .pixels
            .pixels()
            .filter(|pixel| pixel.0[0] > 127)
            .count()
    });
}

#[test]
fn bookmarks_keep_the_mask_and_the_crop() {
    let mut state = state();
    let crop = Crop {
        scale: 0.5,
        ..Crop::default()
    };
    stroke(&mut state, Tool::MaskRectangle, &[[2.0, 2.0], [12.0, 7.0]]);
    state.entry_mut().expect("a picture").crop = crop;
    state.add_bookmark();
    state.clear_attack_mask();
    state.entry_mut().expect("a picture").crop = Crop::default();
    state.add_bookmark();
    // Through a file and back.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("views.json");
    session::write(&Session::of(&snapshot(&state)), &path).expect("a file");
    let mut opened = session::open(&path).expect("a session");
    assert!(opened.problems.is_empty());
    let state = &mut opened.state;
    state.show_bookmark(0);
    assert_eq!(
        (inside(state), state.entry().expect("a picture").crop),
        (50, crop)
    );
    state.show_bookmark(1);
    assert_eq!(inside(state), 0);
    assert_eq!(state.entry().expect("a picture").crop, Crop::default());
    // Files that did not keep them leave the picture as it is; a mask of another size is left out and told.
    let text = std::fs::read_to_string(&path).expect("text");
    let mut file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let views = file["bookmarks"].as_array_mut().expect("bookmarks");
    views[1].as_object_mut().expect("a view").remove("framing");
    let small = RgbImage::from_pixel(3, 3, Rgb([255; 3]));
    let small = Picture::from_image(PathBuf::from("small.png"), small.into());
    let png = &mut views[0]["framing"]["attack_mask"]["png"];
    *png = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, small.png()).into();
    std::fs::write(&path, file.to_string()).expect("a file");
    let mut opened = session::open(&path).expect("a session");
    assert!(!opened.problems.is_empty());
    let state = &mut opened.state;
    state.show_bookmark(0);
    assert_eq!(
        (inside(state), state.entry().expect("a picture").crop),
        (0, crop)
    );
    state.show_bookmark(1);
    assert_eq!(state.entry().expect("a picture").crop, crop);
}

#[test]
fn a_true_mask_is_the_object_or_the_background() {
    let mut state = state();
    assert!(message(state.use_true_mask(false)).contains("no true mask"));
    let mut mask = RgbImage::new(40, 30);
    (0..10).for_each(|x| mask.put_pixel(x, 3, Rgb([255; 3])));
    let mask = Picture::from_image(PathBuf::from("true.png"), mask.into());
    state.entry_mut().expect("a picture").mask = Some(mask);
    state.use_true_mask(false).expect("ten pixels");
    assert_eq!(inside(&state), 10);
    state.use_true_mask(true).expect("all but ten");
    assert_eq!(inside(&state), 1190);
}

#[test]
fn masks_of_files_are_resized_or_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = state();
    let picture = &state.entry().expect("a picture").picture;
    let written = |name: &str, size: [u32; 2], value: u8| {
        let path = folder.path().join(name);
        let mut image = RgbImage::new(size[0], size[1]);
        for x in 0..size[0] / 2 {
            (0..size[1]).for_each(|y| image.put_pixel(x, y, Rgb([value; 3])));
        }
        image.save(&path).expect("a file");
        path
    };
    let opened = |path: &Path| open_attack_mask(path, picture);
    let (same, told) = opened(&written("same.png", [40, 30], 255)).expect("it fits");
    assert!(told.is_none() && same.path.ends_with("same.png"));
    let (double, told) = opened(&written("double.png", [80, 60], 255)).expect("it is resized");
    assert!(told.is_some_and(|told| told.contains("80×60") && told.contains("40×30")));
    assert_eq!(double.pixels, same.pixels);
    assert!(message(opened(&written("square.png", [40, 40], 255))).contains("40×40"));
    assert!(message(opened(&written("empty.png", [40, 30], 90))).contains("white"));
    assert!(message(opened(&written("wide.png", [33_000, 1], 255))).contains("wide.png"));
    let none = folder.path().join("none.png");
    std::fs::write(&none, b"no picture").expect("a file");
    assert!(message(opened(&none)).contains("none.png"));
}

#[test]
fn a_drawn_mask_is_kept_in_sessions_and_gives_the_same_figure_without_a_window() {
    let mut state = state();
    state.settings.attack = Attack::pgd(Norm::Linf, 0.1, 3);
    let attacked = |state: &State| {
        let requests = requests(state, &[]);
        let Some(Request::Attack(input, attack)) = requests.get(&Lane::Attack(Place::on_screen(0)))
        else {
            panic!("the window attacks the open picture");
        };
        let mut runner = Runner::new(Device::flex());
        runner
            .attack(input.clone(), attack.clone())
            .expect("an attack")
    };
    let whole = attacked(&state);
    stroke(&mut state, Tool::MaskRectangle, &[[8.0, 3.0], [22.0, 17.0]]);
    let masked = attacked(&state);
    assert!(masked.l2 < whole.l2 && masked.l2 > 0.0);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("masked.epsiloscope");
    session::write(&Session::of(&snapshot(&state)), &file).expect("a session");
    let opened = session::open(&file).expect("the session");
    assert!(opened.problems.is_empty());
    let again = attacked(&opened.state);
    assert_eq!(again.picture.planes(), masked.picture.planes());
    assert_eq!(again.probabilities, masked.probabilities);
    // The prediction of the picture is not asked for anew.
    let prediction =
        |state: &State| requests(state, &[]).remove(&Lane::Prediction(Place::on_screen(0)));
    let before = prediction(&state);
    state.clear_attack_mask();
    assert!(before == prediction(&state));
}

#[test]
fn a_mask_that_the_models_see_nothing_of_is_said() {
    let mut state = state();
    stroke(&mut state, Tool::MaskRectangle, &[[0.0, 0.0], [3.0, 30.0]]);
    let entry = state.entry().expect("a picture");
    // The models see a square in the middle.
    let input = ModelInput {
        attack_mask: entry.attack_mask.clone(),
        ..ModelInput::new(&"cifar10-standard".into(), &entry.picture, None)
    };
    let mut runner = Runner::new(Device::flex());
    let refused = runner.attack(input, Attack::pgd(Norm::L2, 0.5, 1));
    assert!(message(refused).contains("no pixel"));
}

#[test]
fn patches_are_placed_moved_and_put_where_a_search_found_them() {
    let mut state = state();
    state.transient.editing.patch_side = 0.2;
    state.place_patch([32, 32]);
    let attack = &state.settings.attack;
    assert_eq!((attack.norm, attack.epsilon), (Norm::Linf, 1.0));
    assert_eq!(state.range(), 1.0, "the timeline reaches that far");
    assert_eq!(inside(&state), 6 * 6);
    let has = |state: &State, x: u32, y: u32| {
        let mask = state.entry().and_then(|entry| entry.attack_mask.clone());
        mask.is_some_and(|mask| mask.pixels.get_pixel(x, y).0[0] > 0)
    };
    assert!(has(&state, 20, 15) && !has(&state, 30, 15));
    stroke(&mut state, Tool::Patch, &[[20.0, 15.0], [30.0, 15.0]]);
    assert!(!has(&state, 20, 15) && has(&state, 30, 15));

    state.transient.editing.patch = PatchShape::Disk;
    state.search_patch(0);
    let search = state.patch_search().expect("it was asked for").clone();
    let lane = Lane::PatchSearch(Place::on_screen(0));
    let mut row = epsiloscope::session::Row::default();
    row.prediction = super::requests::row().prediction;
    assert!(requests(&state, &[row]).contains_key(&lane));
    let mut result = PatchResult {
        request: search.request.clone(),
        place: Some([0.0, 0.0, 0.2, 0.2]),
        input: [32, 32],
        progress: 0.5,
    };
    state.take_patch(&result);
    assert!(has(&state, 30, 15), "it goes on searching");
    result.progress = 1.0;
    state.take_patch(&result);
    // The models see the 30 columns from 5 on.
    assert!(has(&state, 8, 3) && !has(&state, 30, 15) && !has(&state, 5, 0));
    assert!(state.patch_search().is_none());
    // Of another search nothing is taken.
    state.take_patch(&PatchResult {
        place: Some([0.5, 0.5, 1.0, 1.0]),
        ..result
    });
    assert!(has(&state, 8, 3));
}

#[test]
fn the_search_for_a_patch_runs_in_the_engine() {
    let mut state = state();
    state.search_patch(0);
    let request = state.patch_search().expect("a search").request.clone();
    let mut runner = Runner::new(Device::flex());
    let found = runner.search_patch(request).expect("a place");
    assert_eq!(found.progress, 1.0);
    let [left, top, right, bottom] = found.place.expect("a place");
    assert!((right - left - 0.25).abs() < 1e-6 && (bottom - top - 0.25).abs() < 1e-6);
    assert!(left >= 0.0 && top >= 0.0 && right <= 1.0 && bottom <= 1.0);
}

#[test]
fn a_stroke_ends_with_its_picture_and_its_tool() {
    let mut state = state();
    stroke(&mut state, Tool::MaskRectangle, &[[2.0, 2.0], [9.0, 9.0]]);
    let large = RgbImage::from_pixel(80, 70, Rgb([9, 9, 9]));
    state.add(
        Picture::from_image(PathBuf::from("large.png"), large.into()),
        None,
    );
    state.navigation.selected = Some(0);
    state.transient.editing.tool = Some(Tool::MaskRectangle);
    state.draw(DrawEvent::Press([1.0, 1.0]));
    // Another picture is opened while the tool is down.
    state.navigation.selected = Some(1);
    state.draw(DrawEvent::Move([75.0, 65.0]));
    assert_eq!(inside(&state), 0);
    assert!(!state.transient.editing.is_drawing());
    state.draw(DrawEvent::Press([1.0, 1.0]));
    state.transient.editing.tool = Some(Tool::MaskBrush);
    state.draw(DrawEvent::Move([60.0, 60.0]));
    assert_eq!(inside(&state), 0);
}

#[test]
fn a_patch_stays_inside_the_picture_and_its_attack_ends_with_it() {
    let mut state = state();
    let before = state.settings.attack.clone();
    state.transient.editing.patch_side = 0.2;
    state.place_patch([32, 32]);
    for far in [[-500.0, 900.0], [f32::NAN, 0.0], [1e9, -1e9]] {
        stroke(&mut state, Tool::Patch, &[far]);
        assert_eq!(inside(&state), 36, "{far:?}");
    }
    (
        state.transient.editing.patch,
        state.transient.editing.patch_side,
    ) = (PatchShape::Disk, 0.0);
    stroke(&mut state, Tool::Patch, &[[20.0, 15.0]]);
    assert!(inside(&state) >= 1, "the smallest patch is a pixel");
    state.clear_attack_mask();
    assert_eq!(state.settings.attack, before);
    // Another attack that was chosen since stays.
    state.place_patch([32, 32]);
    state.settings.attack = Attack::pgd(Norm::L2, 0.25, 4);
    state.clear_attack_mask();
    assert_eq!(state.settings.attack, Attack::pgd(Norm::L2, 0.25, 4));
}

#[test]
fn hostile_masks_of_sessions_are_told_and_left_out() {
    let mut state = state();
    stroke(&mut state, Tool::MaskRectangle, &[[8.0, 3.0], [22.0, 17.0]]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("masked.epsiloscope");
    for (size, value) in [([40, 30], 0), ([4, 3], 255)] {
        let mask = RgbImage::from_pixel(size[0], size[1], Rgb([value; 3]));
        let mask = Picture::from_image(PathBuf::from("mask.png"), mask.into());
        state.entry_mut().expect("a picture").attack_mask = Some(mask);
        session::write(&Session::of(&snapshot(&state)), &file).expect("a session");
        let opened = session::open(&file).expect("the session");
        assert_eq!(opened.problems.len(), 1, "{size:?}");
        assert!(
            opened
                .state
                .entry()
                .is_some_and(|entry| entry.attack_mask.is_none())
        );
    }
}
