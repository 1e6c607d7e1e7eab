//! Tab reaches every control of the window.

use std::collections::{BTreeMap, BTreeSet};

use egui::accesskit::{NodeId, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use epsiloscope::app::App;
use epsiloscope::compute::Compute;

use crate::support::window::until;
use crate::window::window;

/// What a person can do something with.
const CONTROLS: [Role; 7] = [
    Role::Button,
    Role::CheckBox,
    Role::RadioButton,
    Role::ComboBox,
    Role::Slider,
    Role::SpinButton,
    Role::TextInput,
];

/// What is pressed at the most: several rounds of the focus, as results that come in the meantime
/// bring controls of their own (the legend of the sweep's plot).
const PRESSES: usize = 600;

/// The controls of a frame that are not disabled, by their names; the one that has the focus.
fn controls(harness: &Harness<'_, App>) -> (BTreeMap<NodeId, String>, Option<NodeId>) {
    let mut found = BTreeMap::new();
    let mut focused = None;
    for node in harness.root().children_recursive() {
        let node = node.accesskit_node();
        if !CONTROLS.contains(&node.role()) || node.is_disabled() {
            continue;
        }
        let id = node.locate().0;
        found.insert(id, format!("{:?} {:?}", node.role(), node.label()));
        if node.is_focused() {
            focused = Some(id);
        }
    }
    (found, focused)
}

/// Presses Tab until the focus has been on every control there is, and names what it never came to.
fn goes_round(harness: &mut Harness<'_, App>, what: &str) {
    let mut reached = BTreeSet::new();
    let mut missed = Vec::new();
    for _ in 0..PRESSES {
        harness.key_press(egui::Key::Tab);
        harness.step();
        let (all, focused) = controls(harness);
        reached.extend(focused);
        assert!(all.len() > 10, "{what}: only {} controls", all.len());
        missed = all
            .into_iter()
            .filter(|(id, _)| !reached.contains(id))
            .map(|(_, name)| name)
            .collect();
        if missed.is_empty() {
            return;
        }
    }
    panic!("{what}: Tab never reaches {missed:?}");
}

/// The explorer, the window for figures, and the triage page.
pub fn reaches_every_control(gpu: &Compute) {
    let models = vec!["tests/fixtures/foreign/wide.pt".into()];
    let mut harness = window(gpu, models);
    until(&mut harness, "the attack, re-evaluated", |harness| {
        harness.query_all_by_label_contains("re-evaluated").count() == 1
    });
    goes_round(&mut harness, "the explorer");
    harness.key_press(egui::Key::Escape);
    harness.step();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::E);
    harness.step();
    harness.get_by_label("Export figure");
    goes_round(&mut harness, "the export of figures");
    harness.key_press(egui::Key::Escape);
    harness.step();
    harness.key_press(egui::Key::F6);
    harness.step();
    harness.get_by_label("Matrices");
    goes_round(&mut harness, "the triage page");
}
