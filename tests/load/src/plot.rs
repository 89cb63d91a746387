//! The picture of how costs grow: the figures of `growth`, as an SVG.
//!
//! Owns what is shown, where, and in which words and colours. It measures nothing and reads no file. The axes are those of
//! plotters.
//!
//! The picture stands alone: no script, nothing from elsewhere, readable on light and on dark pages. A column has one
//! scale, and every scale begins at 0, so equal heights are equal costs.
//!
//! | file | owns |
//! |---|---|
//! | `rows` | the rows of the picture |

mod rows;

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::coord::combinators::WithKeyPoints;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Result;
use super::figures::{Spread, float};
use super::report::Growth;
use rows::{Row, Side};

/// The figures that are shown, a column each.
const KEYS: [&str; 3] = ["join_cpu", "delivery_cpu", "member_memory"];

const TITLE: &str = "What a member costs as the audience grows: flat is good";

/// plotters counts in whole units, so a unit is a quarter of a pixel.
const UNIT: u32 = 4;
const SIZE_PX: (u32, u32) = (960, 640);
const HEADER_PX: u32 = 84;
const ROW_HEAD_PX: u32 = 24;

/// Colours by which the dark style finds them again.
const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
const FAINT_INK: RGBColor = RGBColor(0x59, 0x63, 0x6e);
const GRID: RGBColor = RGBColor(0xe4, 0xe8, 0xec);
const DAEMON: RGBColor = RGBColor(0x09, 0x69, 0xda);
const FLOOR: RGBColor = RGBColor(0x81, 0x8b, 0x98);

