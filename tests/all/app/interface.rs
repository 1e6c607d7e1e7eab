//! The words of the interface: keys as README lists them, and signs that the fonts have.

use std::collections::BTreeMap;
use std::fs;

use egui::epaint::text::{Fonts, TextOptions};
use egui::{FontDefinitions, FontId};
use epsiloscope::app::commands::key_list;
use epsiloscope::data::labels;
use epsiloscope::export::figure;

use crate::boundaries::{code, sources};

/// README's table of keys, as it should be.
fn key_table() -> String {
    let rows = key_list(false).into_iter();
    let rows = rows.map(|(keys, meaning)| format!("| {keys} | {meaning} |\n"));
    format!("| key | |\n|---|---|\n{}", rows.collect::<String>())
}

#[test]
fn readme_lists_the_keys_of_all_commands() {
    let readme = fs::read_to_string("README.md").expect("there is a README");
    let table = key_table();
    assert!(
        readme.contains(&table),
        "README's table of keys should be this; copy it there:\n{table}"
    );
}

/// The characters beyond ASCII in the code of `folders` of `src`, comments left out, and a file each.
fn signs(folders: &[&str]) -> BTreeMap<char, String> {
    let mut found = BTreeMap::new();
    for (file, text) in sources() {
        if folders.iter().any(|folder| file.starts_with(folder)) {
            let signs = text.lines().flat_map(|line| code(line).chars());
            for sign in signs.filter(|sign| !sign.is_ascii()) {
                found.entry(sign).or_insert_with(|| file.clone());
            }
        }
    }
    found
}

/// Adds the signs of the class labels that come with the program.
fn add_labels(signs: &mut BTreeMap<char, String>) {
    for name in ["cifar10", "cifar100", "imagenet"] {
        let classes = labels::known(name).expect("a set of labels");
        for sign in classes.concat().chars().filter(|sign| !sign.is_ascii()) {
            signs.entry(sign).or_insert_with(|| name.into());
        }
    }
}

/// Whether the window's fonts have a glyph for each of these.
fn drawn(signs: &[char]) -> Vec<bool> {
    let mut fonts = Fonts::new(TextOptions::default(), FontDefinitions::default());
    let mut view = fonts.with_pixels_per_point(1.0);
    let font = FontId::proportional(14.0);
    let has = |&sign: &char| view.has_glyph(&font, sign);
    signs.iter().map(has).collect()
}

#[test]
fn keys_are_written_as_each_system_does() {
    let keys = |is_mac: bool| -> Vec<String> {
        let rows = key_list(is_mac).into_iter();
        rows.map(|(keys, _)| keys).collect()
    };
    assert!(keys(false).contains(&"Ctrl+S".into()));
    assert!(keys(true).contains(&"Cmd+S".into()));
    let signs: Vec<char> = keys(true).concat().chars().collect();
    let missing: Vec<_> = signs
        .iter()
        .zip(drawn(&signs))
        .filter(|(_, drawn)| !drawn)
        .collect();
    assert!(missing.is_empty(), "no glyph for {missing:?}");
}

#[test]
fn the_window_has_a_glyph_for_every_sign_it_shows() {
    let mut signs = signs(&[
        "app/",
        "session/",
        "compute/",
        "attack/",
        "attribution/",
        "synthesis/",
        "triage/",
        "model/",
        "data/",
        "export/",
    ]);
    add_labels(&mut signs);
    let characters: Vec<char> = signs.keys().copied().collect();
    let missing: Vec<_> = characters
        .iter()
        .zip(drawn(&characters))
        .filter(|(_, drawn)| !drawn)
        .map(|(sign, _)| (sign, &signs[sign]))
        .collect();
    assert!(missing.is_empty(), "no glyph for {missing:?}");
    assert_eq!(drawn(&['ε', '\u{25b8}']), [true, false], "a gap is noticed");
}

#[test]
fn figures_have_a_glyph_for_every_sign_they_show() {
    // Captions also name attacks, attributions and syntheses.
    let mut signs = signs(&[
        "export/",
        "session/",
        "attack/",
        "attribution/",
        "synthesis/",
    ]);
    add_labels(&mut signs);
    let missing: Vec<_> = signs
        .iter()
        .filter(|(sign, _)| !figure::has_glyph(**sign))
        .collect();
    assert!(missing.is_empty(), "no glyph for {missing:?}");
    assert!(!figure::has_glyph('\u{25b8}'), "a gap is noticed");
}
