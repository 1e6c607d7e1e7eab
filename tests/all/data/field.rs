//! Data sets as people have them: endings of Windows and browsers, folders below class folders, ImageNet's own names,
//! CIFAR as Python has it, broken files among sound ones.

use std::fs;
use std::path::{Path, PathBuf};

use epsiloscope::data::{Dataset, Picture, PictureList, Split, class_indices, labels};

use crate::support::{message_naming, write_pictures};

fn field(name: &str) -> PathBuf {
    Path::new("tests/fixtures/field").join(name)
}

fn listed(name: &str) -> PictureList {
    PictureList::open(&field(name), Split::Test).unwrap_or_else(|error| panic!("{error}"))
}

fn opened(name: &str) -> Dataset {
    Dataset::open(&field(name), Split::Test, [32, 32]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn files_are_pictures_by_their_names_or_their_content() {
    assert_eq!(listed("jfif").entries.len(), 8);
    let folder = tempfile::tempdir().expect("a folder");
    for class in ["cat", "ship"] {
        let folder = folder.path().join(class);
        fs::create_dir(&folder).expect("a folder");
        let picture = field("jfif/test/ship/0.jpg");
        fs::copy(&picture, folder.join("without an ending")).expect("a copy");
        fs::copy(&picture, folder.join("a.txt")).expect("a copy");
        fs::write(folder.join("notes.txt"), "nothing to see").expect("a file");
    }
    let data = Dataset::open(folder.path(), Split::Test, [32, 32]).expect("pictures");
    assert_eq!(
        (data.len(), data.skipped.len(), data.passed_over.len()),
        (4, 0, 2)
    );
    let list = PictureList::open(folder.path(), Split::Test).expect("pictures");
    assert_eq!((list.entries.len(), list.passed_over.len()), (4, 2));
}

#[test]
fn pictures_below_a_class_folder_are_of_that_class() {
    let list = listed("nested");
    assert_eq!(list.classes, ["cat", "dog", "ship"]);
    let count = |class| {
        list.entries
            .iter()
            .filter(|entry| entry.label == Some(class))
            .count()
    };
    assert_eq!([0, 1, 2].map(count), [5, 4, 5]);
    let data = opened("nested");
    assert_eq!((data.len(), data.classes.len()), (14, 3));
}

#[test]
fn folders_of_systems_are_no_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    for class in [
        "cat",
        "dog",
        ".ipynb_checkpoints",
        "__MACOSX",
        "@eaDir",
        "$RECYCLE.BIN",
    ] {
        write_pictures(&folder.path().join(class), [200, 30, 30], 2, 8, 1);
    }
    write_pictures(
        &folder.path().join("dog/.thumbnails"),
        [30, 30, 200],
        2,
        8,
        1,
    );
    fs::write(folder.path().join("dog/Thumbs.db"), "of Windows").expect("a file");
    let data = Dataset::open(folder.path(), Split::Test, [8, 8]).expect("pictures");
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!((data.len(), data.passed_over.len()), (4, 0));
}

#[test]
fn folders_of_imagenet_are_known_by_synset_or_number() {
    let imagenet = labels::known("imagenet").expect("bundled");
    let mut data = opened("synsets");
    data.relabel(&imagenet).expect("classes of ImageNet");
    // n01440764 is the first class; n02102040 is the English springer.
    let springer = imagenet
        .iter()
        .position(|label| label == "English springer");
    let springer = springer.or(imagenet
        .iter()
        .position(|label| label == "english springer"));
    assert_eq!(
        data.labels,
        [0, 0, springer.expect("a dog"), springer.expect("a dog")]
    );
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        class_indices(&names(&["7", "0"]), &imagenet),
        Ok(vec![7, 0])
    );
    let unknown = class_indices(&names(&["tench", "a thing"]), &imagenet).expect_err("no class");
    assert!(
        unknown.contains("a thing") && unknown.len() < 200,
        "{unknown}"
    );
}

#[test]
fn cifar_is_read_as_its_home_page_gives_it() {
    for (folder, classes) in [
        ("cifar/above", 10),
        ("cifar/cifar-10-batches-py", 10),
        ("cifar/cifar-100-binary", 100),
    ] {
        let (data, list) = (opened(folder), listed(folder));
        assert_eq!((data.len(), list.entries.len()), (20, 20), "{folder}");
        assert_eq!(data.classes.len(), classes, "{folder}");
        for (index, entry) in list.entries.iter().enumerate() {
            assert_eq!(entry.label, Some(data.labels[index]), "{folder}");
            let bytes = entry.bytes().unwrap_or_else(|error| panic!("{error}"));
            let picture = entry.decode(&bytes).expect("a record").planes([32, 32]);
            let unit: Vec<f32> = picture
                .iter()
                .map(|&byte| f32::from(byte) / 255.0)
                .collect();
            assert_eq!(unit, data.unit_planes(index), "{folder}");
        }
    }
    // As Python counts in the fixture: labels 0 to 9, twice.
    let expected: Vec<usize> = (0..20).map(|index| index % 10).collect();
    assert_eq!(opened("cifar/cifar-10-batches-py").labels, expected);
}

#[test]
fn a_decoder_that_panics_costs_its_picture_alone() {
    let data = opened("tiles");
    assert_eq!((data.len(), data.skipped.len()), (6, 1));
    let tiles = field("tiles/test/cat/tiles.tif");
    assert!(message_naming(&tiles, Picture::open(&tiles)).contains("decoder"));
}

#[test]
fn a_damaged_jpeg_counts_as_broken() {
    let damaged = field("damaged.jpg");
    message_naming(&damaged, Picture::open(&damaged));
}
