use keybutton::error::{ErrorEntry, Retry, Side, TABLE};

/// The sides in the order of the page: first who can do most about it.
const SIDES: [(Side, &str); 8] = [
    (Side::Member, "The member can put it right: show message and remedy."),
    (Side::Operator, "The operator of the site can put it right: show both, and whom to ask."),
    (Side::Lock, "The lock has a fault or is busy: show both."),
    (Side::Phone, "The phone, its radio or its storage: show both, with a way to the system's settings."),
    (Side::Network, "The way to the access service: show both, and let the member press again."),
    (Side::Service, "The access service: show the message; look at the service."),
    (Side::App, "The app used the SDK wrongly or has something to do: mend it before the app ships."),
    (Side::Keybutton, "A defect of this SDK: show the message and offer to send the support report."),
];

const INTRODUCTION: &str = "\
# Errors

Made from the table in `core/src/error/table.rs` by `cargo xtask errors`; do not edit it here. Swift and Kotlin give the
same texts: `message`, `remedy`, `side` and `retry` of an `ErrorCode`.

An error says four things:

- **Code**: stable for ever, for matching and for support. Never show it alone.
- **Message** and **remedy**: what happened and what a person can do. Neither holds a name, an id or a secret, so both may be
  shown and logged. Show the message first, the remedy under it. For another language, translate by code.
- **Side**: who can act. It decides what the screen offers beside the text.
- **Again**: whether pressing again is safe.

| Again | What it means | What the app does |
|---|---|---|
| yes | Nothing moved; another try may help. | Let the Key Button be pressed again. |
| no | Nothing moved; another try can't help before the remedy is followed. | Show the remedy; do not try again by yourself. |
| same press only | The door may have opened. | Ask the same press again (`retry`); a new press could open the door twice. |

A refusal by the lock and a press without an answer carry the same codes: `Refused` has one of the codes that the lock or
the access service decides, `Unconfirmed` has one with \"same press only\".
";

/// The page of all errors, by side.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (side, words) in SIDES {
        let rows: Vec<&ErrorEntry> = TABLE.iter().filter(|entry| entry.side == side).collect();
        text += &format!("\n## {}\n\n{words}\n\n| Code | Message | Remedy | Again |\n|---|---|---|---|\n", title(side));
        for entry in rows {
            text += &format!("| `{}` | {} | {} | {} |\n", entry.name, entry.message, entry.remedy, again(entry.retry));
        }
    }
    text
}

fn title(side: Side) -> &'static str {
    match side {
        Side::Member => "Member",
        Side::Operator => "Operator",
        Side::Lock => "Lock",
        Side::Phone => "Phone",
        Side::Network => "Network",
        Side::Service => "Service",
        Side::App => "App",
        Side::Keybutton => "Keybutton",
    }
}

fn again(retry: Retry) -> &'static str {
    match retry {
        Retry::Yes => "yes",
        Retry::No => "no",
        Retry::SamePressOnly => "same press only",
    }
}

#[cfg(test)]
mod tests {
    use keybutton::error::TABLE;

    use super::page;

    #[test]
    fn every_error_has_one_row() {
        let page = page();
        for entry in TABLE {
            assert_eq!(page.matches(&format!("\n| `{}` |", entry.name)).count(), 1, "{}", entry.name);
        }
        assert_eq!(page.matches("\n| `").count(), TABLE.len());
    }

    #[test]
    fn no_text_breaks_its_table() {
        for entry in TABLE {
            assert!(!entry.message.contains(['|', '\n']) && !entry.remedy.contains(['|', '\n']), "{}", entry.name);
        }
    }
}
