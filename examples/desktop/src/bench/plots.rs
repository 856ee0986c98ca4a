//! Pictures of what was measured, as SVG.

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use super::table::{Plot, Series, Sum};
use crate::failure::Failure;

const SIZE: (u32, u32) = (860, 360);

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

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The share of the samples that were no larger: one line for each series.
fn spread(area: &Area<'_>, unit: &str, series: &[Series]) -> Drawn {
    let all = || series.iter().flat_map(|series| series.samples.iter().copied());
    let least = all().fold(f64::INFINITY, f64::min).min(all().fold(0.0, f64::max));
    let most = all().fold(0.0, f64::max).max(least + 1e-3);
    let margin = (most - least) * 0.04;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d((least - margin).max(0.0)..most + margin, 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc(unit)
        .y_desc("share")
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle().copied()) {
        chart
            .draw_series(LineSeries::new(steps(&series.samples), colour.stroke_width(2)))?
            .label(series.what.as_str())
            .legend(move |at| swatch(at, colour));
    }
    legend(&mut chart, SeriesLabelPosition::LowerRight)
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

/// One bar for each sum, made of its parts.
fn parts(area: &Area<'_>, unit: &str, sums: &[Sum]) -> Drawn {
    let total = |sum: &Sum| sum.parts.iter().map(|(_, value)| value).sum::<f64>();
    let most = sums.iter().map(total).fold(0.0, f64::max).max(1e-3) * 1.02;
    let rows = sums.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..most, 0.0..rows + 0.6)?;
    let label = |y: &f64| {
        let number = (y - 0.5).round();
        let found = sums.iter().rev().enumerate().find(|(at, _)| (*at as f64 - number).abs() < 0.1);
        let centred = (y - 0.5 - number).abs() < 0.01;
        found.filter(|_| centred).map(|(_, sum)| sum.what.clone()).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(unit)
        .y_labels(2 * sums.len() + 2)
        .y_label_formatter(&label)
        .draw()?;
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in sums.iter().flat_map(|sum| &sum.parts) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    for (name, colour) in names.into_iter().zip(COLOURS.iter().cycle().copied()) {
        let bars = sums.iter().rev().enumerate().flat_map(|(row, sum)| {
            let mut from = 0.0;
            let mut bars = Vec::new();
            for (part, value) in &sum.parts {
                if *part == name {
                    let (low, high) = (row as f64 + 0.2, row as f64 + 0.8);
                    bars.push(Rectangle::new([(from, low), (from + value, high)], colour.filled()));
                }
                from += value;
            }
            bars
        });
        chart.draw_series(bars)?.label(name).legend(move |at| swatch(at, colour));
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)
}

/// A series' colour beside its name.
fn swatch((x, y): (i32, i32), colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled())
}

/// Names the series in a corner.
fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, position: SeriesLabelPosition) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
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
        assert!(svg.contains("fast") && svg.contains("first &amp; last") && !svg.contains("NaN"), "{svg}");
        let sums = vec![
            Sum { what: "fast".into(), parts: vec![("search", 3.0), ("connect", 4.0)] },
            Sum { what: "floor".into(), parts: vec![("connect", 4.0)] },
        ];
        let svg = draw(&Plot::Parts { title: "Parts".into(), unit: "ms", sums }).unwrap();
        assert!(["search", "connect", "fast", "floor"].iter().all(|text| svg.contains(text)), "{svg}");
    }

    #[test]
    fn a_distribution_climbs_from_zero_to_one() {
        let points = steps(&[2.0, 1.0]);
        assert_eq!(points, [(1.0, 0.0), (1.0, 0.5), (2.0, 0.5), (2.0, 1.0)]);
    }
}
