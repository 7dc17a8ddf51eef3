//! The ratios as a picture: a bar to the median, and a line over its range.

use std::fmt::{self, Write};

use polyport::Result;

use crate::{figures::Spread, rounds::Measured};

const WIDTH: f64 = 900.0;
/// Where bars begin, and how long one of 1.00 is.
const LEFT: f64 = 300.0;
const ONE: f64 = 260.0;
/// Where the longest ends.
const RIGHT: f64 = 800.0;
const LINE: f64 = 20.0;

pub(super) fn draw(measured: &[Measured]) -> Result<String> {
    let lines: usize = measured.iter().map(|row| row.row.variants.len() + 2).sum();
    let height = (lines + 1) as f64 * LINE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = LINE;
    for row in measured {
        y = draw_row(&mut svg, row, y)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Draws a row from `y` on; where the next one begins.
fn draw_row(svg: &mut String, row: &Measured, mut y: f64) -> Result<f64, fmt::Error> {
    let Some(kind) = row.kinds().first().copied() else { return Ok(y) };
    let title = format!("{}: {}, ratio", row.row.title, kind.title());
    writeln!(svg, "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{}</text>", escape(&title))?;
    let (top, one) = (y + 6.0, LEFT + ONE);
    for (index, variant) in row.variants() {
        y += LINE;
        writeln!(svg, "<text x=\"8\" y=\"{y}\">{}</text>", escape(variant.name))?;
        if let Some(ratio) = row.ratio(index, kind) {
            let is_ours = variant.name.starts_with("polyport");
            bar(svg, ratio, y, if is_ours { "#2b7bba" } else { "#b8c4ce" })?;
        }
    }
    let bottom = y + 4.0;
    writeln!(svg, "<path d=\"M{one} {top}V{bottom}\" stroke=\"#888\" stroke-dasharray=\"3\"/>")?;
    Ok(y + 2.0 * LINE)
}

fn bar(svg: &mut String, ratio: Spread, y: f64, colour: &str) -> fmt::Result {
    let at = |ratio: f64| (LEFT + ratio * ONE).min(RIGHT);
    let (width, top) = (at(ratio.median) - LEFT, y - 11.0);
    writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/>"
    )?;
    let (low, high, middle) = (at(ratio.low), at(ratio.high), y - 4.0);
    writeln!(svg, "<path d=\"M{low:.1} {middle}H{high:.1}\" stroke=\"black\"/>")?;
    writeln!(svg, "<text x=\"{:.1}\" y=\"{y}\">{:.2}</text>", high + 6.0, ratio.median)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
