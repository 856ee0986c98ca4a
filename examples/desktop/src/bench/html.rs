//! The report as one HTML file that needs nothing else.

use std::{fs, path::Path};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    plots,
    table::{Bar, BenchReport, Plot, Row, number},
};
use crate::failure::Failure;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
    table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:left}\
    .n{text-align:right;font-variant-numeric:tabular-nums}.pass{color:#00693e}.fail{color:#b00020;font-weight:bold}\
    .note{color:#666;font-size:.9em}figure{margin:2rem 0}svg{max-width:100%;height:auto}";

/// Writes the report to a file.
pub fn write(path: &Path, report: &BenchReport, command: &str) -> Result<(), Failure> {
    fs::write(path, page(report, command)?).map_err(|error| Failure::file(path, &error))
}

/// The whole page; `command` is what it was made with.
pub fn page(report: &BenchReport, command: &str) -> Result<String, Failure> {
    let figures = report.plots.iter().map(figure).collect::<Result<Vec<_>, _>>()?;
    let (verdict, class) =
        if report.passed { ("Every bar was reached.", "pass") } else { ("Bars were missed.", "fail") };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Keybutton bench" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Keybutton bench" }
                p class=(class) { (verdict) }
                p class="note" {
                    code { (command) }
                    ", version " (env!("CARGO_PKG_VERSION")) ", " (report.processors) " processors"
                    @if cfg!(debug_assertions) { ", debug build" }
                }
                (table(&report.rows))
                @for figure in figures { (figure) }
            }
        }
    };
    Ok(page.into_string())
}

fn table(rows: &[Row]) -> Markup {
    html! {
        table {
            thead { tr { th { "What" } th class="n" { "Measured" } th { "Unit" } th { "Bar" } th { "" } } }
            tbody {
                @for row in rows {
                    tr {
                        td { (row.what) @if !row.note.is_empty() { " " span class="note" { (row.note) } } }
                        td class="n" { (number(row.value)) }
                        td { (row.unit) }
                        td { (row.bar.map(Bar::text).unwrap_or_default()) }
                        @match row.passed {
                            Some(true) => td class="pass" { "pass" },
                            Some(false) => td class="fail" { "FAIL" },
                            None => td { "" },
                        }
                    }
                }
            }
        }
    }
}

fn figure(plot: &Plot) -> Result<Markup, Failure> {
    let (Plot::Spread { title, .. } | Plot::Parts { title, .. }) = plot;
    let svg = plots::draw(plot)?;
    Ok(html! {
        figure {
            figcaption { strong { (title) } }
            (PreEscaped(svg))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Found, Series};

    #[test]
    fn the_page_has_every_figure_and_escapes_text() {
        let rows = vec![
            Row::new("fast <p50>", 12.5, "ms").bar(Bar::AtMost(10.0)).note("30 presses"),
            Row::new("search", 3.0, "ms").bar(Bar::AtMost(10.0)),
        ];
        let series = vec![Series { what: "fast".into(), samples: vec![12.5, 13.0] }];
        let plots = vec![Plot::Spread { title: "Times".into(), unit: "ms", series }];
        let page = page(&BenchReport::new(Found { rows, plots }), "keybutton bench").unwrap();
        assert!(page.starts_with("<!DOCTYPE html>"));
        for text in ["fast &lt;p50&gt;", "12.5", "&lt;= 10", "FAIL", "Bars were missed", "<svg", "30 presses"] {
            assert!(page.contains(text), "{text} is missing: {page}");
        }
        assert!(!page.contains("<script") && !page.contains("http://") || page.contains("http://www.w3.org/2000/svg"));
    }
}
