//! HTML report of a selection: one self-contained page with matrices and the worst errors.

use std::fmt::Write;
use std::io::Cursor;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use image::imageops::FilterType;

use crate::data::PictureLocation;
use crate::error::Result;
use crate::files::{escaped, write_atomically};
use crate::triage::matrix::{Axis, ConfusionMatrix};
use crate::triage::query::Query;
use crate::triage::table::{Record, Side, Table};

/// Number of worst errors shown.
const WORST: usize = 20;

/// Longest side of a thumbnail on the page, in pixels.
const SHOWN: u32 = 128;

/// Confusion matrices of more classes are left out as unreadable.
const MOST_CLASSES: usize = 30;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:90em;margin:2em auto;\
padding:0 1em;color:#222;background:#fff}table{border-collapse:collapse;margin:1em 0}\
th,td{border:1px solid #ccc;padding:.25em .6em;text-align:right}th{font-weight:600;\
background:#f3f3f3}caption{text-align:left;color:#555}td:empty{background:#fafafa}\
figure{display:inline-block;vertical-align:top;width:12em;margin:0 1em 1.5em 0;\
overflow-wrap:anywhere}figcaption{font-size:.85em}img{image-rendering:pixelated;min-width:96px}\
section{display:inline-block;vertical-align:top;margin-right:2em}\
code{background:#f3f3f3;padding:.1em .3em}";

/// Writes a page about the records `selected` by `query`: the matrices of the selection and its worst
/// pictures, which are those that models are wrong about with the highest confidence, clean before
/// attacked.
///
/// # Errors
/// [`crate::error::Error::Io`] when the page cannot be written; a picture that cannot be opened any
/// more is said to be so on the page.
pub fn html(table: &Table, query: &Query, selected: &[usize], path: &Path) -> Result<()> {
    let part = table.part(selected);
    let mut page = String::new();
    let source = part
        .plan
        .as_ref()
        .map(|plan| plan.source.display().to_string());
    let source = escaped(&source.unwrap_or_default());
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <title>Pictures of {source}</title><style>{STYLE}</style><h1>{source}</h1>"
    );
    facts(&mut page, table, &part, query);
    worst(&mut page, &part);
    for matrix in ConfusionMatrix::all(&part) {
        page.push_str("<section>");
        counts(&mut page, &matrix);
        page.push_str("</section>");
    }
    write_atomically(path, page.as_bytes())
}

fn facts(page: &mut String, table: &Table, part: &Table, query: &Query) {
    let query = match query.to_string() {
        text if text.is_empty() => "all".into(),
        text => format!("<code>{}</code>", escaped(&text)),
    };
    let (some, all) = (part.records.len(), table.records.len());
    let _ = write!(page, "<p>{some} of {all} pictures: {query}");
    if let Some(attack) = part.plan.as_ref().and_then(|plan| plan.attack.as_ref()) {
        let _ = write!(page, "<br>Attack: {}", escaped(&attack.to_string()));
    }
    for (side, subject) in part.subjects.iter().enumerate() {
        let model_label = Table::model_label(side);
        let _ = write!(page, "<br>Model {model_label}: {}", escaped(&subject.name));
    }
    page.push_str("</p>");
}

fn counts(page: &mut String, matrix: &ConfusionMatrix) {
    let title = escaped(&matrix.title);
    let _ = write!(page, "<h2>{title}</h2>");
    let widest = matrix.rows.parts.len().max(matrix.columns.parts.len());
    if widest > MOST_CLASSES {
        let _ = write!(page, "<p>{widest} classes are too many for a table.</p>");
        return;
    }
    let heads = |axis: &Axis| -> Vec<String> {
        let names = axis.parts.iter();
        names
            .map(|(name, _)| format!("<th>{}</th>", escaped(name)))
            .collect()
    };
    let (rows, columns) = (escaped(&matrix.rows.title), escaped(&matrix.columns.title));
    let _ = write!(
        page,
        "<table><caption>Down: {rows}; across: {columns}</caption><tr><td></td>{}</tr>",
        heads(&matrix.columns).concat()
    );
    for (head, row) in heads(&matrix.rows).into_iter().zip(&matrix.counts) {
        let cell = |&count: &usize| match count {
            0 => "<td></td>".to_owned(),
            count => format!("<td>{count}</td>"),
        };
        let cells: String = row.iter().map(cell).collect();
        let _ = write!(page, "<tr>{head}{cells}</tr>");
    }
    page.push_str("</table>");
}

/// Score of an error: the largest confidence of a wrong prediction, plus 1 where the picture was not
/// attacked; 0 without one.
fn error_score(record: &Record) -> f32 {
    let of = |side: &Side| {
        let clean = (side.right == Some(false)).then_some(1.0 + side.confidence);
        let attacked = side.attacked.filter(|hit| hit.right == Some(false));
        clean.or(attacked.map(|hit| hit.confidence)).unwrap_or(0.0)
    };
    record.sides.iter().flatten().map(of).fold(0.0, f32::max)
}

fn worst(page: &mut String, table: &Table) {
    let mut errors: Vec<(f32, usize)> = table.records.iter().map(error_score).zip(0..).collect();
    errors.retain(|(error_score, _)| *error_score > 0.0);
    errors.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    errors.truncate(WORST);
    if errors.is_empty() {
        return;
    }
    page.push_str("<h2>The worst</h2>");
    for (_, index) in errors {
        let record = &table.records[index];
        let picture = thumbnail(Path::new(&record.path)).unwrap_or_else(|error| {
            let reason = escaped(&error.to_string());
            format!("<p>{reason}</p>")
        });
        let _ = write!(page, "<figure>{picture}<figcaption>");
        let _ = write!(page, "{}", escaped(&record.path));
        if record.truth.is_some() {
            let truth = escaped(table.class(record.truth));
            let _ = write!(page, "<br>true: {truth}");
        }
        for (model_label, side) in ('a'..).zip(&record.sides) {
            let Some(side) = side else { continue };
            let said = |class: usize, confidence: f32| {
                let class = escaped(table.class(Some(class)));
                format!("{class} ({:.1} %)", confidence * 100.0)
            };
            let _ = write!(
                page,
                "<br>{model_label}: {}",
                said(side.class, side.confidence)
            );
            if let Some(hit) = side.attacked {
                let _ = write!(page, ", attacked {}", said(hit.class, hit.confidence));
            }
        }
        page.push_str("</figcaption></figure>");
    }
}

fn thumbnail(path: &Path) -> Result<String> {
    let entry = PictureLocation::at(path.into());
    let picture = entry.decode(&entry.bytes()?)?;
    let (width, height) = picture.pixels.dimensions();
    let scale = (SHOWN as f32 / width.max(height) as f32).min(1.0);
    let [w, h] = [width, height].map(|side| ((side as f32 * scale).round() as u32).max(1));
    let small = image::imageops::resize(&*picture.pixels, w, h, FilterType::Triangle);
    let mut png = Cursor::new(Vec::new());
    let encoded = small.write_to(&mut png, ImageFormat::Png);
    encoded.map_err(|error| crate::error::Error::io(path, "show", error))?;
    let data = STANDARD.encode(png.into_inner());
    Ok(format!(
        "<img alt=\"\" src=\"data:image/png;base64,{data}\">"
    ))
}
