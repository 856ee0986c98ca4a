//! Files that are made by a program and kept in git, so that a change to them is seen in review.

use std::fs;

use crate::command::{Failure, Outcome, root};

/// How many lines of a difference are shown.
const SHOWN: usize = 40;

/// Writes `text` to the file `name` of the workspace; with `check`, compares it with what is there instead.
///
/// A file that differs is a failure: the difference is shown, and the command that mends it.
pub fn put(name: &str, text: &str, check: bool, command: &str) -> Result<Outcome, Failure> {
    let file = root().join(name);
    let there = if file.exists() { fs::read_to_string(&file)? } else { String::new() };
    if there == text {
        return Ok(Outcome::Passed);
    }
    if !check {
        fs::write(&file, text)?;
        println!("{name} is written");
        return Ok(Outcome::Passed);
    }
    let changes = difference(&there, text);
    for line in changes.iter().take(SHOWN) {
        eprintln!("{line}");
    }
    if let Some(more) = changes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        eprintln!("… and {more} more lines");
    }
    Err(Failure(format!(
        "{name} is not what the code makes of it; if the change is meant, run `{command}` and commit it"
    )))
}

/// The lines that went (`-`) and came (`+`), in order.
fn difference(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // The longest common subsequence, by the usual table; the files have some hundred lines.
    let mut common = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    for b in (0..before.len()).rev() {
        for a in (0..after.len()).rev() {
            common[b][a] =
                if before[b] == after[a] { common[b + 1][a + 1] + 1 } else { common[b + 1][a].max(common[b][a + 1]) };
        }
    }
    let (mut b, mut a) = (0, 0);
    let mut changes = Vec::new();
    while b < before.len() || a < after.len() {
        if b < before.len() && a < after.len() && before[b] == after[a] {
            (b, a) = (b + 1, a + 1);
        } else if a == after.len() || (b < before.len() && common[b + 1][a] >= common[b][a + 1]) {
            changes.push(format!("-{}", before[b]));
            b += 1;
        } else {
            changes.push(format!("+{}", after[a]));
            a += 1;
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_shows_what_went_and_what_came() {
        assert!(difference("a\nb\n", "a\nb\n").is_empty());
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\nd\n"), ["-b", "+x", "+d"]);
        assert_eq!(difference("", "a\n"), ["+a"]);
        assert_eq!(difference("a\n", ""), ["-a"]);
    }
}
