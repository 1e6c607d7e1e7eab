//! The order in which a data set is dealt out, and how its pictures are varied.

use burn::tensor::Device;
use epsiloscope::data::{Augmentation, Batch, Batches, Dataset, Split};
use tempfile::tempdir;

use crate::common::{values, write_two_colours};

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
        .flat_map(|batch| batch.numbers.clone())
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
            .numbers
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
            .numbers
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
