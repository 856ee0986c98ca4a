//! Pictures of what was measured, as SVG without a legend: whoever shows a picture names the colours beside it, where
//! they can't lie on top of a bar.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::table::{Plot, Series, Sum, number};
use crate::failure::Failure;

const SIZE: (u32, u32) = (860, 340);

/// How tall the letters are.
const LETTERS: u32 = 15;

/// Room on the right for half of the last label, and for the names of percentiles.
const RIGHT: u32 = 45;

/// Told apart by people who see colours differently as well (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What the colours of a plot stand for: a colour in CSS, and a name.
pub(super) fn legend(plot: &Plot) -> Vec<(String, &str)> {
    let names = match plot {
        Plot::Spread { series, .. } => series.iter().map(|series| series.what.as_str()).collect(),
        Plot::Parts { sums, .. } => part_names(sums),
    };
    let css = |RGBColor(red, green, blue)| format!("#{red:02x}{green:02x}{blue:02x}");
    COLOURS.into_iter().cycle().map(css).zip(names).collect()
}

/// Draws a plot; returns the SVG document.
pub(super) fn draw(plot: &Plot) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = match plot {
            Plot::Spread { unit, series, .. } => spread(&area, unit, series),
            Plot::Parts { unit, sums, .. } => parts(&area, unit, sums),
        };
        drawn.and_then(|()| Ok(area.present()?)).map_err(|error| {
            Failure::new("plot-failed", format_args!("a plot can't be drawn: {error}"), "Report this as a defect.")
        })?;
    }
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The share of the samples that were no larger: one line for each series.
fn spread(area: &Area<'_>, unit: &str, series: &[Series]) -> Drawn {
    let all = || series.iter().flat_map(|series| series.samples.iter().copied());
    let least = all().fold(f64::INFINITY, f64::min).min(all().fold(0.0, f64::max));
    let most = all().fold(0.0, f64::max).max(least + 1e-3);
    let margin = (most - least) * 0.04;
    let (from, to) = ((least - margin).max(0.0), most + margin);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(RIGHT)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(from..to, 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc(unit)
        .y_desc("share of the samples")
        .x_label_formatter(&|value| number(*value))
        .y_labels(6)
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .label_style(letters())
        .axis_desc_style(letters())
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (share, name) in [(0.5, "p50"), (0.95, "p95")] {
        chart.draw_series(LineSeries::new([(from, share), (to, share)], BLACK.mix(0.4)))?;
        let style = letters().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([EmptyElement::at((to, share)) + Text::new(name, (6, 0), style)])?;
    }
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        chart.draw_series(LineSeries::new(steps(&series.samples), colour.stroke_width(2)))?;
    }
    Ok(())
}

fn letters() -> TextStyle<'static> {
    ("sans-serif", LETTERS).into()
}

/// The empirical distribution: up one step at each sample.
fn steps(samples: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let mut points = Vec::with_capacity(sorted.len() * 2);
    for (number, sample) in sorted.into_iter().enumerate() {
        points.push((sample, number as f64 / count));
        points.push((sample, (number + 1) as f64 / count));
    }
    points
}

/// One bar for each sum, made of its parts, with the whole behind it.
fn parts(area: &Area<'_>, unit: &str, sums: &[Sum]) -> Drawn {
    let total = |sum: &Sum| sum.parts.iter().map(|(_, value)| value).sum::<f64>();
    // The whole is written behind the bar.
    let most = sums.iter().map(total).fold(0.0, f64::max).max(1e-3) * 1.12;
    let rows = sums.len().max(1);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(RIGHT)
        .x_label_area_size(50)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..most, 0.0..rows as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(unit)
        .x_label_formatter(&|value| number(*value))
        .y_labels(0)
        .label_style(letters())
        .axis_desc_style(letters())
        .draw()?;
    let names = part_names(sums);
    let beside = |side| letters().color(&BLACK).pos(Pos::new(side, VPos::Center));
    for (row, sum) in sums.iter().rev().enumerate() {
        let (low, high) = (row as f64 + 0.2, row as f64 + 0.8);
        let mut from = 0.0;
        for (part, value) in &sum.parts {
            let colour = names.iter().zip(COLOURS.iter().cycle()).find(|(name, _)| *name == part);
            let colour = colour.map_or(BLACK, |(_, colour)| *colour);
            chart.draw_series([Rectangle::new([(from, low), (from + value, high)], colour.filled())])?;
            from += value;
        }
        let whole = format!("{} {unit}", number(from));
        chart.draw_series([
            EmptyElement::at((0.0, (low + high) / 2.0)) + Text::new(sum.what.clone(), (-8, 0), beside(HPos::Right))
        ])?;
        chart.draw_series([
            EmptyElement::at((from, (low + high) / 2.0)) + Text::new(whole, (8, 0), beside(HPos::Left))
        ])?;
    }
    Ok(())
}

/// The names of all parts, in the order in which they come up.
fn part_names(sums: &[Sum]) -> Vec<&str> {
    let mut names = Vec::new();
    for (name, _) in sums.iter().flat_map(|sum| &sum.parts) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_and_part_is_in_the_picture() {
        let series = |what: &str, samples: &[f64]| Series { what: what.into(), samples: samples.to_vec() };
        let spread = Plot::Spread {
            title: "Times".into(),
            unit: "ms",
            series: vec![series("fast", &[3.0, 1.0, 2.0]), series("first & last", &[5.0]), series("none", &[])],
        };
        let svg = draw(&spread).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(!svg.contains("NaN") && svg.matches("<polyline").count() >= 4, "{svg}");
        assert!(["p50", "p95", "ms", "100 %"].iter().all(|text| svg.contains(text)), "{svg}");
        let names = |plot| legend(plot).into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&spread), ["fast", "first & last", "none"]);
        let sums = vec![
            Sum { what: "fast".into(), parts: vec![("search", 3.0), ("connect", 4.0)] },
            Sum { what: "floor".into(), parts: vec![("connect", 4.0)] },
        ];
        let parts = Plot::Parts { title: "Parts".into(), unit: "ms", sums };
        let svg = draw(&parts).unwrap();
        assert!(["fast", "7 ms", "floor", "4 ms"].iter().all(|text| svg.contains(text)), "{svg}");
        assert_eq!(names(&parts), ["search", "connect"]);
        // A part has the same colour in the legend and in every bar.
        let connect = legend(&parts)[1].0.to_uppercase();
        assert_eq!(svg.matches(&format!("fill=\"{connect}\"")).count(), 2, "{svg}");
    }

    #[test]
    fn a_distribution_climbs_from_zero_to_one() {
        let points = steps(&[2.0, 1.0]);
        assert_eq!(points, [(1.0, 0.0), (1.0, 0.5), (2.0, 0.5), (2.0, 1.0)]);
    }
}
