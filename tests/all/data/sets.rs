//! Data sets from folders and from CIFAR-10's binary batches.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use epsiloscope::data::{Dataset, Split};
use epsiloscope::error::Error;
use image::{Rgb, RgbImage};
use tempfile::{TempDir, tempdir};

use crate::support::{
    BLUE, RED, message, message_naming, values, write_pictures, write_two_colours,
};

/// A folder of 12 training pictures and 4 test pictures.
fn two_colours() -> TempDir {
    let root = tempdir().expect("a folder");
    write_two_colours(root.path(), 6, 2);
    root
}

fn open(root: &Path, split: Split, size: [usize; 2]) -> Dataset {
    Dataset::open(root, split, size).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn folders_are_classes_in_alphabetical_order() {
    let root = two_colours();
    let train = root.path().join("train");
    // What holds no picture is no class, and what is no folder is nothing.
    fs::create_dir(train.join("azure")).expect("a folder can be made");
    fs::write(train.join("azure/notes.txt"), "none yet").expect("a file can be written");
    fs::write(train.join("readme.png"), "not in a class").expect("a file can be written");
    write_pictures(&train.join("Amber"), [200, 150, 20], 1, 8, 9);
    let data = open(root.path(), Split::Train, [8, 8]);
    assert_eq!(data.classes, ["Amber", "blue", "red"]);
    assert_eq!(data.labels, [&[0][..], &[1; 6], &[2; 6]].concat());
    assert_eq!(
        (data.len(), data.size, data.is_empty()),
        (13, [8, 8], false)
    );
    assert_eq!(data.names[1], train.join("blue/00.png"));
    assert_eq!(data.names[12], train.join("red/05.png"));
    assert!(data.skipped.is_empty());
    // Planes of red, green and blue, in [0, 1].
    let picture = values(data.tensor(&[12], &Device::flex()));
    let file = image::open(&data.names[12])
        .expect("the picture is there")
        .to_rgb8();
    let plane = |channel: usize| {
        file.pixels()
            .map(move |pixel| f32::from(pixel.0[channel]) / 255.0)
    };
    assert_eq!(picture, (0..3).flat_map(plane).collect::<Vec<f32>>());
}

#[test]
fn pictures_are_cut_from_the_middle_to_height_and_width() {
    let root = tempdir().expect("a folder");
    for class in ["a", "b"] {
        fs::create_dir(root.path().join(class)).expect("a folder can be made");
        // Only the middle is white; two rows by four columns are wanted, four times as large.
        let stripes = RgbImage::from_fn(16, 24, |_, y| {
            Rgb([if (8..16).contains(&y) { 255 } else { 0 }; 3])
        });
        stripes
            .save(root.path().join(class).join("stripes.png"))
            .expect("a picture can be written");
    }
    let data = open(root.path(), Split::Train, [2, 4]);
    let x = data.tensor(&[0, 1], &Device::flex());
    assert_eq!(x.dims(), [2, 3, 2, 4]);
    assert!(values(x).iter().all(|value| *value > 0.8));
}

#[test]
fn splits_are_found_by_their_folders() {
    let root = two_colours();
    assert_eq!(open(root.path(), Split::Train, [8, 8]).len(), 12);
    assert_eq!(open(root.path(), Split::Test, [8, 8]).len(), 4);
    for name in ["validation", "val"] {
        write_pictures(&root.path().join(name).join("blue"), BLUE, 1, 8, 5);
        write_pictures(&root.path().join(name).join("red"), RED, 2, 8, 6);
        assert_eq!(
            open(root.path(), Split::Test, [8, 8]).len(),
            4,
            "test comes first"
        );
    }
    fs::remove_dir_all(root.path().join("test")).expect("a folder can be removed");
    assert_eq!(open(root.path(), Split::Test, [8, 8]).len(), 3);
    fs::remove_dir_all(root.path().join("val")).expect("a folder can be removed");
    assert_eq!(open(root.path(), Split::Test, [8, 8]).len(), 3);
    fs::remove_dir_all(root.path().join("validation")).expect("a folder can be removed");
    let text = message_naming(root.path(), Dataset::open(root.path(), Split::Test, [8, 8]));
    assert!(text.contains("test or val"), "{text}");
    // A tree without splits is taken whole, whichever is asked for.
    let whole = root.path().join("train");
    assert_eq!(open(&whole, Split::Train, [8, 8]).len(), 12);
    assert_eq!(open(&whole, Split::Test, [8, 8]).len(), 12);
}

#[test]
fn broken_pictures_are_left_out_and_named() {
    let root = two_colours();
    let broken = root.path().join("train/blue/03.png");
    fs::write(&broken, "no picture").expect("a file can be written");
    fs::write(root.path().join("train/red/zero.jpg"), "").expect("a file can be written");
    let data = open(root.path(), Split::Train, [8, 8]);
    assert_eq!(
        (data.len(), data.names.len(), data.skipped.len()),
        (11, 11, 2)
    );
    assert!(
        data.skipped[0]
            .to_string()
            .contains(&broken.display().to_string())
    );
    assert!(!data.names.contains(&broken));
    // Those after it are still who they were.
    let all: Vec<usize> = (0..data.len()).collect();
    assert_eq!(data.tensor(&all, &Device::flex()).dims(), [11, 3, 8, 8]);
    let red = values(data.tensor(&[10], &Device::flex()));
    assert!(red[..64].iter().sum::<f32>() > red[128..].iter().sum::<f32>());
}

#[test]
fn folders_that_are_no_data_set_are_refused_by_name() {
    let root = tempdir().expect("a folder");
    let refuse = |root: &Path| {
        let result = Dataset::open(root, Split::Train, [8, 8]);
        assert!(
            matches!(result, Err(Error::Data { .. })),
            "{}",
            root.display()
        );
        message_naming(root, result)
    };
    assert!(refuse(&root.path().join("missing")).contains("no such folder"));
    assert!(refuse(root.path()).contains("no picture"));
    write_pictures(&root.path().join("train/only"), RED, 3, 8, 1);
    assert!(refuse(root.path()).contains("one class"));
    let broken = tempdir().expect("a folder");
    for class in ["a", "b"] {
        fs::create_dir(broken.path().join(class)).expect("a folder can be made");
        fs::write(broken.path().join(class).join("0.png"), "no picture")
            .expect("a file can be written");
    }
    assert!(refuse(broken.path()).contains("no picture"));
    refuse(&root.path().join("train/only/00.png"));
}

/// Records of a CIFAR-10 batch: the label, then planes of the label times ten plus the channel.
fn records(labels: &[u8]) -> Vec<u8> {
    let planes = |label: u8| (0..3).flat_map(move |channel| [label * 10 + channel; 1024]);
    labels
        .iter()
        .flat_map(|&label| std::iter::once(label).chain(planes(label)))
        .collect()
}

#[test]
fn binary_batches_are_read_in_order() {
    let root = tempdir().expect("a folder");
    let write = |name: &str, labels: &[u8]| {
        fs::write(root.path().join(name), records(labels)).expect("a file can be written");
    };
    write("data_batch_2.bin", &[5]);
    write("data_batch_1.bin", &[9, 0, 3]);
    write("test_batch.bin", &[7, 7]);
    let train = open(root.path(), Split::Train, [32, 32]);
    assert_eq!(train.labels, [9, 0, 3, 5]);
    assert_eq!(
        (
            train.classes.len(),
            &train.classes[0][..],
            &train.classes[9][..]
        ),
        (10, "airplane", "truck")
    );
    let picture = values(train.tensor(&[2], &Device::flex()));
    for (channel, plane) in picture.chunks(1024).enumerate() {
        assert!(
            plane
                .iter()
                .all(|value| *value == (30 + channel) as f32 / 255.0)
        );
    }
    assert_eq!(open(root.path(), Split::Test, [32, 32]).labels, [7, 7]);
    let text = message_naming(root.path(), Dataset::open(root.path(), Split::Test, [8, 8]));
    assert!(text.contains("32×32"), "{text}");
}

#[test]
fn broken_binary_batches_are_refused_by_name() {
    let root = tempdir().expect("a folder");
    let path = root.path().join("data_batch_1.bin");
    let bad = [
        records(&[1, 10]),
        records(&[1])[1..].to_vec(),
        [records(&[1]), vec![0]].concat(),
        Vec::new(),
    ];
    for bytes in bad {
        fs::write(&path, bytes).expect("a file can be written");
        message_naming(&path, Dataset::open(root.path(), Split::Train, [32, 32]));
    }
    fs::write(&path, records(&[1, 10])).expect("a file can be written");
    let text = message(Dataset::open(root.path(), Split::Train, [32, 32]));
    assert!(
        text.contains("record 1") && text.contains("label 10"),
        "{text}"
    );
    fs::write(&path, records(&[1])).expect("a file can be written");
    message_naming(
        root.path(),
        Dataset::open(root.path(), Split::Test, [32, 32]),
    );
}

#[test]
fn labels_can_follow_a_models_order() {
    let root = two_colours();
    let mut data = open(root.path(), Split::Train, [8, 8]);
    let order = ["red", "green", "blue"].map(String::from);
    data.relabel(&order).expect("all classes are known");
    assert_eq!(data.labels, [[2; 6], [0; 6]].concat());
    assert_eq!(data.classes, order);
    let text = data
        .relabel(&["red".into(), "green".into()])
        .expect_err("blue is not known");
    assert!(
        text.contains("blue") && text.contains("red, green"),
        "{text}"
    );
}

#[test]
fn thinning_keeps_pictures_from_all_over() {
    let root = two_colours();
    let mut data = open(root.path(), Split::Train, [8, 8]);
    let kept = [0, 3, 6, 9];
    let wanted = values(data.tensor(&kept, &Device::flex()));
    let names = kept.map(|index| data.names[index].clone());
    data.subsample(100);
    assert_eq!(data.len(), 12);
    data.subsample(4);
    assert_eq!((data.len(), &data.labels[..]), (4, &[0, 0, 1, 1][..]));
    assert_eq!(data.names, names);
    assert_eq!(values(data.tensor(&[0, 1, 2, 3], &Device::flex())), wanted);
}
