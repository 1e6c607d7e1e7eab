//! The luma of pictures, for networks that read one channel.

/// Shares of red, green and blue in the luma of a picture (ITU-R BT.601), as PIL and torchvision turn pictures grey.
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// The values of pictures' planes `[3, h, w]`, each channel the luma.
pub fn grey_planes(planes: &[f32]) -> Vec<f32> {
    let [red, green, blue] = [0, 1, 2].map(|channel| {
        let length = planes.len() / 3;
        &planes[channel * length..(channel + 1) * length]
    });
    let pixels = red.iter().zip(green).zip(blue);
    let luma: Vec<f32> = pixels
        .map(|((r, g), b)| LUMA[0] * r + LUMA[1] * g + LUMA[2] * b)
        .collect();
    luma.repeat(3)
}
