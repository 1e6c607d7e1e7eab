//! A page as SVG: pictures inside, text as text.

use std::fmt::Write;
use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};

use super::page::{Anchor, FigurePage, PageItem, Words};
use super::text::FAMILY;
use crate::files::escaped;

/// Thickening of strong text, as a share of its height: the font has one weight.
const STRONG: f32 = 0.045;

/// Writes the page.
pub fn svg(page: &FigurePage) -> String {
    let [width, height] = page.size;
    let (shown, unit) = match page.millimetres {
        Some(millimetres) => ([millimetres, millimetres * height / width], "mm"),
        None => ([width, height], ""),
    };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}{unit}\" height=\"{}{unit}\" \
         viewBox=\"0 0 {} {}\" font-family=\"{FAMILY}\" font-weight=\"300\">\n",
        round(shown[0]),
        round(shown[1]),
        round(width),
        round(height),
    );
    text += "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    for item in &page.items {
        push(&mut text, item, page.scale);
    }
    text + "</svg>\n"
}

fn push(text: &mut String, item: &PageItem, scale: f32) {
    match item {
        PageItem::Words(words) => push_words(text, words),
        PageItem::Picture { image, area } => push_picture(text, image, *area, scale),
        PageItem::Block { area, color } => {
            let [x, y, w, h] = area.map(round);
            let color = hex(*color);
            line(
                text,
                format_args!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{color}\"/>"
                ),
            );
        }
        PageItem::Lines {
            paths,
            color,
            width,
            dash,
        } => {
            let mut data = String::new();
            for path in paths {
                for (index, [x, y]) in path.iter().enumerate() {
                    let character = if index == 0 { 'M' } else { 'L' };
                    let _ = write!(data, "{character}{} {}", round(*x), round(*y));
                }
            }
            let dash = match *dash {
                dash if dash > 0.0 => format!(" stroke-dasharray=\"{}\"", round(dash)),
                _ => String::new(),
            };
            let (color, width) = (hex(*color), round(*width));
            line(
                text,
                format_args!(
                    "<path d=\"{data}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" \
                     stroke-linecap=\"round\" stroke-linejoin=\"round\"{dash}/>"
                ),
            );
        }
    }
}

fn push_words(text: &mut String, words: &Words) {
    let [x, y] = words.at.map(round);
    let anchor = match words.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let turn = if words.upward {
        format!(" transform=\"rotate(-90 {x} {y})\"")
    } else {
        String::new()
    };
    let color = hex(words.color);
    let stroke = if words.strong {
        let width = round(STRONG * words.size);
        format!(" stroke=\"{color}\" stroke-width=\"{width}\"")
    } else {
        String::new()
    };
    line(
        text,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\" \
             fill=\"{color}\"{stroke}{turn}>{}</text>",
            round(words.size),
            escaped(&words.text),
        ),
    );
}

fn push_picture(text: &mut String, image: &RgbImage, area: [f32; 4], scale: f32) {
    let mut png = Cursor::new(Vec::new());
    // Memory takes all that is written to it.
    let written = image.write_to(&mut png, ImageFormat::Png);
    debug_assert!(written.is_ok());
    let data = BASE64_STANDARD.encode(png.get_ref());
    // A picture drawn smaller than it is would lose whole pixels.
    let shrunk = area[2] * scale < image.width() as f32;
    let rendering = if shrunk { "auto" } else { "pixelated" };
    let [x, y, w, h] = area.map(round);
    line(
        text,
        format_args!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:{rendering}\" href=\"data:image/png;base64,{data}\"/>"
        ),
    );
}

fn line(text: &mut String, what: std::fmt::Arguments) {
    let _ = writeln!(text, "{what}");
}

/// Three decimals are finer than any printer.
fn round(value: f32) -> f32 {
    (value * 1000.0).round() / 1000.0
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
