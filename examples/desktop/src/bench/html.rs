//! The report as one HTML file that needs nothing else.

use std::{fs, path::Path};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    plots,
    table::{Bar, BenchReport, Plot, Row, number},
};
use crate::{console::count, failure::Failure};

/// The pictures are drawn black on white; by night what is black takes the colour of the text.
const STYLE: &str = include_str!("report.css");

/// Writes the report to a file.
pub fn write(path: &Path, report: &BenchReport, command: &str) -> Result<(), Failure> {
    let when = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
    fs::write(path, page(report, command, &when)?).map_err(|error| Failure::file(path, &error))
}

/// The whole page; `command` is what it was made with.
pub fn page(report: &BenchReport, command: &str, when: &str) -> Result<String, Failure> {
    let figures = report.plots.iter().map(figure).collect::<Result<Vec<_>, _>>()?;
    let missed = report.rows.iter().filter(|row| row.passed == Some(false)).count();
    let (verdict, class) = match missed {
        0 => ("Every bar was reached.".to_owned(), "pass"),
        _ => (format!("Not reached: {}.", count(missed, "bar")), "fail"),
    };
    let (judged, others): (Vec<&Row>, Vec<&Row>) = report.rows.iter().partition(|row| row.bar.is_some());
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
                    code { (command) } br;
                    (when) ", version " (env!("CARGO_PKG_VERSION")) ", " (count(report.processors, "processor")) ", "
                    (std::env::consts::OS) " on " (std::env::consts::ARCH)
                    @if cfg!(debug_assertions) { ", " strong { "debug build: measure with --release" } }
                }
                @if !judged.is_empty() { h2 { "Bars" } (table(&judged)) }
                @for figure in figures { (figure) }
                @if !others.is_empty() { h2 { "More figures" } (table(&others)) }
            }
        }
    };
    Ok(page.into_string())
}

fn table(rows: &[&Row]) -> Markup {
    let judged = rows.iter().any(|row| row.bar.is_some());
    html! {
        table {
            thead {
                tr {
                    th { "What" } th class="n" { "Measured" } th { "Unit" }
                    @if judged { th { "Bar" } th { "Verdict" } }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        td { (row.what) @if !row.note.is_empty() { " " span class="note" { (row.note) } } }
                        td class="n" { (number(row.value)) }
                        td { (row.unit) }
                        @if judged { td class="bar" { (row.bar.map(bar).unwrap_or_default()) } (verdict(row.passed)) }
                    }
                }
            }
        }
    }
}

fn bar(bar: Bar) -> String {
    match bar {
        Bar::AtMost(most) => format!("\u{2264} {}", number(most)),
        Bar::AtLeast(least) => format!("\u{2265} {}", number(least)),
        Bar::Exactly(exactly) => format!("= {}", number(exactly)),
    }
}

fn verdict(passed: Option<bool>) -> Markup {
    html! {
        @match passed {
            Some(true) => td class="pass" { "pass" },
            Some(false) => td class="fail" { "FAIL" },
            None => td { "" },
        }
    }
}

fn figure(plot: &Plot) -> Result<Markup, Failure> {
    let (title, reads) = match plot {
        Plot::Spread { title, .. } => (title, "The share of the samples that took no longer."),
        Plot::Parts { title, .. } => {
            (title, "The median of each part, one behind the other: their sum is not the median of the whole.")
        }
    };
    let (svg, legend) = (plots::draw(plot)?, plots::legend(plot));
    Ok(html! {
        figure {
            figcaption {
                strong { (title) } " " span class="note" { (reads) }
                ul {
                    @for (colour, what) in legend {
                        li { span class="swatch" style={ "background:" (colour) } {} (what) }
                    }
                }
            }
            div role="img" aria-label=(title) { (PreEscaped(svg)) }
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
        let page = page(&BenchReport::new(Found { rows, plots }), "keybutton bench", "2026-01-02 03:04 UTC").unwrap();
        assert!(page.starts_with("<!DOCTYPE html>"));
        for text in [
            "fast &lt;p50&gt;",
            "12.5",
            "\u{2264} 10",
            "FAIL",
            "Not reached: 1 bar.",
            "<svg",
            "30 presses",
            "2026-01-02 03:04 UTC",
            "background:#0072b2\"></span>fast</li>",
            "prefers-color-scheme",
        ] {
            assert!(page.contains(text), "{text} is missing: {page}");
        }
        // Nothing is fetched: the one address in it is the name of the SVG format.
        let addresses = page.matches("http").count();
        assert_eq!(addresses, page.matches("http://www.w3.org/2000/svg").count());
        assert!(["<script", "<link", "url(", "@import"].iter().all(|fetches| !page.contains(fetches)), "{page}");
    }
}
