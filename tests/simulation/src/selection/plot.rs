//! Plots as SVG, drawn by hand: points that are named, or lines over time.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Told apart also by those who see colours differently (Okabe and Ito 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// One line, or a cloud of points.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the points are connected.
    pub(super) line: bool,
}

/// What the axes are, and how far up the plot reaches; both begin at zero.
#[derive(Debug)]
pub(super) struct Axes {
    pub(super) title: &'static str,
    pub(super) across: &'static str,
    pub(super) up: &'static str,
    /// Points that lie above are drawn at the edge.
    pub(super) highest: f64,
    /// Bounds to reach: drawn as dashed lines across and up.
    pub(super) bounds: (Option<f64>, Option<f64>),
}

/// About eight marks at 1, 2 or 5 times a power of ten.
fn step(highest: f64) -> f64 {
    let power = 10_f64.powf((highest / 8.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| highest / step <= 8.0).unwrap_or(power)
}

/// The plot as a document.
pub(super) fn svg(axes: &Axes, series: &[Series]) -> String {
    let farthest = series.iter().flat_map(|series| &series.points).map(|point| point.0).fold(0.0, f64::max) * 1.05;
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let x = |value: f64| LEFT + value / farthest * (right - LEFT);
    let y = |value: f64| bottom - (value / axes.highest).min(1.0) * (bottom - TOP);
    let mut drawn = Vec::new();
    for (highest, is_up) in [(farthest, false), (axes.highest, true)] {
        let step = step(highest);
        for mark in (0..).map(|count| f64::from(count) * step).take_while(|mark| *mark <= highest) {
            let text = (mark * 1e4).round() / 1e4;
            let (line, at, anchor) = if is_up {
                (format!("M{LEFT} {:.1}H{right}", y(mark)), (LEFT - 6.0, y(mark) + 4.0), "end")
            } else {
                (format!("M{:.1} {TOP}V{bottom}", x(mark)), (x(mark), bottom + 16.0), "middle")
            };
            drawn.push(format!(r##"<path d="{line}" stroke="#ddd"/>"##));
            drawn.push(format!(r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">{text}</text>"#, at.0, at.1));
        }
    }
    let dashed = |path: String| format!(r##"<path d="{path}" stroke="#888" stroke-dasharray="5 4"/>"##);
    drawn.extend(axes.bounds.0.map(|bound| dashed(format!("M{:.1} {TOP}V{bottom}", x(bound)))));
    drawn.extend(axes.bounds.1.map(|bound| dashed(format!("M{LEFT} {:.1}H{right}", y(bound)))));
    for (number, (series, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
        if series.line {
            let mut path = String::new();
            for (at, (across, up)) in series.points.iter().enumerate() {
                let begin = if at == 0 { 'M' } else { 'L' };
                write!(path, "{begin}{:.1} {:.1}", x(*across), y(*up)).expect("a string takes all text");
            }
            drawn.push(format!(r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#));
        }
        for (across, up) in series.points.iter().filter(|_| !series.line || series.points.len() < 20) {
            drawn.push(format!(r#"<circle cx="{:.1}" cy="{:.1}" r="4" fill="{colour}"/>"#, x(*across), y(*up)));
        }
        let (name, at) = (&series.name, TOP + 14.0 + 18.0 * number as f64);
        drawn.push(format!(r#"<text x="{:.1}" y="{at:.1}" fill="{colour}">{name}</text>"#, right + 10.0));
    }
    let (middle, centre) = (f64::midpoint(LEFT, right), f64::midpoint(TOP, bottom));
    drawn.push(format!(r#"<text x="{middle}" y="22" text-anchor="middle" font-size="15">{}</text>"#, axes.title));
    drawn.push(format!(r#"<text x="{middle}" y="{}" text-anchor="middle">{}</text>"#, HEIGHT - 12.0, axes.across));
    let turned = format!("rotate(-90 16 {centre})");
    drawn.push(format!(r#"<text x="16" y="{centre}" text-anchor="middle" transform="{turned}">{}</text>"#, axes.up));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#222\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n{}\n</svg>\n",
        drawn.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_lies_where_its_axes_say_and_one_too_high_at_the_edge() {
        let axes = Axes { title: "t", across: "a", up: "u", highest: 10.0, bounds: (None, Some(5.0)) };
        let line = Series { name: "n".to_owned(), points: vec![(0.0, 0.0), (20.0, 99.0)], line: true };
        let drawn = svg(&axes, &[line]);
        assert!(drawn.contains(r#"d="M60.0 350.0L545.7 40.0""#), "{drawn}");
        assert!(drawn.contains(r#"d="M60 195.0H570""#), "{drawn}");
        assert_eq!((step(8.0), step(0.9), step(70.0)), (1.0, 0.2, 10.0));
    }
}
