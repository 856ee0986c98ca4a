//! The pinned vectors: everything both sides compute, from fixed keys.
//!
//! Made by the same code that ships. What they are worth comes from elsewhere: the external vectors prove that code
//! right, these keep it from changing unnoticed, and feed implementations in other languages.
#![allow(clippy::unwrap_used, clippy::panic)] // a vector that can't be computed stops the program, as it should

mod documents;
mod identities;
mod numbers;
mod transactions;

use serde_json::Value;

pub(crate) use numbers::Numbers;

/// Computes every file of `tests/vectors/`: its name and its content.
pub(crate) fn files() -> Vec<(&'static str, Value)> {
    let identities = Numbers::from([("identities", identities::numbers())]);
    let documents = Numbers::from([
        ("access", documents::access().numbers()),
        ("revocation", documents::revocation().numbers()),
        ("time token", documents::time_token().numbers()),
        ("ack token", documents::ack_token().numbers()),
    ]);
    let certificate = Numbers::from([("certificate", documents::certificate())]);
    let audit = Numbers::from([("audit", documents::audit().numbers())]);
    let advertising = Numbers::from([("advertising", documents::advertising())]);
    let verdicts = Numbers::from([("verdicts", transactions::verdicts())]);
    let transactions = transactions::all().into_iter().map(|run| (run.name, run.numbers())).collect::<Numbers>();
    [
        ("identities", identities),
        ("documents", documents),
        ("certificate", certificate),
        ("audit", audit),
        ("advertising", advertising),
        ("verdicts", verdicts),
        ("transactions", transactions),
    ]
    .map(|(name, numbers)| (name, numbers.to_json()))
    .into()
}

/// Computes the worked numbers of `docs/PROTOCOL.md`, by the names of their blocks.
fn blocks() -> Vec<(&'static str, Numbers)> {
    let runs = transactions::all();
    let first = &runs[0];
    let mut blocks = vec![
        ("identities", identities::numbers()),
        ("certificate", documents::certificate()),
        ("keys", first.keys()),
        ("step-up", first.step_up()),
        ("documents", documents::access().numbers().and(documents::revocation().numbers().prefixed("revocation"))),
        ("fragments", first.fragments()),
        ("advertising", documents::advertising()),
        ("verdict", transactions::verdicts()),
        ("tokens", documents::time_token().numbers().and(documents::ack_token().numbers())),
        ("audit", documents::audit().numbers()),
        ("sizes", runs.iter().fold(Numbers::default(), |sizes, run| sizes.value(run.name, run.bytes()))),
    ];
    blocks.extend(runs.iter().map(|run| (run.name, run.messages())));
    blocks
}

/// Fills the blocks of a page that are marked `worked:NAME`. Fails when page and vectors name different blocks.
pub(crate) fn fill(page: &str) -> Result<String, String> {
    let blocks = blocks();
    let mut out = String::with_capacity(page.len());
    let mut filled = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out += line;
        out.push('\n');
        let Some(name) = line.strip_prefix("```text worked:") else { continue };
        let (name, numbers) = blocks
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("the page has a block \"{name}\" that nothing computes"))?;
        out += &numbers.to_text();
        lines.find(|line| *line == "```").ok_or_else(|| format!("block \"{name}\" does not end"))?;
        out += "```\n";
        filled.push(*name);
    }
    match blocks.iter().find(|(name, _)| !filled.contains(name)) {
        Some((name, _)) => Err(format!("the page has no block \"{name}\"")),
        None => Ok(out),
    }
}
