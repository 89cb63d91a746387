//! The picture of how costs grow: what `growth` wrote, as an SVG.
//!
//! Owns what is shown, where, and in which words and colours. It measures nothing and reads no file.
//!
//! The picture stands alone: no script, nothing from elsewhere, and readable on light and on dark pages. A column has
//! one scale, so that what is as high costs as much.

mod axis;
mod growth;

use std::fmt::Write as _;

use serde_json::Value;

use super::Result;
use super::report::float;
use axis::{Amounts, Scale, Values};
use growth::{ByAmount, Figure, Range, Run};

/// The figures that are shown, a column each.
const KEYS: [&str; 3] = ["join_cpu", "delivery_cpu", "member_memory"];

const TITLE: &str = "What a member costs as the audience grows: flat is good";

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 606.0;
const MARGIN: f64 = 28.0;

/// From a panel's left to the next one's; three and the margins are the width.
const COLUMN: f64 = 306.0;
/// From the left of a panel to its axis of values, which has its numbers there.
const AXIS: f64 = 36.0;
/// How wide and high the lines are; to the right of them is room for the last values.
const LINES: [f64; 2] = [222.0, 148.0];
/// Within the lines, beside the first and the last amount.
const INSET: f64 = 8.0;

/// The heads of the rows, and from there to a panel's name and to the top of its lines.
const ROWS: [f64; 2] = [112.0, 366.0];
const NAME_BELOW: f64 = 24.0;
const LINES_BELOW: f64 = 38.0;

/// Two numbers that are nearer to each other cannot be read.
const NUMBERS_APART: [f64; 2] = [40.0, 14.0];