/// The same colours on dark pages; rules of a style are stronger than attributes.
const DARK_STYLE: &str = "\
<style>
@media (prefers-color-scheme: dark) {
[fill=\"#FFFFFF\"] { fill: #0d1117 }
[fill=\"#1F2328\"] { fill: #f0f6fc }
[fill=\"#59636E\"] { fill: #9198a1 }
[fill=\"#0969DA\"] { fill: #4493f8 }
[stroke=\"#0969DA\"] { stroke: #4493f8 }
[stroke=\"#E4E8EC\"] { stroke: #232a32 }
}
</style>
";

/// The font; an SVG names several, of which the reader's machine has one.
const FONT: &str = "system-ui, 'Segoe UI', Roboto, Arial, sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<WithKeyPoints<LogCoord<f64>>, RangedCoordf64>>;

/// The picture of the figures of `growth`.
///
/// # Errors
/// The first thing that is missing, as a line for a person.
pub(super) fn svg(growth: &Growth) -> Result<String> {
    let rows = [rows::by_members(growth, &KEYS)?, rows::by_processes(growth, &KEYS)?];
    let tops: Vec<f64> = KEYS
        .iter()
        .enumerate()
        .map(|(column, key)| rows::most(&rows, column).ok_or_else(|| format!("{key} is not known of any run")))
        .collect::<std::result::Result<_, _>>()?;
    let mut body = String::new();
    {
        let whole = SVGBackend::with_string(&mut body, (SIZE_PX.0 * UNIT, SIZE_PX.1 * UNIT)).into_drawing_area();
        whole.fill(&PAPER)?;
        let (header, panels) = whole.split_vertically(HEADER_PX * UNIT);
        legend(&header, &rows)?;
        for (row, area) in rows.iter().zip(panels.split_evenly((2, 1))) {
            let (head, area) = area.split_vertically(ROW_HEAD_PX * UNIT);
            head.draw(&heading(&row.head, (28, 4), 14))?;
            for (column, panel) in
                area.margin(0, 0, 20 * UNIT, 20 * UNIT).split_evenly((1, KEYS.len())).iter().enumerate()
            {
                draw_panel(panel, row, column, tops[column])?;
            }
        }
        whole.present()?;
    }
    framed(&body, &rows)
}

/// Replaces the opening tag by one with a size in pixels, and the picture in words.
fn framed(body: &str, rows: &[Row]) -> Result<String> {
    let (_, shapes) = body.split_once('>').ok_or("plotters draws no SVG")?;
    let ((width, height), mut svg) = (SIZE_PX, String::new());
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">{TITLE}</title>",
        width * UNIT,
        height * UNIT
    )?;
    let words = rows.iter().map(|row| rows::in_words(row, KEYS.len())).collect::<Vec<_>>().join("\n");
    write!(svg, "<desc id=\"desc\">{}</desc>\n{DARK_STYLE}", escaped(&words))?;
    svg.push_str(shapes.trim_start());
    Ok(svg)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Words at a place in pixels, which is their left end at their top.
fn text(words: &str, (x, y): (i32, i32), size_px: u32, color: RGBColor) -> Text<'_, (i32, i32), String> {
    let unit = UNIT.cast_signed();
    Text::new(words.to_owned(), (x * unit, y * unit), font(size_px, color))
}

/// The same in bold.
fn heading(words: &str, (x, y): (i32, i32), size_px: u32) -> Text<'_, (i32, i32), String> {
    let (unit, style) = (UNIT.cast_signed(), font(size_px, INK));
    let style = TextStyle { font: style.font.style(FontStyle::Bold), ..style };
    Text::new(words.to_owned(), (x * unit, y * unit), style)
}

fn font(size_px: u32, color: RGBColor) -> TextStyle<'static> {
    // plotters makes text smaller by this, as fonts have room above their letters.
    (FONT, f64::from(size_px * UNIT) * 1.24).into_font().color(&color)
}

/// The title, and the meaning of the lines.
fn legend(area: &Area<'_>, rows: &[Row]) -> Result<()> {
    area.draw(&heading(TITLE, (28, 22), 20))?;
    let unit = UNIT.cast_signed();
    let mut x = 28;
    for side in [Side::Daemon, Side::Floor].into_iter().filter(|side| rows::has(rows, *side)) {
        let (color, name) = look(side);
        area.draw(&PathElement::new([(x * unit, 66 * unit), ((x + 28) * unit, 66 * unit)], line_style(side)))?;
        area.draw(&Circle::new(((x + 14) * unit, 66 * unit), 7 * UNIT / 2, color.filled()))?;
        area.draw(&text(name, (x + 35, 60), 12, INK))?;
        x += 100;
    }
    area.draw(&Rectangle::new([(x * unit, 60 * unit), ((x + 28) * unit, 72 * unit)], band_style(Side::Daemon)))?;
    area.draw(&text("from the least to the most of all rounds; lines are medians", (x + 35, 60), 12, INK))?;
    Ok(())
}

fn look(side: Side) -> (RGBColor, &'static str) {
    match side {
        Side::Daemon => (DAEMON, "daemon"),
        Side::Floor => (FLOOR, "floor"),
    }
}

fn line_style(side: Side) -> ShapeStyle {
    let (color, _) = look(side);
    color.stroke_width(if side == Side::Daemon { 9 } else { 6 })
}

fn band_style(side: Side) -> ShapeStyle {
    look(side).0.mix(0.18).filled()
}

/// One column of a row. `most` is the highest value of the column.
fn draw_panel(area: &Area<'_>, row: &Row, column: usize, most: f64) -> Result<()> {
    let (Some(first), Some(last)) = (row.amounts.first(), row.amounts.last()) else { return Ok(()) };
    let amounts: Vec<f64> = row.amounts.iter().map(|amount| float(amount.get())).collect();
    // Room beside the first and the last amount; the last values stand to the right of their points.
    let range = (float(first.get()) * 0.92..float(last.get()) * 1.5).log_scale().with_key_points(amounts);
    let caption = font(12, INK);
    let mut chart = ChartBuilder::on(area)
        .caption(rows::caption(row, column), caption)
        .margin(6 * UNIT)
        .x_label_area_size(34 * UNIT)
        .y_label_area_size(44 * UNIT)
        .build_cartesian_2d(range, 0.0..most * 1.08)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .bold_line_style(GRID.stroke_width(UNIT))
        .axis_style(GRID.stroke_width(UNIT))
        .x_labels(row.amounts.len())
        .y_labels(7)
        .x_label_formatter(&|amount| rows::grouped(*amount, 0))
        .y_label_formatter(&|value| rows::axis_number(*value, most))
        .label_style(font(11, FAINT_INK))
        .axis_desc_style(font(11, FAINT_INK))
        .x_desc(row.what)
        .draw()?;
    for side in [Side::Floor, Side::Daemon] {
        draw_side(&mut chart, side, &row.along(side, column))?;
    }
    draw_last_values(&chart, row, column)
}

fn draw_side(chart: &mut Chart<'_, '_>, side: Side, spreads: &[(f64, Spread)]) -> Result<()> {
    if spreads.is_empty() {
        return Ok(());
    }
    let there = spreads.iter().map(|(amount, spread)| (*amount, spread.most));
    let back = spreads.iter().rev().map(|(amount, spread)| (*amount, spread.least));
    chart.draw_series([Polygon::new(there.chain(back).collect::<Vec<_>>(), band_style(side))])?;
    let medians: Vec<(f64, f64)> = spreads.iter().map(|(amount, spread)| (*amount, spread.median)).collect();
    if side == Side::Floor {
        chart.draw_series(DashedLineSeries::new(medians.clone(), 5 * UNIT, 4 * UNIT, line_style(side)))?;
    } else {
        chart.draw_series(LineSeries::new(medians.clone(), line_style(side)))?;
    }
    let (color, _) = look(side);
    chart.draw_series(medians.into_iter().map(|point| Circle::new(point, 7 * UNIT / 2, color.filled())))?;
    Ok(())
}

/// The last median of each side, to the right of its point. Two that are too near to each other are moved apart.
fn draw_last_values(chart: &Chart<'_, '_>, row: &Row, column: usize) -> Result<()> {
    let area = chart.plotting_area();
    let last = |side| row.along(side, column).last().map(|(amount, spread)| (side, *amount, spread.median));
    let mut labels: Vec<_> = [Side::Daemon, Side::Floor]
        .into_iter()
        .filter_map(last)
        .map(|(side, amount, median)| (side, area.map_coordinate(&(amount, median)), median))
        .collect();
    let apart = 14 * UNIT.cast_signed();
    if let [(_, (_, first), _), (_, (_, second), _)] = labels.as_mut_slice() {
        let missing = (apart - (*first - *second).abs()).max(0);
        let (upper, lower) = if first <= second { (first, second) } else { (second, first) };
        *upper -= missing / 2;
        *lower += missing - missing / 2;
    }
    let whole = area.strip_coord_spec();
    let (left, top) = area.get_base_pixel();
    for (side, (x, y), median) in labels {
        let color = if side == Side::Daemon { DAEMON } else { FAINT_INK };
        let style = font(12, color).pos(Pos::new(HPos::Left, VPos::Center));
        let place = (x - left + 9 * UNIT.cast_signed(), y - top);
        whole.draw(&Text::new(rows::measured(median), place, style))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(members: u64, processes: u64, daemon: f64, floor: Option<f64>) -> Value {
        let spread = |median: f64| json!({ "median": median, "least": median - 2.0, "most": median + 2.0 });
        let figure = |key| {
            let (floor, daemon) = (floor.map(spread), spread(daemon));
            json!({ "key": key, "name": "name of it", "unit": "us", "floor": floor, "daemon": daemon })
        };
        let figures = KEYS.map(figure);
        json!({ "benchmark": "compare", "members": members, "processes": processes, "rounds": 3, "figures": figures })
    }

    fn try_draw(runs: &[Value]) -> Result<String> {
        svg(&serde_json::from_value(json!({ "benchmark": "growth", "runs": runs })).unwrap())
    }

    fn draw(runs: &[Value]) -> String {
        try_draw(runs).unwrap()
    }

    #[test]
    fn a_column_has_one_scale() {
        let svg = draw(&[run(1000, 1, 10.0, None), run(100_000, 1, 18.0, None), run(100_000, 8, 18.0, None)]);
        for part in ["100,000 members, more processes", "Name of it, us", "\n18.0\n", "\n100,000\n"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        // Rows have the same labels on their axes of values.
        let (upper, lower) = svg.rsplit_once("100,000 members, more").unwrap();
        for value in ["\n5\n", "\n10\n", "\n15\n", "\n20\n"] {
            assert_eq!([upper, lower].map(|row| row.matches(value).count()), [3, 3], "{value} in {svg}");
        }
    }

    #[test]
    fn a_floor_that_is_not_known_is_left_out() {
        let floor = "#818B98";
        assert!(!draw(&[run(1000, 1, 10.0, None), run(3000, 1, 10.0, None)]).contains(floor));
        assert!(draw(&[run(1000, 1, 10.0, Some(9.0)), run(3000, 1, 10.0, None)]).contains(floor));
    }

    #[test]
    fn names_are_escaped() {
        let mut run = run(1000, 1, 10.0, None);
        run["figures"][0]["name"] = json!("<script> & \"it\"");
        run["figures"][0]["unit"] = json!("</svg>");
        let svg = draw(&[run]);
        assert!(svg.contains("&lt;script&gt; &amp; ") && svg.contains("&lt;/svg&gt;"), "{svg}");
        assert_eq!((svg.matches("<script").count(), svg.matches("</svg>").count()), (0, 1), "{svg}");
    }

    #[test]
    fn the_picture_stands_alone_and_has_its_words() {
        let svg = draw(&[run(1000, 1, 10.0, Some(9.0)), run(3000, 1, 12.0, Some(9.0))]);
        assert_eq!(svg.matches("://").count(), 1, "nothing but the name space: {svg}");
        for part in ["href", "url(", "@import", "NaN", "inf"] {
            assert!(!svg.contains(part), "{part} in {svg}");
        }
        let words = "One process, more members. Name of it: 10.0 us at 1,000, 12.0 us at 3,000 members.";
        assert!(svg.contains(words), "{svg}");
        for color in ["#FFFFFF", "#1F2328", "#59636E", "#0969DA", "#E4E8EC"] {
            let uses = svg.matches(&format!("=\"{color}\"")).count() - DARK_STYLE.matches(color).count();
            assert!(uses > 0, "{color} has a dark twin and is used");
        }
    }

    #[test]
    fn what_is_missing_is_refused() {
        let mut run = run(1000, 1, 10.0, None);
        run["figures"][1]["daemon"] = Value::Null;
        assert_eq!(try_draw(&[run.clone()]).unwrap_err().to_string(), "delivery_cpu is not known of any run");
        run["figures"][1]["key"] = json!("other");
        assert_eq!(try_draw(&[run]).unwrap_err().to_string(), "a run of 1000 members has no figure delivery_cpu");
        assert_eq!(try_draw(&[]).unwrap_err().to_string(), "there are no runs");
    }
}
