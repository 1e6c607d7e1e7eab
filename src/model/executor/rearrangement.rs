//! Steps that move the values of maps, row by row, with their gradients.

use super::instructions::Resources;
use super::layout::{Layout, Map, MapMut};
use super::strided::{accumulate, copy};
use super::view::{Base, Operand, View};

/// Calls `work` with each pixel of a map that is written, and the same one of another.
fn for_each_pixel(
    (to, out): MapMut,
    (from, x): Map,
    threads: usize,
    work: impl Fn(&mut [f32], &[f32]) + Sync + Send,
) {
    to.for_each_row(out, threads, |place, row| {
        let pixels = from.row_of(x, place).chunks_exact(from.pitch);
        let pixels = row.chunks_exact_mut(to.pitch).zip(pixels);
        pixels.for_each(|(to, pixel)| work(to, pixel));
    });
}

/// Channels of several maps, one after the other.
pub(super) fn concatenate(from: &[Map], (to, out): MapMut, threads: usize) {
    let mut first = 0;
    for &(source, values) in from {
        for_each_pixel((to, &mut *out), (source, values), threads, |to, pixel| {
            to[first..first + source.c].copy_from_slice(&pixel[..source.c]);
        });
        first += source.c;
    }
}

/// The gradient with respect to the map whose channels begin at `first`, added to `out`.
pub(super) fn concatenate_backward(first: usize, gradient: Map, to: MapMut, threads: usize) {
    for_each_pixel(to, gradient, threads, |to, pixel| {
        let values = pixel[first..].iter().take(to.len());
        to.iter_mut().zip(values).for_each(|(to, part)| *to += part);
    });
}

/// These channels.
pub(super) fn select(channels: &[usize], from: Map, to: MapMut, threads: usize) {
    for_each_pixel(to, from, threads, |to, pixel| {
        for (to, channel) in to.iter_mut().zip(channels) {
            *to = pixel[*channel];
        }
    });
}

/// The gradient of it, added to `out`.
pub(super) fn select_backward(channels: &[usize], gradient: Map, to: MapMut, threads: usize) {
    for_each_pixel(to, gradient, threads, |to, pixel| {
        for (channel, part) in channels.iter().zip(pixel) {
            to[*channel] += part;
        }
    });
}

/// A border of zeros, of which so many rows and columns lie before the map.
pub(super) fn pad([above, left]: [usize; 2], (from, x): Map, (to, out): MapMut, threads: usize) {
    to.for_each_row(out, threads, |[picture, y], row| {
        row.fill(0.0);
        if let Some(y) = y.checked_sub(above).filter(|&y| y < from.h) {
            let values = from.row_of(x, [picture, y]);
            row[left * to.pitch..][..values.len()].copy_from_slice(values);
        }
    });
}

/// The gradient of it, added to `out`.
pub(super) fn pad_backward(
    [above, left]: [usize; 2],
    (from, gradient): Map,
    (to, out): MapMut,
    threads: usize,
) {
    to.for_each_row(out, threads, |[picture, y], row| {
        let gradient = &from.row_of(gradient, [picture, y + above])[left * from.pitch..];
        row.iter_mut()
            .zip(gradient)
            .for_each(|(to, part)| *to += part);
    });
}

/// A map of one picture as a tensor `[h, w, c]`.
pub(super) fn unpack(map: Map, out: &mut [f32], resources: Resources) {
    let from = pixels(map.0);
    let to = View::contiguous(from.base.clone(), from.sides.clone());
    copy(Operand::new(&from, map.1), (&to, out), resources);
}

/// The gradient of it, added to `out`.
pub(super) fn unpack_backward(gradient: &[f32], (to, out): MapMut, resources: Resources) {
    let to = pixels(to);
    let from = View::contiguous(to.base.clone(), to.sides.clone());
    accumulate(Operand::new(&from, gradient), (&to, out), 1.0, resources);
}

/// A tensor `[1, c, h, w]` of one picture as a map.
pub(super) fn pack(from: Operand, (to, out): MapMut, resources: Resources) {
    let view = from.view.permuted(&[0, 2, 3, 1]);
    copy(
        Operand::new(&view, from.values),
        (&pixels(to), out),
        resources,
    );
}

/// The gradient of it, added to `out`, which lies as the view says.
pub(super) fn pack_backward(map: Map, (view, out): (&View, &mut [f32]), resources: Resources) {
    let view = view.permuted(&[0, 2, 3, 1]);
    accumulate(
        Operand::new(&pixels(map.0), map.1),
        (&view, out),
        1.0,
        resources,
    );
}

/// A map of one picture as a view `[1, h, w, c]`.
fn pixels(map: &Layout) -> View {
    View {
        // Whose numbers it is of is known where it is used.
        base: Base::Map(0),
        sides: vec![1, map.h, map.w, map.c],
        strides: vec![0, map.row(), map.pitch, 1],
        offset: map.pixel(0, 0),
    }
}
