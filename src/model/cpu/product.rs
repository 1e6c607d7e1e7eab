//! Matrix multiplication (GEMM) on slices.

/// A strided view of a matrix in a slice: element (i, j) is at `i · rows + j · columns`.
#[derive(Clone, Copy)]
pub(super) struct MatrixView<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> MatrixView<'a> {
    /// A row-major matrix with `width` columns.
    pub(super) fn row_major(values: &'a [f32], width: usize) -> Self {
        Self {
            values,
            rows: width,
            columns: 1,
        }
    }

    /// The transpose.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            ..self
        }
    }

    /// Whether an `m` by `n` matrix lies within the slice.
    fn holds(&self, m: usize, n: usize) -> bool {
        m == 0 || n == 0 || (m - 1) * self.rows + (n - 1) * self.columns < self.values.len()
    }
}

/// `out += a · b` with a row-major `out` `[m, n]` and factors `[m, k]` and `[k, n]`; with `wide`,
/// parallelised over all cores.
#[expect(
    unsafe_code,
    reason = "the gemm crate takes pointers; the assertions bound its reach"
)]
pub(super) fn add_product(
    [m, k, n]: [usize; 3],
    out: &mut [f32],
    a: MatrixView,
    b: MatrixView,
    wide: bool,
) {
    assert!(out.len() >= m * n && a.holds(m, k) && b.holds(k, n));
    let parallelism = if wide {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    // SAFETY: with these strides every element touched lies within the slices, as just asserted;
    // `out` is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            true,
            a.values.as_ptr(),
            a.columns as isize,
            a.rows as isize,
            b.values.as_ptr(),
            b.columns as isize,
            b.rows as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
