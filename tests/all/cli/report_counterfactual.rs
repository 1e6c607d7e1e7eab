//! `epsiloscope report counterfactual`, as a whole, on two seeds of a training of a moment.

use std::fs;
use std::path::Path;

use clap::Parser;
use epsiloscope::cli::Arguments;
use epsiloscope::model::{Precision, Weights};
use serde_json::Value;

use crate::support::{tiny_manifest, tiny_network};
use crate::train::counterfactual::{SIDE, moment, run};

/// A classifier of the walls that has learned nothing.
fn write_untrained(path: &Path) {
    let mut weights = Weights::of(&mut tiny_network(2, 5));
    let mut manifest = tiny_manifest(2);
    manifest.input = [SIDE as usize; 2];
    manifest.labels = vec!["clean".into(), "crack".into()];
    manifest.attach(&mut weights);
    weights.write(path, Precision::Single).expect("a model");
}

#[test]
fn the_report_measures_everything_for_each_seed() {
    let (folder, config) = moment();
    let root = folder.path();
    let mut models = Vec::new();
    for seed in 0..2 {
        let mut config = config.clone();
        config.seed = seed;
        let out = root.join(format!("seed-{seed}"));
        run(&config, &out, false, false).unwrap_or_else(|error| panic!("{error}"));
        models.push(out.join("model.safetensors").to_string_lossy().into_owned());
    }
    let ordinary = root.join("ordinary.safetensors");
    write_untrained(&ordinary);
    let ordinary = ordinary.to_string_lossy();
    let out = root.join("report");
    let arguments = [
        "epsiloscope",
        "report",
        "counterfactual",
        "--data",
        &root.to_string_lossy(),
        "--models",
        &models.join(","),
        "--ordinary",
        &format!("{ordinary},{ordinary}"),
        "--robust",
        &format!("{ordinary},{ordinary}"),
        "--attacked",
        "3",
        "--explained",
        "3",
        "--ceiling-epochs",
        "1",
        "--backend",
        "cpu",
        "--out",
        &out.to_string_lossy(),
    ];
    let parsed = Arguments::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
    parsed.run().unwrap_or_else(|error| panic!("{error}"));

    let text = fs::read_to_string(out.join("report-counterfactual.md")).expect("the report");
    for part in [
        "2 seeds",
        "Grad-CAM",
        "occlusion",
        "U-Net",
        "flip rate",
        "AUROC",
        "±",
        "adversarially",
    ] {
        let found = text.to_lowercase().contains(&part.to_lowercase());
        assert!(found, "no “{part}” in:\n{text}");
    }
    assert!(out.join("report-counterfactual.png").is_file());
    let json = fs::read_to_string(out.join("report-counterfactual.json")).expect("the figures");
    let report: Value = serde_json::from_str(&json).expect("JSON");
    let seeds = report["seeds"].as_array().expect("seeds");
    assert_eq!(seeds.len(), 2);
    for tables in seeds {
        let tables = tables.as_array().expect("tables");
        assert!(tables.len() >= 9, "{} tables", tables.len());
        for table in tables {
            let rows = table["rows"].as_array().expect("rows");
            assert!(!rows.is_empty(), "{}", table["title"]);
        }
    }
    // Other seeds, other networks: their figures differ somewhere.
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn unequal_numbers_of_models_are_refused_before_anything_is_measured() {
    let arguments = [
        "epsiloscope",
        "report",
        "counterfactual",
        "--data",
        ".",
        "--models",
        "a,b",
        "--ordinary",
        "a",
        "--backend",
        "cpu",
    ];
    let parsed = Arguments::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
    let error = parsed.run().expect_err("two models, one classifier");
    assert!(error.to_string().contains("--ordinary"), "{error}");
}
