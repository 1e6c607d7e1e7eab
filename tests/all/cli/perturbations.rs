//! Commands that attack parts of pictures, and that corrupt them.

use super::commands::{Scene, check_files, json};

#[test]
fn attacks_act_inside_a_mask_or_a_patch() {
    let scene = Scene::new();
    let (width, height) = image::image_dimensions(&scene.picture).expect("the picture");
    let mask = image::GrayImage::from_fn(width, height, |x, _| {
        image::Luma([255 * u8::from(x < width / 2)])
    });
    mask.save(scene.out("mask.png")).expect("a mask");
    let mask = scene.out("mask.png").to_string_lossy().into_owned();
    let share = |facts: &serde_json::Value| facts["mask_share"].as_f64().unwrap_or_default();
    for (more, out) in [("", "left"), (" --outside", "right")] {
        let command = format!(
            "attack PICTURE --models MODEL --mask {mask}{more} --backend cpu --out OUT/{out}"
        );
        let out = scene.run(&command).join(out);
        let facts = &json(&out.join("attack.json"))[0];
        assert!((share(facts) - 0.5).abs() < 0.1, "{facts}");
        let image = image::open(out.join("tiny-perturbation.png"));
        let image = image.expect("a perturbation").to_rgb8();
        let grey = |x: u32| (0..image.height()).all(|y| image.get_pixel(x, y).0 == [128; 3]);
        let last = image.width() - 1;
        assert_eq!((grey(0), grey(last)), (!more.is_empty(), more.is_empty()));
    }
    let out = scene
        .run("attack PICTURE --models MODEL --patch disk:0.5:0.5,0.5 --backend cpu --out OUT/a");
    check_files(&out.join("a"), &["tiny-attacked.png", "tiny-mask.png"]);
    let facts = &json(&out.join("a/attack.json"))[0];
    assert!((share(facts) - 0.2).abs() < 0.06, "{facts}");
    assert_eq!(facts["attack"]["epsilon"], 1.0);
    let out =
        scene.run("attack PICTURE --models MODEL --patch square:0.25 --backend cpu --out OUT/b");
    let facts = &json(&out.join("b/attack.json"))[0];
    assert_eq!(
        facts["patch"].as_array().map(Vec::len),
        Some(4),
        "a place was found"
    );
    for wrong in [
        "round:0.5",
        "disk",
        "disk:0",
        "disk:2",
        "disk:0.5:1",
        "disk:0.5:2,0",
        "disk:0.5:0,0:1",
    ] {
        let output = scene.output(&format!(
            "attack PICTURE --models MODEL --patch {wrong} --out OUT"
        ));
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("square or disk"), "{wrong}: {errors}");
    }
}

#[test]
fn corrupt_writes_every_kind_of_every_severity() {
    let scene = Scene::new();
    let out = scene.run(
        "corrupt PICTURE --corruption fog,jpeg --severity 0,2.5 --out OUT --json OUT/all.json",
    );
    check_files(
        &out,
        &["fog-0.png", "fog-2.5.png", "jpeg-2.5.png", "sheet.png"],
    );
    let original = image::open(&scene.picture).expect("the picture").to_rgb8();
    let corrupted = |name: &str| image::open(out.join(name)).expect("a picture").to_rgb8();
    assert!(
        corrupted("fog-0.png") == original,
        "severity 0 leaves every bit"
    );
    assert!(corrupted("fog-2.5.png") != original);
    assert_eq!(
        json(&out.join("all.json")).as_array().map(Vec::len),
        Some(4)
    );
}

#[test]
fn evaluate_measures_corrupted_pictures_and_attacks_on_them() {
    let scene = Scene::new();
    let out = scene.run("evaluate --data DATA --models MODEL --corruption contrast,snow --severity 0,5 --attack linf:8/255:2 --limit 4 --backend cpu --out OUT");
    let reports = json(&out.join("evaluate.json"));
    // Clean and two kinds of two severities, each with and without the attack.
    assert_eq!(reports.as_array().map(Vec::len), Some(10));
    assert_eq!(reports[0]["corruption"], serde_json::Value::Null);
    assert_eq!(reports[2]["corruption"]["kind"], "contrast");
    assert_eq!(reports[2]["accuracy"], reports[0]["accuracy"], "severity 0");
    assert_eq!(reports[9]["corruption"]["severity"], 5.0);
    let refused = scene.output("evaluate --data DATA --models MODEL --severity 2 --backend cpu");
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("--corruption"), "{errors}");
}
