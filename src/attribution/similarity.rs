//! Similarity of attribution maps: Spearman's rank correlation and structural similarity (SSIM).

/// Spearman's rank correlation of two lists of numbers, in [−1, 1]; 0 where one is constant.
pub fn spearman(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    if scale > 0.0 {
        (product(&a, &b) / scale) as f32
    } else {
        0.0
    }
}

/// Ranks by size, from 0; ties get their mean rank.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = |&&at: &&usize| values[at] == values[order[from]];
        let count = order[from..].iter().take_while(equal).count();
        let mean = from as f64 + (count as f64 - 1.0) / 2.0;
        for &at in &order[from..from + count] {
            ranks[at] = mean;
        }
        from += count;
    }
    ranks
}

/// Side in pixels of the sliding window of SSIM.
const WINDOW: usize = 7;

/// Mean structural similarity of two maps `[h, w]` (Wang et al. 2004, equation 13), each scaled to
/// a largest magnitude of 1; 1 for equal maps.
pub fn ssim(a: &[f32], b: &[f32], size: [usize; 2]) -> f32 {
    // The scaled values span −1 to 1.
    structural_similarity(&scaled(a), &scaled(b), size, 2.0)
}

/// Mean structural similarity of two planes `[h, w]` whose values span `range` (Wang et al. 2004,
/// equation 13), over square windows, strided to about 64 along a side of large planes; 1 for equal
/// planes.
pub fn structural_similarity(a: &[f32], b: &[f32], [h, w]: [usize; 2], range: f64) -> f32 {
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let side = WINDOW.min(h).min(w);
    let mut sum = 0.0;
    let stride = (h.max(w) / 64).max(1);
    let mut count = 0.0;
    for top in (0..=h - side).step_by(stride) {
        for left in (0..=w - side).step_by(stride) {
            let pixels =
                (top..top + side).flat_map(|y| (left..left + side).map(move |x| y * w + x));
            let mut moments = [0.0f64; 5];
            for at in pixels {
                let (a, b) = (f64::from(a[at]), f64::from(b[at]));
                for (moment, value) in moments.iter_mut().zip([a, b, a * a, b * b, a * b]) {
                    *moment += value;
                }
            }
            let [ma, mb, aa, bb, ab] = moments.map(|moment| moment / (side * side) as f64);
            let (va, vb, cov) = (aa - ma * ma, bb - mb * mb, ab - ma * mb);
            count += 1.0;
            sum += (2.0 * ma * mb + c1) * (2.0 * cov + c2)
                / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        }
    }
    (sum / count) as f32
}

fn scaled(values: &[f32]) -> Vec<f32> {
    let most = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let most = most.max(f32::MIN_POSITIVE);
    values.iter().map(|&v| v / most).collect()
}
