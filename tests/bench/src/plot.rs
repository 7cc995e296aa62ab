//! Line plots as SVG: two axes, a line for each server. Pure: from numbers to text.

use std::fmt::Write;

/// The drawing's size, and the room for what is written around it.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;

/// Told apart also by those who see colours differently (Okabe and Ito 2008).
const COLOURS: [&str; 2] = ["#0072b2", "#d55e00"];

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// Equal factors are equal distances.
    Logarithmic,
}

/// One axis.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
    /// Values that are marked, and how they are written. The axis reaches from the first to the last.
    pub(crate) marks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over all of `values`, marked at 1, 2 and 5 times powers of ten (logarithmic) or in even steps (linear).
    pub(crate) fn over(label: &'static str, scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let marks = match scale {
            Scale::Linear => even(high),
            Scale::Logarithmic => decades(low, high),
        };
        Self { label, scale, marks: marks.into_iter().map(|mark| (mark, format!("{mark}"))).collect() }
    }

    /// Where a value lies, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let (low, high) = (self.marks.first(), self.marks.last());
        let (low, high) = low.zip(high).map_or((0.0, 1.0), |(low, high)| (low.0, high.0));
        match self.scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Logarithmic => (value / low).ln() / (high / low).ln(),
        }
    }
}

/// Steps of 1, 2 or 5 times a power of ten, four to ten of them from zero up to at least `high`.
fn even(high: f64) -> Vec<f64> {
    let power = 10_f64.powf(high.log10().floor());
    let step = [0.1, 0.2, 0.5, 1.0].iter().map(|part| part * power * 2.0).find(|step| high / step <= 8.0);
    let step = step.unwrap_or(power);
    let mut marks = vec![0.0];
    while marks.last().is_some_and(|last| *last < high) {
        #[allow(clippy::cast_precision_loss, reason = "there are ten marks at most")]
        marks.push(step * marks.len() as f64);
    }
    marks
}

/// 1, 2 and 5 times powers of ten, from at most `low` to at least `high`.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let mut marks = Vec::new();
    let mut exponent = low.log10().floor();
    loop {
        for factor in [1.0, 2.0, 5.0] {
            // From decimal text, so that 0.05 is 0.05 and is written so.
            let mark: f64 = format!("{factor}e{exponent}").parse().unwrap_or(factor);
            marks.push(mark);
            if mark >= high {
                let first = marks.iter().rposition(|mark| *mark <= low).unwrap_or(0);
                return marks.split_off(first);
            }
        }
        exponent += 1.0;
    }
}

/// One server's values.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// The plot as a document.
pub(crate) fn svg(title: &str, across: &Axis, up: &Axis, lines: &[Series]) -> String {
    let x = |value| LEFT + across.share(value) * (WIDTH - LEFT - RIGHT);
    let y = |value| HEIGHT - BOTTOM - up.share(value) * (HEIGHT - TOP - BOTTOM);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut drawn = String::new();
    let mut draw = |element: String| {
        drawn.push_str(&element);
        drawn.push('\n');
    };
    for (value, text) in &across.marks {
        let at = x(*value);
        draw(format!(r##"<path d="M{at:.1} {TOP}V{bottom}" stroke="#ddd"/>"##));
        draw(format!(r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#, bottom + 18.0));
    }
    for (value, text) in &up.marks {
        let at = y(*value);
        draw(format!(r##"<path d="M{LEFT} {at:.1}H{right}" stroke="#ddd"/>"##));
        draw(format!(r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#, LEFT - 8.0, at + 4.0));
    }
    for (series, colour) in lines.iter().zip(COLOURS) {
        let mut path = String::new();
        for (point, (across, up)) in series.points.iter().enumerate() {
            let (x, y) = (x(*across), y(*up));
            write!(path, "{}{x:.1} {y:.1}", if point == 0 { "M" } else { "L" }).expect("a string takes all text");
            draw(format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#));
        }
        draw(format!(r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#));
    }
    for (series, (colour, at)) in lines.iter().zip(COLOURS.iter().zip(names(lines, y))) {
        let name = series.name;
        draw(format!(r#"<text x="{:.1}" y="{at:.1}" fill="{colour}" font-weight="bold">{name}</text>"#, right + 8.0));
    }
    let middle = f64::midpoint(LEFT, right);
    draw(format!(r#"<text x="{middle}" y="22" text-anchor="middle" font-size="15">{title}</text>"#));
    draw(format!(r#"<text x="{middle}" y="{:.1}" text-anchor="middle">{}</text>"#, HEIGHT - 18.0, across.label));
    let centre = f64::midpoint(TOP, bottom);
    let turned = format!("rotate(-90 18 {centre})");
    draw(format!(r#"<text x="18" y="{centre}" text-anchor="middle" transform="{turned}">{}</text>"#, up.label));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#222\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n{drawn}</svg>\n"
    )
}

/// How far down each line's name stands: at its end, but no two on one another.
fn names(lines: &[Series], y: impl Fn(f64) -> f64) -> Vec<f64> {
    const APART: f64 = 15.0;
    let mut ends: Vec<f64> =
        lines.iter().map(|series| series.points.last().map_or(TOP, |last| y(last.1)) + 4.0).collect();
    if let [one, other] = ends.as_mut_slice()
        && (*one - *other).abs() < APART
    {
        let (middle, first) = (f64::midpoint(*one, *other), if *one <= *other { -0.5 } else { 0.5 });
        (*one, *other) = (middle + first * APART, middle - first * APART);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::{Axis, Scale, Series, decades, even, svg};

    #[test]
    fn marks_enclose_the_values_and_read_well() {
        assert_eq!(decades(0.03, 0.9), [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]);
        assert_eq!(decades(1.0, 5.0), [1.0, 2.0, 5.0]);
        assert_eq!(even(45.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(even(170.0), [0.0, 40.0, 80.0, 120.0, 160.0, 200.0]);
    }

    #[test]
    fn a_point_lies_where_its_axes_say() {
        let across = Axis::over("size", Scale::Logarithmic, [1.0, 10.0].into_iter());
        let up = Axis::over("memory", Scale::Linear, [10.0].into_iter());
        let line = Series { name: "ferry", points: vec![(1.0, 0.0), (10.0, 10.0)] };
        let drawn = svg("title", &across, &up, &[line]);
        assert!(drawn.contains(r#"<path d="M70.0 340.0L650.0 40.0""#), "{drawn}");
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
    }
}
