//! Pictures as points: near each other where a model represents them alike.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand_distr::{Distribution, StandardNormal};

use super::database::Database;
use super::store::Aim;
use super::table::Table;
use crate::descent::generator;
use crate::error::{Error, Result};

/// A picture of a table as a model represents it.
#[derive(Clone, Debug, PartialEq)]
pub struct Represented {
    /// Its number in the table.
    pub record: usize,
    /// The representation of the picture.
    pub clean: Vec<f32>,
    /// That of what the attack made of it.
    pub attacked: Option<Vec<f32>>,
}

/// A picture of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its number in the table.
    pub record: usize,
    /// Where the picture is.
    pub clean: [f32; 2],
    /// Where the attack moved it.
    pub attacked: Option<[f32; 2]>,
}

impl Database {
    /// The representations that the model `side` of a table has of its pictures, as far as they were
    /// kept and are sound.
    ///
    /// # Errors
    /// [`Error::Data`] where the file contradicts itself.
    pub fn representations(&self, table: &Table, side: usize) -> Result<Vec<Represented>> {
        let mut found: Vec<Represented> = Vec::new();
        for (index, record) in table.records.iter().enumerate() {
            let Some((key, aim)) = table.attacked_as(side, record) else {
                continue;
            };
            let Some(clean) = self.halves(key, Aim::default())? else {
                continue;
            };
            let attacked = self.halves(key, aim)?;
            let width = found.first().map_or(clean.len(), |first| first.clean.len());
            if clean.len() == width {
                let attacked = attacked.filter(|attacked| attacked.len() == width);
                found.push(Represented {
                    record: index,
                    clean,
                    attacked,
                });
            }
        }
        Ok(found)
    }
}

/// The pictures along the first two principal components of the clean ones, through which attacked ones
/// go too, and the share of the variance that these show, in [0, 1].
///
/// # Errors
/// [`Error::Config`] when there are too few pictures.
pub fn map(represented: &[Represented]) -> Result<(Vec<Point>, f32)> {
    let clean: Vec<&[f32]> = represented.iter().map(|one| &*one.clean).collect();
    let found = pca(&clean, 2).filter(|_| represented.len() > 2);
    let found = found.ok_or_else(|| Error::Config("a map needs at least three pictures".into()))?;
    let place = |row: &[f32]| {
        let scores = found.project(row);
        [0, 1].map(|axis| scores.get(axis).copied().unwrap_or_default())
    };
    let points = represented.iter().map(|one| Point {
        record: one.record,
        clean: place(&one.clean),
        attacked: one.attacked.as_deref().map(place),
    });
    Ok((points.collect(), found.shares.iter().sum()))
}

/// Principal components of rows of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    mean: DVector<f32>,
    /// A unit column each.
    axes: DMatrix<f32>,
    /// Share of the variance along each axis, in [0, 1].
    pub shares: Vec<f32>,
}

/// Directions kept beside those that are wanted, so that these are found sooner.
const BESIDE: usize = 8;

/// Rounds of the iteration: directions that carry half the variance of the last wanted one are then
/// 10⁻⁹ of it.
const ROUNDS: usize = 30;

/// The first `count` principal components of rows of one length, by subspace iteration (Halko,
/// Martinsson and Tropp 2011, algorithm 4.4). Nothing with fewer than two rows.
///
/// Each axis points where its largest coordinate is positive.
pub fn pca(rows: &[&[f32]], count: usize) -> Option<Pca> {
    let width = rows.first()?.len();
    if rows.len() < 2 || width == 0 {
        return None;
    }
    // Column-major: each row of numbers is a column here.
    let values = rows.iter().flat_map(|row| row.iter().copied());
    let mut columns = DMatrix::from_iterator(width, rows.len(), values);
    let mean = columns.column_mean();
    for mut column in columns.column_iter_mut() {
        column -= &mean;
    }
    let variance = columns.norm_squared();
    let mut rng = generator(0, 0);
    let kept = (count + BESIDE).min(width);
    let mut basis = DMatrix::from_fn(width, kept, |_, _| StandardNormal.sample(&mut rng));
    for _ in 0..ROUNDS {
        basis = basis.qr().q();
        basis = &columns * (columns.tr_mul(&basis));
    }
    let basis = basis.qr().q();
    let seen = columns.tr_mul(&basis);
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(seen.tr_mul(&seen));
    let mut order: Vec<usize> = (0..kept).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
    order.truncate(count);
    let axes = order.iter().map(|&index| {
        let axis = &basis * eigenvectors.column(index);
        let sign = axis[axis.icamax()].signum();
        axis * sign
    });
    let axes: Vec<DVector<f32>> = axes.collect();
    let share = |&index: &usize| eigenvalues[index].max(0.0) / variance.max(f32::MIN_POSITIVE);
    Some(Pca {
        mean,
        axes: DMatrix::from_columns(&axes),
        shares: order.iter().map(share).collect(),
    })
}

impl Pca {
    /// Coordinates of a row along the axes.
    pub fn project(&self, row: &[f32]) -> Vec<f32> {
        let centred = DVector::from_column_slice(row) - &self.mean;
        self.axes.tr_mul(&centred).as_slice().to_vec()
    }
}
