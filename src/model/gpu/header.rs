//! What comes before a shader's text: constants of the kernel's shape, which are compiled in, and the sizes, which are read.
//!
//! Few kernels differ in shape, many layers in size: a network needs a handful of pipelines.

use std::fmt::Write;

use super::pass::Pass;

/// What a shader reads in its last buffer.
pub(super) const SIZES: &str = "struct Sizes {
    pictures: u32,
    groups: u32,
    inputs: u32,
    outputs: u32,
    input_h: u32,
    input_w: u32,
    output_h: u32,
    output_w: u32,
    positions_h: u32,
    positions_w: u32,
    first_y: i32,
    first_x: i32,
    output_offset_y: u32,
    output_offset_x: u32,
    has_bias: u32,
    has_residual: u32,
    is_rectified: u32,
    is_bounded: u32,
    ceiling: f32,
}
";

/// The values of the sizes, as 32-bit words.
pub(super) type Sizes = [u32; 19];

/// What follows a sum at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epilogue {
    pub(super) has_bias: bool,
    pub(super) has_residual: bool,
    /// The largest value of a ReLU, ∞ where it has none; `None` without a ReLU.
    pub(super) ceiling: Option<f32>,
}

/// The constants of a pass.
pub(super) fn constants(pass: &Pass) -> String {
    let mut header = String::new();
    for (axis, [long, short]) in pass.axes.iter().zip([["H", "Y"], ["W", "X"]]) {
        constant(&mut header, &format!("TAPS_{long}"), axis.kernel.len());
        constant(&mut header, &format!("SPACING_{short}"), axis.spacing);
        constant(&mut header, &format!("STEP_{short}"), axis.step);
        let name = format!("OUTPUT_STEP_{short}");
        constant(&mut header, &name, axis.output_step);
    }
    header
}

/// Adds a whole number to a shader's constants.
pub(super) fn constant(header: &mut String, name: &str, value: usize) {
    // Writing to a text does not fail.
    let _ = writeln!(header, "const {name}: u32 = {value}u;");
}

/// The sizes of a pass on pictures.
pub(super) fn sizes(pass: &Pass, pictures: usize, epilogue: Epilogue) -> Sizes {
    let [down, across] = &pass.axes;
    let first = |first: isize| first as i32 as u32;
    let ceiling = epilogue.ceiling.unwrap_or(f32::INFINITY);
    let is_bounded = ceiling.is_finite();
    [
        pictures as u32,
        pass.groups as u32,
        pass.inputs as u32,
        pass.outputs as u32,
        down.input as u32,
        across.input as u32,
        down.output as u32,
        across.output as u32,
        down.positions as u32,
        across.positions as u32,
        first(down.first),
        first(across.first),
        down.output_offset as u32,
        across.output_offset as u32,
        u32::from(epilogue.has_bias),
        u32::from(epilogue.has_residual),
        u32::from(epilogue.ceiling.is_some()),
        u32::from(is_bounded),
        // Shaders know no ∞.
        if is_bounded { ceiling } else { 0.0 }.to_bits(),
    ]
}
