//! The order in which a data set is dealt out, and how its pictures are varied.

use burn::tensor::Device;
use epsiloscope::data::{Augmentation, Batch, Batches, Dataset, Split};
use tempfile::tempdir;

use crate::support::{values, write_two_colours};

const PLAIN: Augmentation = Augmentation {
    padding: 0,
    flip: false,
    cutout: 0,
    ..Augmentation::NONE
};
const VARIED: Augmentation = Augmentation {
    padding: 2,
    flip: true,
    cutout: 0,
    ..Augmentation::NONE
};

/// Twelve pictures.
fn twelve() -> Dataset {
    let root = tempdir().expect("a folder");
    write_two_colours(root.path(), 6, 0);
    Dataset::open(root.path(), Split::Train, [8, 8]).unwrap_or_else(|error| panic!("{error}"))
}

/// All batches of an epoch.
fn epoch(
    data: &Dataset,
    augmentation: Augmentation,
    size: usize,
    seed: u64,
    epoch: usize,
) -> Vec<Batch> {
    let batches = Batches::new(data, augmentation, size, seed, epoch);
    (0..batches.len())
        .map(|index| batches.get(index, &Device::flex()))
        .collect()
}

fn numbers(batches: &[Batch]) -> Vec<u64> {
    batches
        .iter()
        .flat_map(|batch| batch.indices.clone())
        .collect()
}

fn pixels(batches: &[Batch]) -> Vec<f32> {
    batches
        .iter()
        .flat_map(|batch| values(batch.pictures.clone()))
        .collect()
}

#[test]
fn an_epoch_deals_out_each_picture_once_in_its_own_order() {
    let data = twelve();
    let first = epoch(&data, VARIED, 4, 1, 0);
    assert_eq!(first.len(), 3);
    let mut sorted = numbers(&first);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..12).collect::<Vec<u64>>());
    for batch in &first {
        let labels: Vec<usize> = batch
            .indices
            .iter()
            .map(|&number| data.labels[number as usize])
            .collect();
        assert_eq!(batch.classes, labels);
        let tensor = batch.labels.clone().into_data().convert::<i32>();
        let tensor = tensor.try_into_vec::<i32>().expect("class numbers");
        assert_eq!(
            tensor,
            labels
                .iter()
                .map(|&label| label as i32)
                .collect::<Vec<i32>>()
        );
    }
    let again = epoch(&data, VARIED, 4, 1, 0);
    assert_eq!(
        (numbers(&again), pixels(&again)),
        (numbers(&first), pixels(&first))
    );
    assert_ne!(
        numbers(&epoch(&data, VARIED, 4, 1, 1)),
        numbers(&first),
        "another epoch"
    );
    assert_ne!(
        numbers(&epoch(&data, VARIED, 4, 2, 0)),
        numbers(&first),
        "another seed"
    );
    // How a picture is varied does not depend on who is beside it.
    let larger = epoch(&data, VARIED, 6, 1, 0);
    assert_eq!(
        (numbers(&larger), pixels(&larger)),
        (numbers(&first), pixels(&first))
    );
    // A last incomplete batch is left out, and a batch is at most the whole set.
    assert_eq!(
        numbers(&epoch(&data, VARIED, 5, 1, 0)),
        numbers(&first)[..10]
    );
    assert_eq!(numbers(&epoch(&data, VARIED, 500, 1, 0)).len(), 12);
}

#[test]
fn without_augmentation_pictures_stay_as_they_are() {
    let data = twelve();
    let mut changed = 0;
    for (plain, varied) in epoch(&data, PLAIN, 6, 3, 2)
        .into_iter()
        .zip(epoch(&data, VARIED, 6, 3, 2))
    {
        let indices: Vec<usize> = plain
            .indices
            .iter()
            .map(|&number| number as usize)
            .collect();
        let wanted = values(data.tensor(&indices, &Device::flex()));
        assert_eq!(values(plain.pictures), wanted);
        let found = values(varied.pictures);
        changed += found
            .chunks(192)
            .zip(wanted.chunks(192))
            .filter(|(a, b)| a != b)
            .count();
    }
    assert!(changed >= 8, "only {changed} of 12 pictures were varied");
}

#[test]
fn cutout_hides_a_square_or_what_the_edge_leaves_of_it() {
    let data = twelve();
    let hidden = Augmentation { cutout: 4, ..PLAIN };
    let (plain, cut) = (epoch(&data, PLAIN, 4, 1, 0), epoch(&data, hidden, 4, 1, 0));
    assert_eq!(numbers(&plain), numbers(&cut), "the order stays");
    let (plain, cut) = (pixels(&plain), pixels(&cut));
    for (before, after) in plain.chunks_exact(3 * 64).zip(cut.chunks_exact(3 * 64)) {
        let changed = |at: &usize| before[*at] != after[*at];
        let grey: Vec<usize> = (0..3 * 64).filter(changed).collect();
        assert!(grey.iter().all(|&at| after[at] == 0.5));
        // A centre within the picture leaves between 2×2 and 4×4 pixels of each channel.
        assert!((8..=48).contains(&grey.len()), "{} hidden", grey.len());
    }
}

