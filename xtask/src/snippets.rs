//! The code blocks that the documents show and the tests run.

use std::fs;

use crate::command::{Failure, root};

/// The documents whose code blocks are run.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/INTEGRATING.md"];

/// The lines of the code block that starts with ```` ```language name ````.
///
/// A block that no document has, and one that two have, is a failure: a test must know what it runs.
pub fn extract(language: &str, name: &str) -> Result<String, Failure> {
    let mut found = Vec::new();
    for document in DOCUMENTS {
        let path = root().join(document);
        if path.exists() {
            found.extend(blocks(&fs::read_to_string(path)?, language, name)?);
        }
    }
    match found.as_slice() {
        [block] => Ok(block.clone()),
        [] => Err(Failure(format!("no block `{language} {name}` in {}", DOCUMENTS.join(" or ")))),
        more => Err(Failure(format!("{} blocks are called `{language} {name}`", more.len()))),
    }
}

fn blocks(document: &str, language: &str, name: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    // The open block: its fence, and its lines where it is a wanted one.
    let mut open: Option<(&str, Option<String>)> = None;
    for line in document.lines() {
        let (fence, info) = fence(line);
        match &mut open {
            Some((opened, wanted)) if fence.len() >= opened.len() && fence.starts_with(*opened) && info.is_empty() => {
                found.extend(wanted.take());
                open = None;
            }
            Some((_, Some(lines))) => {
                lines.push_str(line);
                lines.push('\n');
            }
            Some((_, None)) => {}
            None if fence.len() >= 3 => {
                let wanted = info.split_whitespace().eq([language, name]);
                open = Some((fence, wanted.then(String::new)));
            }
            None => {}
        }
    }
    match open {
        Some((_, Some(_))) => Err(Failure(format!("the block `{language} {name}` has no end"))),
        Some((_, None)) | None => Ok(found),
    }
}

/// Splits a line into its backquotes and what follows them.
fn fence(line: &str) -> (&str, &str) {
    let rest = line.trim_start_matches('`');
    (&line[..line.len() - rest.len()], rest.trim())
}

#[cfg(test)]
mod tests {
    use super::{blocks, extract};

    const DOCUMENT: &str = "\
Text with `kotlin first-door` in it.

```kotlin
val other = 1
```

````text
```kotlin first-door
not a block
```
````

```kotlin first-door
val keys = MobileKeys()

keys.press()
```

```swift first-door
let keys = MobileKeys()
```
";

    #[test]
    fn a_block_is_found_by_language_and_name() {
        assert_eq!(
            blocks(DOCUMENT, "kotlin", "first-door").unwrap(),
            ["val keys = MobileKeys()\n\nkeys.press()\n"],
            "the inner block of another block is text"
        );
        assert_eq!(blocks(DOCUMENT, "swift", "first-door").unwrap(), ["let keys = MobileKeys()\n"]);
        assert!(blocks(DOCUMENT, "kotlin", "first").unwrap().is_empty());
        assert!(blocks(DOCUMENT, "kotlin", "").unwrap().is_empty());
    }

    #[test]
    fn twice_is_told_and_an_open_block_fails() {
        assert_eq!(blocks(&DOCUMENT.repeat(2), "swift", "first-door").unwrap().len(), 2);
        assert!(blocks("```kotlin a\nval x = 1\n", "kotlin", "a").is_err());
    }

    #[test]
    fn a_missing_block_is_a_failure() {
        assert!(extract("kotlin", "no-such-block").unwrap_err().0.contains("README.md"));
    }
}
