//! Lines around the pixels of a set.

/// A line from one point to another.
type Segment = [[f32; 2]; 2];

/// The edges between pixels inside and outside, as straight lines as long as can be. The picture's
/// own border is no edge. `size` is height and width; the ends are in pixels from the top left.
pub fn outline(inside: &[bool], [h, w]: [usize; 2]) -> Vec<Segment> {
    let at = |x: usize, y: usize| inside[y * w + x];
    let mut lines = Vec::new();
    for y in 1..h {
        let edges = (0..w).map(|x| at(x, y) != at(x, y - 1));
        let level = y as f32;
        lines.extend(runs(edges).map(|[from, to]| [[from, level], [to, level]]));
    }
    for x in 1..w {
        let edges = (0..h).map(|y| at(x, y) != at(x - 1, y));
        let place = x as f32;
        lines.extend(runs(edges).map(|[from, to]| [[place, from], [place, to]]));
    }
    lines
}

/// Beginnings and ends of what is true without a gap.
fn runs(edges: impl Iterator<Item = bool>) -> impl Iterator<Item = [f32; 2]> {
    let mut begin = None;
    let mut found = Vec::new();
    for (place, edge) in edges.chain([false]).enumerate() {
        match (edge, begin) {
            (true, None) => begin = Some(place),
            (false, Some(from)) => {
                found.push([from as f32, place as f32]);
                begin = None;
            }
            _ => {}
        }
    }
    found.into_iter()
}