#[test]
fn turned_pictures_hold_the_same_pixels() {
    let data = twelve();
    let turned = Augmentation {
        turn: true,
        ..PLAIN
    };
    let (plain, turned) = (
        pixels(&epoch(&data, PLAIN, 4, 1, 0)),
        pixels(&epoch(&data, turned, 4, 1, 0)),
    );
    let mut moved = 0;
    for (before, after) in plain.chunks_exact(64).zip(turned.chunks_exact(64)) {
        let sorted = |plane: &[f32]| {
            let mut values = plane.to_vec();
            values.sort_by(f32::total_cmp);
            values
        };
        assert_eq!(sorted(before), sorted(after));
        let quarters: [fn(usize, usize) -> usize; 4] = [
            |x, y| y * 8 + x,
            |x, y| (7 - x) * 8 + y,
            |x, y| (7 - y) * 8 + 7 - x,
            |x, y| x * 8 + 7 - y,
        ];
        let is_turn = |from: &fn(usize, usize) -> usize| {
            (0..64).all(|at| after[at] == before[from(at % 8, at / 8)])
        };
        assert!(quarters.iter().any(is_turn), "neither turned nor as it was");
        moved += usize::from(before != after);
    }
    assert!(moved > 0, "none was turned");
}

#[test]
fn jitter_changes_light_within_its_share() {
    let data = twelve();
    let jittered = Augmentation {
        jitter: 0.2,
        ..PLAIN
    };
    let (plain, varied) = (
        pixels(&epoch(&data, PLAIN, 4, 1, 0)),
        pixels(&epoch(&data, jittered, 4, 1, 0)),
    );
    let mut changed = 0;
    for (before, after) in plain.iter().zip(&varied) {
        // Gain up to 1.2 · 1.1 around ½, shift up to 0.1.
        let most = 0.32 * (before - 0.5).abs() + 0.1 + 1e-6;
        assert!((before - after).abs() <= most, "{before} became {after}");
        assert!((0.0..=1.0).contains(after));
        changed += usize::from(before != after);
    }
    assert!(changed > plain.len() / 2);
}

#[test]
fn a_balanced_epoch_shows_every_class_equally_often() {
    let root = tempdir().expect("a folder");
    write_two_colours(root.path(), 6, 0);
    for number in 0..4 {
        let path = root.path().join(format!("train/red/0{number}.png"));
        std::fs::remove_file(path).expect("a file goes");
    }
    let data = Dataset::open(root.path(), Split::Train, [8, 8]).expect("pictures");
    assert_eq!(data.len(), 8);
    let balanced = Augmentation {
        balance: true,
        ..PLAIN
    };
    let batches = epoch(&data, balanced, 4, 1, 0);
    let classes: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.classes.clone())
        .collect();
    assert_eq!(classes.iter().filter(|&&class| class == 1).count(), 4);
    let plain = epoch(&data, PLAIN, 4, 1, 0);
    let classes: Vec<usize> = plain
        .iter()
        .flat_map(|batch| batch.classes.clone())
        .collect();
    assert_eq!(classes.iter().filter(|&&class| class == 1).count(), 2);
}

#[test]
fn resized_crops_show_parts_of_a_picture_at_the_input_size() {
    let root = tempdir().expect("a folder");
    write_two_colours(root.path(), 6, 0);
    let resized = Augmentation {
        resized_crop: 0.25,
        ..PLAIN
    };
    let kept = resized.stored_size([4, 4]);
    assert_eq!(kept, [8, 8], "crops are enlarged from larger pictures");
    let data = Dataset::open(root.path(), Split::Train, kept).expect("a data set");
    let batches = epoch(&data, resized, 4, 1, 0);
    for batch in &batches {
        assert_eq!(batch.pictures.dims(), [4, 3, 4, 4]);
    }
    assert_eq!(pixels(&batches), pixels(&epoch(&data, resized, 4, 1, 0)));
    assert_ne!(pixels(&batches), pixels(&epoch(&data, resized, 4, 1, 1)));
    // Blue ones (class 0) stay blue and red ones red: planes are cut one by one.
    for batch in &batches {
        for (picture, class) in values(batch.pictures.clone())
            .chunks(48)
            .zip(&batch.classes)
        {
            let mean = |plane: usize| picture[plane * 16..][..16].iter().sum::<f32>();
            assert_eq!(mean(0) > mean(2), *class == 1);
        }
    }
}
