//! The window's tools that draw on the input, and the timeline of corruptions, without a graphics adapter.

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use epsiloscope::app::App;
use tempfile::tempdir;

use super::window::explorer;
use crate::support::window::until;

/// Large enough for all tools to be in sight, in points.
const SIZE: [f32; 2] = [1400.0, 1000.0];

/// Tools draw on the input: a mask that the attack keeps to, paint on a copy, and undo takes both back.
#[test]
fn tools_draw_on_the_input() {
    let folder = tempdir().expect("a folder");
    let mut harness = explorer(folder.path(), "test/red/00.png", SIZE);
    let whole = |harness: &Harness<'_, App>| {
        harness
            .query_by_label_contains("attacks may change the whole picture")
            .is_some()
    };
    assert!(whole(&harness));
    let label = harness.get_by_role_and_label(Role::Label, "Input").rect();
    let at = |x: f32, y: f32| egui::pos2(label.left() + x, label.bottom() + y);
    let drag = |harness: &mut Harness<'_, App>, tool: &str, place: usize| {
        let tools: Vec<_> = harness.query_all_by_label(tool).collect();
        tools[place].click_accesskit();
        harness.step();
        harness.drag_at(at(30.0, 40.0));
        harness.step();
        harness.hover_at(at(90.0, 100.0));
        harness.step();
        harness.drop_at(at(90.0, 100.0));
        harness.step();
    };
    drag(&mut harness, "Rectangle", 0);
    until(&mut harness, "a mask", |harness| {
        harness
            .query_by_label_contains("% of the picture")
            .is_some()
    });
    until(&mut harness, "an attack inside it", |harness| {
        harness.query_by_label_contains("re-evaluated").is_some()
    });
    // The second brush is the paint's.
    drag(&mut harness, "Brush", 1);
    until(&mut harness, "a painted copy", |harness| {
        harness.query_all_by_label_contains("painted").count() > 0
    });
    harness.get_by_label("No tool").click_accesskit();
    harness.step();
    for _ in 0..2 {
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        harness.step();
    }
    until(&mut harness, "the whole picture again", whole);
    assert_eq!(harness.query_all_by_label_contains("painted").count(), 0);
}

/// Tools are held by the keyboard, too: the arrows move them and no picture is changed for another.
#[test]
fn tools_draw_by_keyboard() {
    let folder = tempdir().expect("a folder");
    let mut harness = explorer(folder.path(), "test/red", SIZE);
    harness.get_by_label("Ellipse").click_accesskit();
    harness.step();
    let label = harness.get_by_role_and_label(Role::Label, "Input").rect();
    let at = egui::pos2(label.left() + 20.0, label.bottom() + 20.0);
    harness.drag_at(at);
    harness.step();
    harness.drop_at(at);
    harness.step();
    harness.remove_cursor();
    let press = |harness: &mut Harness<'_, App>, key: Key, times: usize| {
        for _ in 0..times {
            harness.key_press(key);
            harness.step();
        }
    };
    press(&mut harness, Key::ArrowDown, 4);
    press(&mut harness, Key::Space, 1);
    press(&mut harness, Key::ArrowRight, 16);
    press(&mut harness, Key::ArrowDown, 16);
    press(&mut harness, Key::Space, 1);
    until(&mut harness, "a mask", |harness| {
        harness
            .query_by_label_contains("% of the picture")
            .is_some()
    });
    // An ellipse in a quarter of each side.
    harness.get_by_label_contains("attacks may change 4.");
    press(&mut harness, Key::ArrowRight, 3);
    harness.get_by_label_contains("attacks may change 4.");
    // The brush is lifted by the space bar: nothing is drawn on the way back.
    harness
        .query_all_by_label("Brush")
        .next()
        .expect("the mask's")
        .click_accesskit();
    harness.step();
    harness.drag_at(at);
    harness.step();
    harness.drop_at(at);
    harness.step();
    harness.remove_cursor();
    press(&mut harness, Key::Space, 1);
    press(&mut harness, Key::ArrowRight, 20);
    press(&mut harness, Key::Space, 1);
    let drawn = |harness: &Harness<'_, App>| {
        let label = harness.get_by_label_contains("attacks may change ");
        label
            .accesskit_node()
            .value()
            .or(label.accesskit_node().label())
    };
    let before = drawn(&harness);
    press(&mut harness, Key::ArrowDown, 20);
    press(&mut harness, Key::ArrowLeft, 20);
    assert_eq!(drawn(&harness), before);
    harness.get_by_label("No tool").click_accesskit();
    harness.step();
    press(&mut harness, Key::Escape, 1);
    press(&mut harness, Key::ArrowRight, 1);
    until(&mut harness, "the other picture", |harness| {
        harness
            .query_by_label_contains("attacks may change the whole picture")
            .is_some()
    });
}

/// The timeline of corruptions: a severity is chosen on it, and the input is corrupted.
#[test]
fn corruptions_have_a_timeline() {
    let folder = tempdir().expect("a folder");
    let mut harness = explorer(folder.path(), "test/red/00.png", SIZE);
    let tab = harness
        .query_all_by_label("Corruption")
        .next()
        .expect("a tab");
    tab.click_accesskit();
    until(&mut harness, "the timeline", |harness| {
        harness.query_by_label("severity 0").is_some()
    });
    harness.key_press(Key::Space);
    harness.run_steps(20);
    harness.key_press(Key::Space);
    harness.step();
    until(&mut harness, "a corrupted input", |harness| {
        harness
            .query_by_label_contains("Gaussian noise, severity")
            .is_some()
    });
    assert!(harness.query_by_label("severity 0").is_none());
}
