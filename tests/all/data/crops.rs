//! The part of a picture that a model sees.

use epsiloscope::data::{Crop, Picture};
use image::{DynamicImage, Rgb, RgbImage};
use proptest::prelude::*;

use crate::support::cases;

#[test]
fn a_single_pixel_fills_any_input() {
    let image = DynamicImage::from(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])));
    let picture = Picture::from_image("one".into(), image);
    let filled = picture.cropped(Crop::default(), [8, 5]);
    assert_eq!(filled.dimensions(), (5, 8));
    assert!(filled.pixels().all(|pixel| pixel.0 == [1, 2, 3]));
    assert_eq!(picture.planes([1, 1]), [1, 2, 3]);
}

#[test]
fn long_pictures_are_kept_small_and_remember_their_size() {
    for (size, kept) in [
        ([5000, 10], (1024, 2)),
        ([10, 5000], (2, 1024)),
        ([3000, 1], (1024, 1)),
    ] {
        let picture =
            Picture::from_image("pasted".into(), DynamicImage::new_rgb8(size[0], size[1]));
        assert_eq!(picture.original, size);
        assert_eq!(picture.pixels.dimensions(), kept);
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn crops_stay_inside_and_fill_the_input(
        (width, height) in (1_u32..400, 1_u32..400),
        (high, wide) in (1_usize..64, 1_usize..64),
        (x, y) in (-0.5_f32..1.5, -0.5_f32..1.5),
        scale in -0.5_f32..1.5,
    ) {
        let picture = Picture::from_image("blank".into(), DynamicImage::new_rgb8(width, height));
        let crop = Crop { at: [x, y], scale };
        let [left, top, w, h] = picture.crop_rectangle(crop, [high, wide]);
        prop_assert!(w >= 1 && h >= 1);
        prop_assert!(left + w <= width && top + h <= height, "{:?}", [left, top, w, h]);
        prop_assert_eq!(picture.cropped(crop, [high, wide]).dimensions(), (wide as u32, high as u32));
        prop_assert_eq!(picture.planes([high, wide]).len(), 3 * high * wide);
        let [.., w, h] = picture.crop_rectangle(Crop::default(), [high, wide]);
        prop_assert!(w == width || h == height, "the largest crop touches two sides");
    }

    #[test]
    fn large_crops_have_the_shape_of_the_input(
        (width, height) in (500_u32..1000, 500_u32..1000),
        (high, wide) in (1_usize..4, 1_usize..4),
        scale in 0.5_f32..1.0,
    ) {
        let picture = Picture::from_image("blank".into(), DynamicImage::new_rgb8(width, height));
        let [.., w, h] = picture.crop_rectangle(Crop { at: [0.5; 2], scale }, [high, wide]);
        let difference = w as f32 * high as f32 - h as f32 * wide as f32;
        // Each side is rounded by at most half a pixel.
        prop_assert!(difference.abs() <= 0.51 * (high + wide) as f32, "{w}×{h} for {wide}×{high}");
    }
}
