//! Matrix multiplication (GEMM) on slices.

/// A strided view of a matrix in a slice: element (i, j) is at `i · rows + j · columns`.
#[derive(Clone, Copy)]
pub(in crate::model) struct MatrixView<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> MatrixView<'a> {
    /// A row-major matrix with `width` columns.
    pub(in crate::model) fn row_major(values: &'a [f32], width: usize) -> Self {
        Self::strided(values, width, 1)
    }

    /// A matrix with these distances between rows and between columns.
    pub(in crate::model) fn strided(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self {
            values,
            rows,
            columns,
        }
    }

    /// The transpose.
    pub(in crate::model) fn transposed(self) -> Self {
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

/// A strided view of a matrix that is written.
pub(in crate::model) struct MatrixViewMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
}

impl<'a> MatrixViewMut<'a> {
    /// A row-major matrix with `width` columns.
    pub(in crate::model) fn row_major(values: &'a mut [f32], width: usize) -> Self {
        Self::strided(values, width, 1)
    }

    /// A matrix with these distances between rows and between columns.
    pub(in crate::model) fn strided(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self {
            values,
            rows,
            columns,
        }
    }

    /// Whether no two elements of an `m` by `n` matrix are the same place, and all are in the slice.
    fn holds_apart(&self, m: usize, n: usize) -> bool {
        let of_values = MatrixView::strided(self.values, self.rows, self.columns);
        let by_rows = self.columns > 0 && (m < 2 || self.rows > self.columns * n.saturating_sub(1));
        let by_columns = self.rows > 0 && (n < 2 || self.columns > self.rows * m.saturating_sub(1));
        of_values.holds(m, n) && (m * n < 2 || by_rows || by_columns)
    }
}

/// `out += a · b` with `out` `[m, n]` and factors `[m, k]` and `[k, n]`; with `wide`,
/// parallelised over all cores.
#[expect(
    unsafe_code,
    reason = "the gemm crate takes pointers; the assertions bound its reach"
)]
pub(in crate::model) fn add_product(
    [m, k, n]: [usize; 3],
    out: MatrixViewMut,
    a: MatrixView,
    b: MatrixView,
    wide: bool,
) {
    assert!(out.holds_apart(m, n) && a.holds(m, k) && b.holds(k, n));
    let parallelism = if wide {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    // SAFETY: with these strides every element touched lies within the slices, as just asserted;
    // `out` is borrowed mutably, so it overlaps neither factor, and its elements are places of their own.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.values.as_mut_ptr(),
            out.columns as isize,
            out.rows as isize,
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
