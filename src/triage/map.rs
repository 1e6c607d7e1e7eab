//! Two-dimensional maps of representations: PCA and t-SNE.

use bhtsne::tSNE;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand_distr::{Distribution, StandardNormal};

use super::database::Database;
use super::store::StoredAttack;
use super::table::Table;
use crate::data::random::noise_rng;
use crate::error::{Error, Result};

/// Dimensionality reduction of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Principal component analysis, which is linear and fast.
    #[default]
    Pca,
    /// t-SNE (van der Maaten and Hinton 2008), Barnes-Hut (van der Maaten 2014): preserves
    /// neighbourhoods, not distances between them.
    Tsne,
}

/// The representations of a picture by a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Represented {
    /// Index of the picture in [`Table::records`].
    pub record: usize,
    /// Representation of the clean picture.
    pub clean: Vec<f32>,
    /// Representation of the attacked picture, of the same length.
    pub attacked: Option<Vec<f32>>,
}

/// The position of a picture on a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Index of the picture in [`Table::records`].
    pub record: usize,
    /// Position of the clean picture.
    pub clean: [f32; 2],
    /// Position of the attacked picture.
    pub attacked: Option<[f32; 2]>,
}

impl Database {
    /// The stored representations of a table's pictures by its model number `side`; invalid ones are left
    /// out.
    ///
    /// # Errors
    /// [`Error::Data`] where the database cannot be read.
    pub fn representations(&self, table: &Table, side: usize) -> Result<Vec<Represented>> {
        let mut found: Vec<Represented> = Vec::new();
        for (index, record) in table.records.iter().enumerate() {
            let Some((key, aim)) = table.attacked_as(side, record) else {
                continue;
            };
            let Some(clean) = self.halves(key, StoredAttack::default())? else {
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

/// The positions of the pictures, and for PCA the share of the variance that the two components explain.
///
/// PCA is fitted to the clean pictures and applied to both; t-SNE, which is no projection, embeds both
/// together.
///
/// # Errors
/// [`Error::Config`] when there are too few pictures, or too many for t-SNE.
pub fn map(represented: &[Represented], layout: Layout) -> Result<(Vec<Point>, Option<f32>)> {
    let clean = represented.iter().map(|one| one.clean.as_slice());
    let attacked = represented.iter().filter_map(|one| one.attacked.as_deref());
    let too_few = || Error::Config("a map needs at least three pictures".into());
    if represented.len() < 3 {
        return Err(too_few());
    }
    let (places, share) = match layout {
        Layout::Pca => {
            let found = pca(&clean.clone().collect::<Vec<_>>(), 2).ok_or_else(too_few)?;
            let place = |row: &[f32]| found.project(row);
            let places: Vec<[f32; 2]> = clean
                .chain(attacked)
                .map(|row| match place(row)[..] {
                    [x, y] => [x, y],
                    _ => [0.0; 2],
                })
                .collect();
            (places, Some(found.shares.iter().sum()))
        }
        Layout::Tsne => (tsne(&clean.chain(attacked).collect::<Vec<_>>())?, None),
    };
    let (clean, attacked) = places.split_at(represented.len());
    let mut attacked = attacked.iter().copied();
    let points = represented.iter().zip(clean).map(|(one, &clean)| Point {
        record: one.record,
        clean,
        attacked: one.attacked.as_ref().and_then(|_| attacked.next()),
    });
    Ok((points.collect(), share))
}

/// Principal components of a set of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    mean: DVector<f32>,
    /// Principal axes, one unit column each.
    axes: DMatrix<f32>,
    /// Explained share of the variance of each axis, in [0, 1].
    pub shares: Vec<f32>,
}

/// Oversampling: additional dimensions of the subspace, for faster convergence.
const OVERSAMPLING: usize = 8;

/// Number of subspace iterations: components of half the variance of the last wanted one are then reduced
/// to 10⁻⁹ of it.
const ITERATIONS: usize = 30;

/// The first `count` principal components of vectors of one length, by randomised subspace iteration
/// (Halko, Martinsson and Tropp 2011, algorithm 4.4); `None` for fewer than two.
///
/// The sign of each axis makes its largest coordinate positive.
pub fn pca(rows: &[&[f32]], count: usize) -> Option<Pca> {
    let width = rows.first()?.len();
    if rows.len() < 2 || width == 0 {
        return None;
    }
    // Column-major: each vector is a column here.
    let values = rows.iter().flat_map(|row| row.iter().copied());
    let mut columns = DMatrix::from_iterator(width, rows.len(), values);
    let mean = columns.column_mean();
    for mut column in columns.column_iter_mut() {
        column -= &mean;
    }
    let variance = columns.norm_squared();
    let mut rng = noise_rng(0, 0);
    let kept = (count + OVERSAMPLING).min(width);
    let mut basis = DMatrix::from_fn(width, kept, |_, _| StandardNormal.sample(&mut rng));
    for _ in 0..ITERATIONS {
        basis = basis.qr().q();
        basis = &columns * (columns.tr_mul(&basis));
    }
    let basis = basis.qr().q();
    let projected = columns.tr_mul(&basis);
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(projected.tr_mul(&projected));
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
    /// Projects a vector onto the axes.
    pub fn project(&self, row: &[f32]) -> Vec<f32> {
        let centred = DVector::from_column_slice(row) - &self.mean;
        self.axes.tr_mul(&centred).as_slice().to_vec()
    }
}

/// Most points of t-SNE: more would take minutes.
pub const TSNE_MOST: usize = 20_000;
/// Number of principal components to which points are reduced before t-SNE, as is usual.
const TSNE_COMPONENTS: usize = 30;
/// Usual parameters of t-SNE.
const PERPLEXITY: f32 = 30.0;
const EPOCHS: usize = 500;
const THETA: f32 = 0.5;
/// Standard deviation of the initial embedding by PCA (Kobak and Berens 2019).
const INITIAL_DEVIATION: f32 = 1e-4;

/// Embeds vectors of one length by t-SNE, initialised with their first principal components.
///
/// # Errors
/// [`Error::Config`] for fewer than three rows or more than [`TSNE_MOST`].
pub fn tsne(rows: &[&[f32]]) -> Result<Vec<[f32; 2]>> {
    if rows.len() > TSNE_MOST {
        return Err(Error::Config(format!(
            "{} points are too many for t-SNE; the most are {TSNE_MOST}",
            rows.len()
        )));
    }
    let components = TSNE_COMPONENTS.min(rows.first().map_or(0, |row| row.len()));
    let found = pca(rows, components).filter(|_| rows.len() > 2);
    let found = found.ok_or_else(|| Error::Config("t-SNE needs at least three points".into()))?;
    let points: Vec<Vec<f32>> = rows.iter().map(|row| found.project(row)).collect();
    let spread = points.iter().map(|point| point[0].powi(2)).sum::<f32>();
    if spread < 1e-12 {
        // The library fails where all points are equal.
        return Ok(vec![[0.0; 2]; rows.len()]);
    }
    let scale = INITIAL_DEVIATION / (spread / points.len() as f32).sqrt().max(f32::MIN_POSITIVE);
    let second = |point: &[f32]| point.get(1).copied().unwrap_or_default();
    // Equal points get different initial positions, as equal ones would never separate.
    let mut rng = noise_rng(0, 0);
    let mut apart = |value: f32| {
        let noise: f32 = StandardNormal.sample(&mut rng);
        value * scale + 0.01 * INITIAL_DEVIATION * noise
    };
    let start: Vec<f32> = points
        .iter()
        .flat_map(|point| [point[0], second(point)])
        .map(&mut apart)
        .collect();
    let mut run: tSNE<f32, Vec<f32>> = tSNE::new(&points);
    run.perplexity(PERPLEXITY.min((rows.len() - 1) as f32 / 3.0))
        .epochs(EPOCHS)
        .initial_embedding(start)
        .barnes_hut(THETA, |a, b| {
            let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
            squares.sum::<f32>().sqrt()
        });
    let places = run.embedding();
    Ok(places
        .chunks_exact(2)
        .map(|place| [place[0], place[1]])
        .collect())
}
