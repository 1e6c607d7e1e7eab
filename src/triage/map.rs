//! Pictures as points: near each other where a model represents them alike.

use bhtsne::tSNE;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand_distr::{Distribution, StandardNormal};

use super::database::Database;
use super::store::StoredAttack;
use super::table::Table;
use crate::data::random::noise_rng;
use crate::error::{Error, Result};

/// How points are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Principal components: a linear view, at once.
    #[default]
    Pca,
    /// t-SNE (van der Maaten and Hinton 2008), Barnes-Hut (van der Maaten 2014): neighbourhoods kept,
    /// distances between them not.
    Tsne,
}

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

/// Where the layout puts the pictures, and the share of the variance that it shows, where that is known.
///
/// Attacked pictures go through the same projection as clean ones; t-SNE has none, and so places both
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
    let mut rng = noise_rng(0, 0);
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

/// More points than this take t-SNE minutes.
pub const TSNE_MOST: usize = 20_000;
/// Components that t-SNE looks at: what the rest adds is noise, and time.
const TSNE_COMPONENTS: usize = 30;
/// Its usual numbers.
const PERPLEXITY: f32 = 30.0;
const EPOCHS: usize = 500;
const THETA: f32 = 0.5;
/// Standard deviation of where it begins, along the first principal component (Kobak and Berens 2019).
const START: f32 = 1e-4;

/// Lays rows of one length out by t-SNE, from their principal components.
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
        // The library asks for some difference.
        return Ok(vec![[0.0; 2]; rows.len()]);
    }
    let scale = START / (spread / points.len() as f32).sqrt().max(f32::MIN_POSITIVE);
    let second = |point: &[f32]| point.get(1).copied().unwrap_or_default();
    // Equal points must not begin at one place, where nothing would part them.
    let mut rng = noise_rng(0, 0);
    let mut apart = |value: f32| {
        let noise: f32 = StandardNormal.sample(&mut rng);
        value * scale + 0.01 * START * noise
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
