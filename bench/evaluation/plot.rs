//! Line charts as SVG: on white, so that they are readable in light and dark,
//! in the colours of Okabe and Ito, which most colour-blind people tell apart.

use plotters::prelude::*;

const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// A line with its name.
pub(crate) struct Line {
    pub(crate) name: String,
    /// Measured points are marked, those of theory are joined.
    pub(crate) is_theory: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws `lines` into docs/images/evaluation, both axes logarithmic.
pub(crate) fn lines(file: &str, title: &str, x: &str, y: &str, lines: &[Line]) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images/evaluation");
    std::fs::create_dir_all(folder).expect("a writable folder");
    let path = format!("{folder}/{file}.svg");
    draw(&path, title, x, y, lines).unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn draw(
    path: &str,
    title: &str,
    x: &str,
    y: &str,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let low = all().map(of).fold(f64::INFINITY, f64::min);
        let high = all().map(of).fold(0.0, f64::max);
        (low / 1.15..high * 1.15).log_scale()
    };
    let root = SVGBackend::new(path, (760, 440)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(range(|point| point.0), range(|point| point.1))?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .light_line_style(WHITE)
        .x_label_formatter(&|value| format!("{value}"))
        .y_label_formatter(&|value| format!("{value}"))
        .label_style(("sans-serif", 13))
        .draw()?;
    for (i, line) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let width = if line.is_theory { 1 } else { 2 };
        let style = colour.stroke_width(width);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        if !line.is_theory {
            let marks = line.points.iter();
            chart.draw_series(marks.map(|&at| Circle::new(at, 3, colour.filled())))?;
        }
    }
    // Where the lines are not: they rise or fall all together.
    let rises = |line: &Line| match (line.points.first(), line.points.last()) {
        (Some(first), Some(last)) => last.1 > first.1 * 1.5,
        _ => false,
    };
    let place = if lines.iter().any(rises) {
        SeriesLabelPosition::UpperLeft
    } else {
        SeriesLabelPosition::UpperRight
    };
    chart
        .configure_series_labels()
        .position(place)
        .background_style(WHITE)
        .border_style(RGBColor(160, 160, 160))
        .label_font(("sans-serif", 13))
        .draw()?;
    root.present()?;
    Ok(())
}
