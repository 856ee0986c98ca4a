//! Explanations for a person.

use super::{Value, Way};
use crate::console::count;

/// The lines that explain a value; the first one is about the value, the others about the message it completes.
pub fn text(value: &Value) -> Vec<String> {
    let arrow = match value.way {
        Way::ToLock => "phone -> lock",
        Way::ToPhone => "lock -> phone",
    };
    let place = match value.fragment {
        None => "empty".to_owned(),
        Some(fragment) => {
            let place = match (fragment.first, fragment.last) {
                (true, true) => "a whole message",
                (true, false) => "first fragment",
                (false, true) => "last fragment",
                (false, false) => "fragment",
            };
            format!("{place}, number {}", fragment.sequence)
        }
    };
    let mut lines = vec![format!("{arrow}  {:>3} bytes  {place}", value.bytes)];
    if let Some(fault) = &value.fault {
        lines.push(format!("  BROKEN: {fault}; the link has to be closed"));
    }
    if let Some(message) = &value.message {
        let values = if message.values == 1 { String::new() } else { format!(" in {} values", message.values) };
        let sealed = if message.sealed { ", encrypted" } else { "" };
        lines.push(format!("  {}, {}{values}{sealed}", message.name, count(message.bytes, "byte")));
        for field in &message.fields {
            let says = field.says.as_ref().map(|says| format!(": {says}")).unwrap_or_default();
            lines.push(format!("    {:<6} {} ({}){says}", field.tag, field.name, count(field.bytes, "byte")));
        }
        lines.push(format!("    = {}", message.means));
    }
    lines
}
