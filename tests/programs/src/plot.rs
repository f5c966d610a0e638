//! Lines over a growing number, as SVG.

use std::fmt::Write as _;

/// One line.
pub struct Line {
    /// What it shows.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 180.0;
const ABOVE: f64 = 40.0;
const BELOW: f64 = 45.0;
const COLOURS: [&str; 8] =
    ["#0b7285", "#c92a2a", "#2b8a3e", "#862e9c", "#e67700", "#364fc7", "#5c940d", "#868e96"];

/// Several plots, one below the other: what is on the vertical axis of each, and its lines.
pub fn svg(across: &str, plots: &[(&str, Vec<Line>)]) -> String {
    let height = HEIGHT * plots.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (title, lines)) in plots.iter().enumerate() {
        one(&mut text, HEIGHT * index as f64, across, title, lines);
    }
    text.push_str("</svg>\n");
    text
}

fn one(text: &mut String, top: f64, across: &str, title: &str, lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max).max(1e-9);
    let (far, high) =
        (most(&mut points().map(|point| point.0)), most(&mut points().map(|point| point.1)) * 1.05);
    let (wide, tall) = (WIDTH - LEFT - RIGHT, HEIGHT - ABOVE - BELOW);
    let x = |value: f64| LEFT + wide * value / far;
    let y = |value: f64| top + ABOVE + tall * (1.0 - value / high);
    let bottom = y(0.0);
    let _ = writeln!(text, "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top + 24.0);
    for tick in 0..=4 {
        let value = high * f64::from(tick) / 4.0;
        let digits = usize::from(high < 10.0) * 2;
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {0:.1}h{wide}\" stroke=\"#dee2e6\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{value:.digits$}</text>",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0
        );
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<String> =
            line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            path.join(" "),
            LEFT + wide + 8.0,
            top + ABOVE + 16.0 * index as f64 + 8.0,
            line.name
        );
        for point in &line.points {
            let _ = writeln!(
                text,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(point.0),
                y(point.1)
            );
        }
    }
    if let Some(line) = lines.first() {
        for point in &line.points {
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x(point.0),
                bottom + 16.0,
                point.0
            );
        }
    }
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{across}</text>",
        LEFT + wide / 2.0,
        bottom + 34.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_point_is_within_the_picture() {
        let line = Line { name: "a".into(), points: vec![(0.0, 0.0), (10.0, 5.0)] };
        let text = svg("objects", &[("seconds", vec![line])]);
        assert!(text.contains("<polyline points=\"60.0,275.0 540.0,51.2\""), "{text}");
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    }
}