const STYLE: &str = "\
<style>
text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 20px; font-weight: 600 }
.head { font-size: 14px; font-weight: 600 }
.axis { font-size: 11px; fill: #59636e }
.value { font-weight: 600; fill: #0a5cc2 }
.value.floor { font-weight: 400; fill: #59636e }
.card { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #e4e8ec }
.base { stroke: #9aa4ae }
.line { fill: none; stroke: #0969da; stroke-width: 2.25; stroke-linecap: round; stroke-linejoin: round }
.line.floor { stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 5 4 }
.point { fill: #0969da; stroke: #ffffff; stroke-width: 1.5 }
.point.floor { fill: #ffffff; stroke: #818b98 }
.band { fill: #0969da; stroke: #0969da; stroke-width: 1.5; stroke-linejoin: round; opacity: .16 }
.band.floor { fill: #818b98; stroke: #818b98; opacity: .18 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.axis { fill: #9198a1 }
.value { fill: #6cb0ff }
.value.floor { fill: #a5adb6 }
.card { fill: #0d1117; stroke: #3d444d }
.grid { stroke: #232a32 }
.base { stroke: #656c76 }
.line { stroke: #4493f8 }
.line.floor { stroke: #848d97 }
.point { fill: #4493f8; stroke: #0d1117 }
.point.floor { fill: #0d1117; stroke: #848d97 }
.band { fill: #4493f8; stroke: #4493f8; opacity: .24 }
.band.floor { fill: #848d97; stroke: #848d97; opacity: .22 }
}
</style>
";

/// Whose line it is: its class, for the eye.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Floor,
    Daemon,
}

impl Whose {
    fn class(self) -> &'static str {
        match self {
            Self::Floor => " floor",
            Self::Daemon => "",
        }
    }

    fn of(self, figure: &Figure) -> Option<Range> {
        match self {
            Self::Floor => figure.floor,
            Self::Daemon => figure.daemon,
        }
    }

    /// What is known in a row, by amount.
    fn along(self, runs: &ByAmount<'_>, column: usize) -> Vec<(u64, Range)> {
        let known = |(amount, run): (&u64, &&Run)| Some((*amount, self.of(run.figures.get(column)?)?));
        runs.iter().filter_map(known).collect()
    }
}

/// A row of panels.
struct Row<'a> {
    head: String,
    /// What there are more and more of.
    what: &'static str,
    runs: ByAmount<'a>,
}

/// The picture of what `growth` wrote.
///
/// # Errors
/// The first thing that is missing, as a line for a person.
pub(super) fn svg(growth: &Value) -> Result<String> {
    let runs = growth::runs(growth, &KEYS)?;
    let (members, by_processes) = growth::by_processes(&runs)?;
    let rows = [
        Row { head: "One process, more members".to_owned(), what: "members", runs: growth::by_members(&runs)? },
        Row {
            head: format!("{} members, more processes", axis::count(members)),
            what: "processes",
            runs: by_processes,
        },
    ];
    let mut svg = String::new();
    open(&mut svg, &rows)?;
    legend(&mut svg, &rows)?;
    for (row, top) in rows.iter().zip(ROWS) {
        text(&mut svg, [MARGIN, top], "head", &row.head)?;
        for (column, key) in KEYS.iter().enumerate() {
            let scale = Scale::up_to(most(&rows, column).ok_or_else(|| format!("{key} is not known of any run"))?);
            panel(&mut svg, row, column, scale, top)?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// The highest that a column shows.
fn most(rows: &[Row<'_>], column: usize) -> Option<f64> {
    let runs = rows.iter().flat_map(|row| row.runs.values());
    let ranges = runs.filter_map(|run| run.figures.get(column)).flat_map(|figure| [figure.daemon, figure.floor]);
    ranges.flatten().map(|range| range.most.max(range.median)).reduce(f64::max)
}

/// All that is around the panels, and what is told instead of the picture to whom does not see it.
fn open(svg: &mut String, rows: &[Row<'_>]) -> Result<()> {
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{TITLE}</title>"
    )?;
    svg.push_str("<desc id=\"desc\">");
    for row in rows {
        write!(svg, "{}.", row.head)?;
        for column in 0..KEYS.len() {
            svg.push_str(&escaped(&told(row, column)));
        }
        svg.push('\n');
    }
    svg.push_str("</desc>\n");
    svg.push_str(STYLE);
    let (width, height) = (WIDTH - 1.0, HEIGHT - 1.0);
    writeln!(svg, "<rect class=\"card\" x=\".5\" y=\".5\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>")?;
    text(svg, [MARGIN, 44.0], "title", TITLE)
}

/// A panel's daemon in words, from its first value to its last.
fn told(row: &Row<'_>, column: usize) -> String {
    let known = Whose::Daemon.along(&row.runs, column);
    let figure = row.runs.values().find_map(|run| run.figures.get(column));
    let (Some(figure), Some((first, from)), Some((last, to))) = (figure, known.first(), known.last()) else {
        return String::new();
    };
    let (Figure { name, unit, .. }, what) = (figure, row.what);
    let (from, to) = (axis::measured(from.median), axis::measured(to.median));
    let (first, last) = (axis::count(*first), axis::count(*last));
    let name = capitalized(name);
    format!(" {name}: {from} {unit} at {first}, {to} {unit} at {last} {what}.")
}

/// What the lines mean, below the title.
fn legend(svg: &mut String, rows: &[Row<'_>]) -> Result<()> {
    let (mut x, y) = (MARGIN, 70.0);
    let has_floor =
        (0..KEYS.len()).any(|column| rows.iter().any(|row| !Whose::Floor.along(&row.runs, column).is_empty()));
    for (whose, name, width) in [(Whose::Daemon, "daemon", 106.0), (Whose::Floor, "floor", 90.0)] {
        if whose == Whose::Floor && !has_floor {
            continue;
        }
        let (class, middle, end) = (whose.class(), x + 14.0, x + 28.0);
        writeln!(svg, "<path class=\"line{class}\" d=\"M{x} {y}H{end}\"/>")?;
        writeln!(svg, "<circle class=\"point{class}\" cx=\"{middle}\" cy=\"{y}\" r=\"3.5\"/>")?;
        text(svg, [x + 35.0, y + 4.0], "", name)?;
        x += width;
    }
    writeln!(svg, "<rect class=\"band\" x=\"{x}\" y=\"{}\" width=\"28\" height=\"12\" rx=\"1\"/>", y - 6.0)?;
    text(svg, [x + 35.0, y + 4.0], "", "from the least to the most of all rounds; lines are medians")
}

/// One column of a row whose head is at `top`.
fn panel(svg: &mut String, row: &Row<'_>, column: usize, scale: Scale, top: f64) -> Result<()> {
    let amounts: Vec<u64> = row.runs.keys().copied().collect();
    let (Some(&least), Some(&most)) = (amounts.first(), amounts.last()) else { return Ok(()) };
    let Some(figure) = row.runs.values().find_map(|run| run.figures.get(column)) else { return Ok(()) };
    let panel_left = MARGIN + COLUMN * float(column as u64);
    let left = panel_left + AXIS;
    let right = left + LINES[0];
    let y = Values { top: top + LINES_BELOW, bottom: top + LINES_BELOW + LINES[1], scale };
    let x = Amounts { left: left + INSET, right: right - INSET, least, most };
    text(svg, [panel_left, top + NAME_BELOW], "", &capitalized(&format!("{}, {}", figure.name, figure.unit)))?;
    grid(svg, [left, right], &y)?;
    for amount in x.apart(&amounts, NUMBERS_APART[0]) {
        text(svg, [x.place(amount), y.bottom + 17.0], "axis middle", &axis::count(amount))?;
    }
    for amount in amounts {
        writeln!(svg, "<path class=\"base\" d=\"M{:.1} {:.1}v4\"/>", x.place(amount), y.bottom)?;
    }
    text(svg, [f64::midpoint(left, right), y.bottom + 33.0], "axis middle", row.what)?;
    let lines = [Whose::Floor, Whose::Daemon].map(|whose| (whose, whose.along(&row.runs, column)));
    for (whose, ranges) in &lines {
        band(svg, *whose, ranges, &x, &y)?;
    }
    for (whose, ranges) in &lines {
        line(svg, *whose, ranges, &x, &y)?;
    }
    last_values(svg, &lines, &x, &y)
}

fn grid(svg: &mut String, [left, right]: [f64; 2], y: &Values) -> Result<()> {
    for (index, (value, number)) in y.scale.lines().enumerate() {
        let (class, height) = (if index == 0 { "base" } else { "grid" }, y.place(value));
        writeln!(svg, "<path class=\"{class}\" d=\"M{left:.1} {height:.1}H{right:.1}\"/>")?;
        text(svg, [left - 7.0, height + 4.0], "axis end", &number)?;
    }
    Ok(())
}

/// From the least to the most, there along the one and back along the other.
fn band(svg: &mut String, whose: Whose, ranges: &[(u64, Range)], x: &Amounts, y: &Values) -> Result<()> {
    let there = ranges.iter().map(|(amount, range)| (*amount, range.most));
    let back = ranges.iter().rev().map(|(amount, range)| (*amount, range.least));
    let corners = places(there.chain(back), x, y)?;
    if !corners.is_empty() {
        writeln!(svg, "<polygon class=\"band{}\" points=\"{corners}\"/>", whose.class())?;
    }
    Ok(())
}

/// The medians.
fn line(svg: &mut String, whose: Whose, ranges: &[(u64, Range)], x: &Amounts, y: &Values) -> Result<()> {
    let class = whose.class();
    let medians = places(ranges.iter().map(|(amount, range)| (*amount, range.median)), x, y)?;
    if !medians.is_empty() {
        writeln!(svg, "<polyline class=\"line{class}\" points=\"{medians}\"/>")?;
    }
    for (amount, range) in ranges {
        let (x, y) = (x.place(*amount), y.place(range.median));
        writeln!(svg, "<circle class=\"point{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>")?;
    }
    Ok(())
}

fn places(values: impl Iterator<Item = (u64, f64)>, x: &Amounts, y: &Values) -> Result<String> {
    let mut text = String::new();
    for (amount, value) in values {
        let gap = if text.is_empty() { "" } else { " " };
        write!(text, "{gap}{:.1},{:.1}", x.place(amount), y.place(value))?;
    }
    Ok(text)
}

/// The last median of each line, beside its point.
fn last_values(svg: &mut String, lines: &[(Whose, Vec<(u64, Range)>); 2], x: &Amounts, y: &Values) -> Result<()> {
    let last = |(whose, ranges): &(Whose, Vec<(u64, Range)>)| {
        ranges.last().map(|(amount, range)| (*whose, x.place(*amount), range.median, y.place(range.median)))
    };
    let mut last: Vec<_> = lines.iter().filter_map(last).collect();
    if let [(.., first), (.., second)] = last.as_mut_slice() {
        [*first, *second] = axis::pushed_apart([*first, *second], NUMBERS_APART[1], y.bottom - 4.0);
    }
    for (whose, x, median, y) in last {
        text(svg, [x + 9.0, y + 4.0], &format!("value{}", whose.class()), &axis::measured(median))?;
    }
    Ok(())
}

/// Words at a place. Among the classes, `middle` and `end` say which part of them is there.
fn text(svg: &mut String, [x, y]: [f64; 2], classes: &str, words: &str) -> Result<()> {
    let anchor = match classes.rsplit(' ').next() {
        Some(anchor @ ("middle" | "end")) => format!(" text-anchor=\"{anchor}\""),
        _ => String::new(),
    };
    let words = escaped(words);
    writeln!(svg, "<text class=\"{classes}\"{anchor} x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>")?;
    Ok(())
}

/// For the beginning of a sentence.
fn capitalized(words: &str) -> String {
    let mut rest = words.chars();
    rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect()
}

/// As XML has it (XML 1.0, 2.4), for text and attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML has no other control characters than these, not even escaped (2.2).
            '\t' | '\n' | '\r' => safe.push(' '),
            control if control.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Ranges from 2 below the median to 2 above; the highest of all is 20.
    fn run(members: u64, processes: u64, daemon: f64, floor: Option<f64>) -> Value {
        let range = |median: f64| json!({ "median": median, "least": median - 2.0, "most": median + 2.0 });
        let figure = |key| {
            let (floor, daemon) = (floor.map(range), range(daemon));
            json!({ "key": key, "name": "name of it", "unit": "us", "floor": floor, "daemon": daemon })
        };
        json!({ "members": members, "processes": processes, "figures": KEYS.map(figure) })
    }

    fn drawn(runs: &[Value]) -> String {
        svg(&json!({ "runs": runs })).unwrap()
    }

    #[test]
    fn values_are_where_their_axes_say() {
        let svg = drawn(&[run(1000, 1, 10.0, None), run(100_000, 1, 18.0, None), run(100_000, 8, 18.0, None)]);
        let of_first_panel = [
            ">20</text>",
            "<path class=\"base\" d=\"M64.0 298.0H286.0\"/>",
            "<polyline class=\"line\" points=\"72.0,224.0 278.0,164.8\"/>",
            "<polygon class=\"band\" points=\"72.0,209.2 278.0,150.0 278.0,179.6 72.0,238.8\"/>",
            "<circle class=\"point\" cx=\"278.0\" cy=\"164.8\" r=\"3.5\"/>",
            "<text class=\"value\" x=\"287.0\" y=\"168.8\">18.0</text>",
            "<text class=\"axis middle\" text-anchor=\"middle\" x=\"278.0\" y=\"315.0\">100,000</text>",
            ">100,000 members, more processes</text>",
            ">Name of it, us</text>",
        ];
        for part in of_first_panel {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }

    #[test]
    fn a_floor_that_is_not_known_is_left_out() {
        let svg = drawn(&[run(1000, 1, 10.0, None), run(3000, 1, 10.0, None)]);
        assert!(!svg.contains("floor\"") && !svg.contains(">floor<"), "{svg}");
        let svg = drawn(&[run(1000, 1, 10.0, Some(9.0)), run(3000, 1, 10.0, None)]);
        assert!(svg.contains(">floor<"), "{svg}");
        // Of the floor's two points only one is there: thrice in the upper row, and in the legend.
        assert_eq!(svg.matches("class=\"point floor\"").count(), 4, "{svg}");
    }

    #[test]
    fn names_are_escaped() {
        let mut run = run(1000, 1, 10.0, None);
        run["figures"][0]["name"] = json!("<script> & \"\u{1b}it\"");
        run["figures"][0]["unit"] = json!("</svg>");
        let svg = drawn(&[run]);
        assert!(svg.contains(">&lt;script&gt; &amp; &quot;it&quot;, &lt;/svg&gt;</text>"), "{svg}");
        assert_eq!((svg.matches("<script").count(), svg.matches("</svg>").count()), (0, 1), "{svg}");
    }

    #[test]
    fn the_picture_stands_alone_and_is_told_in_words() {
        let svg = drawn(&[run(1000, 1, 10.0, Some(9.0)), run(3000, 1, 12.0, Some(9.0))]);
        assert_eq!(svg.matches("://").count(), 1, "nothing but the name space: {svg}");
        for part in ["href", "url(", "@import", "NaN", "inf"] {
            assert!(!svg.contains(part), "{part} in {svg}");
        }
        let words = "One process, more members. Name of it: 10.0 us at 1,000, 12.0 us at 3,000 members.";
        assert!(svg.contains(words), "{svg}");
    }

    #[test]
    fn what_is_known_nowhere_is_refused() {
        let mut run = run(1000, 1, 10.0, None);
        run["figures"][1]["daemon"] = Value::Null;
        let error = svg(&json!({ "runs": [run] })).unwrap_err();
        assert_eq!(error.to_string(), "delivery_cpu is not known of any run");
        assert_eq!(svg(&json!({ "runs": [] })).unwrap_err().to_string(), "runs is empty");
    }
}
