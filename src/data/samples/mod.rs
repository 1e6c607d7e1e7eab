//! Sample pictures bundled with the program: photographs (credits in `assets/pictures/LICENSES.md`)
//! and synthetic cracks.

pub mod synthetic_cracks;

use std::path::Path;

use super::picture::{Crop, Origin, Picture};

/// File name and encoded bytes of each photograph. The first ones are the background set ([`background`]).
const FILES: [(&str, &[u8]); 26] = [
    sample!("bird-kingfisher.jpg"),
    sample!("ship-yacht.jpg"),
    sample!("dog-shepherd.jpg"),
    sample!("automobile-beetle.jpg"),
    sample!("cat-chelsea.jpg"),
    sample!("airplane-airliner.jpg"),
    sample!("automobile-mini.jpg"),
    sample!("bird-macaw.jpg"),
    sample!("cat-kitten.jpg"),
    sample!("deer-moose.jpg"),
    sample!("frog-common.jpg"),
    sample!("horse-zaniskari.jpg"),
    sample!("other-astronaut.jpg"),
    sample!("other-coffee.jpg"),
    sample!("other-panda.jpg"),
    sample!("other-windmill.jpg"),
    sample!("ship-schooner.jpg"),
    sample!("truck-fire.jpg"),
    sample!("church-berlin.jpg"),
    sample!("church-vienna.jpg"),
    sample!("garbage_truck-white.jpg"),
    sample!("daisy-african.jpg"),
    sample!("dandelion-seeds.jpg"),
    sample!("parachute-paratrooper.jpg"),
    sample!("rose-wild.jpg"),
    sample!("other-yellow_flower.jpg"),
];

/// Every bundled photograph with its class name.
pub fn all() -> Vec<(Picture, Option<String>)> {
    FILES.iter().filter_map(with_class).collect()
}

/// The bundled photographs of these file names, with their class names.
pub fn of(names: &[&str]) -> Vec<(Picture, Option<String>)> {
    let find = |name: &&str| FILES.iter().find(|(known, _)| known == name);
    names
        .iter()
        .filter_map(find)
        .filter_map(with_class)
        .collect()
}

/// A photograph with its class name: the prefix of its file name, with spaces for `_`; `other` means no class.
fn with_class((name, bytes): &(&str, &[u8])) -> Option<(Picture, Option<String>)> {
    let class = name.split('-').next().filter(|class| *class != "other");
    Some((
        open(name, bytes)?,
        class.map(|class| class.replace('_', " ")),
    ))
}

fn open(name: &str, bytes: &[u8]) -> Option<Picture> {
    Some(Picture {
        origin: Origin::Bundled,
        ..Picture::decode(Path::new(name), bytes).ok()?
    })
}

/// The bundled photograph with that file name.
pub fn named(name: &Path) -> Option<Picture> {
    let mut files = FILES.iter();
    let (name, bytes) = files.find(|(known, _)| Path::new(known) == name)?;
    open(name, bytes)
}

/// Synthetic pictures of each class, cracked and clean.
const WALLS_PER_CLASS: u64 = 4;
/// Height and width of a synthetic picture, in pixels.
const WALL_SIDE: u32 = 128;

/// Synthetic walls, cracked (with their true masks) and clean, with the names of their classes.
pub fn synthetic_walls() -> Vec<(Picture, Option<Picture>, Option<String>)> {
    let wall = |(seed, cracked): (u64, bool)| {
        let class = if cracked { "crack" } else { "clean" };
        let (wall, mask) = synthetic_cracks::generate(seed, WALL_SIDE, cracked);
        let named = |kind: &str, image: image::RgbImage| {
            Picture::from_image(format!("{kind} {}", seed + 1).into(), image.into())
        };
        let mask = cracked.then(|| named("mask", mask));
        (named(class, wall), mask, Some(class.to_owned()))
    };
    let kinds = [true, false].into_iter();
    let seeds = kinds.flat_map(|cracked| (0..WALLS_PER_CLASS).map(move |seed| (seed, cracked)));
    seeds.map(wall).collect()
}

/// Scale and position ([`Crop`]) of the crops of [`background`].
const CROPS: [(f32, [f32; 2]); 5] = [
    (1.0, [0.5, 0.5]),
    (0.7, [0.0, 0.0]),
    (0.7, [1.0, 0.0]),
    (0.7, [0.0, 1.0]),
    (0.7, [1.0, 1.0]),
];

/// [`background`] uses this many photographs, from the first on: those that the measurements in
/// docs/attribution.md were made with.
const COMPARED: usize = 18;

/// Background set for expected gradients: crops of bundled photographs, each also mirrored, 180
/// pictures `[3, h, w]` in [0, 1].
pub fn background(size: [usize; 2]) -> Vec<Vec<f32>> {
    let mut pictures = Vec::new();
    for (picture, _) in all().into_iter().take(COMPARED) {
        for (scale, at) in CROPS {
            let image = picture.cropped(Crop { at, scale }, size);
            let mirrored = image::imageops::flip_horizontal(&image);
            pictures.extend(
                [image, mirrored]
                    .iter()
                    .map(crate::data::picture::unit_planes),
            );
        }
    }
    pictures
}

macro_rules! sample {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../assets/pictures/", $name)),
        )
    };
}
use sample;
