//! The parts of messages by their tags, told by name and length; a value only where it is one of a few known words.

use keybutton_protocol::tlv::{Tlv, Tlvs};

use super::Field;

/// A part whose value does not show.
pub(super) const fn plain(tag: &'static str, name: &'static str, bytes: usize) -> Field {
    Field { tag, name, bytes, says: None }
}

/// A part that says one of a few known words.
pub(super) fn said(tag: &'static str, name: &'static str, bytes: usize, says: &str) -> Field {
    Field { tag, name, bytes, says: Some(says.to_owned()) }
}

/// Reads what the lock sends with AUTH0.
pub(super) fn auth0(data: &[u8]) -> Vec<Field> {
    each(data, |tlv| match tlv.tag {
        0x41 => said(
            "41",
            "parameters",
            tlv.value.len(),
            if asks(tlv.value) { "asks for the fast phase" } else { "no fast phase" },
        ),
        0x42 => said(
            "42",
            "user policy",
            tlv.value.len(),
            match tlv.value {
                [1] => "the phone's own setting",
                [2] => "the phone's own setting, for a secure action",
                [3] => "the user has to authenticate",
                _ => "unknown",
            },
        ),
        0x5C => version(tlv),
        0x87 => plain("87", "the lock's ephemeral key", tlv.value.len()),
        0x4C => plain("4C", "transaction identifier", tlv.value.len()),
        0x4D => plain("4D", "reader identifier", tlv.value.len()),
        _ => unknown(tlv),
    })
}

/// Tells whether AUTH0 asks for the fast phase.
pub(super) fn asks_fast(data: &[u8]) -> bool {
    Tlvs::new(data).flatten().any(|tlv| tlv.tag == 0x41 && asks(tlv.value))
}

fn asks(value: &[u8]) -> bool {
    value.first().is_some_and(|parameters| parameters & 1 != 0)
}

/// Reads what the phone answers to AUTH0.
pub(super) fn auth0_answer(data: &[u8]) -> Vec<Field> {
    each(data, |tlv| match tlv.tag {
        0x86 => plain("86", "the phone's ephemeral key", tlv.value.len()),
        0x9D => said("9D", "cryptogram", tlv.value.len(), "encrypted, or random"),
        _ => unknown(tlv),
    })
}

/// Reads what the lock sends with AUTH1.
pub(super) fn auth1(data: &[u8]) -> Vec<Field> {
    each(data, |tlv| match tlv.tag {
        0x41 => said(
            "41",
            "parameters",
            tlv.value.len(),
            if asks(tlv.value) { "asks for the device key" } else { "asks for no key" },
        ),
        0x9E => plain("9E", "the lock's signature", tlv.value.len()),
        0x90 => plain("90", "reader certificate", tlv.value.len()),
        _ => unknown(tlv),
    })
}

/// Reads a CONTROL FLOW.
pub(super) fn control_flow(data: &[u8]) -> Vec<Field> {
    each(data, |tlv| match tlv.tag {
        0x41 => plain("41", "first status byte", tlv.value.len()),
        0x42 => said(
            "42",
            "second status byte",
            tlv.value.len(),
            match tlv.value {
                [0x00] => "failed, not said why",
                [0x27] => "no version in common",
                _ => "unknown",
            },
        ),
        _ => unknown(tlv),
    })
}

/// Reads the A5 template a phone begins with.
pub(super) fn a5(template: &[u8]) -> Vec<Field> {
    let Some(Ok(outer)) = Tlvs::new(template).next().filter(|outer| outer.is_ok_and(|outer| outer.tag == 0xA5)) else {
        return vec![plain("", "malformed template", template.len())];
    };
    let mut found = Vec::new();
    for tlv in Tlvs::new(outer.value) {
        match tlv {
            Ok(tlv) if tlv.tag == 0xB3 => found.extend(vendor_part(tlv.value)),
            Ok(tlv) => found.push(match tlv.tag {
                0x80 => plain("80", "type", tlv.value.len()),
                0x5C => version(tlv),
                0x7F66 => plain("7F66", "longest command and answer", tlv.value.len()),
                _ => unknown(tlv),
            }),
            Err(_) => found.push(malformed(template.len())),
        }
    }
    found
}

/// The press, inside the template.
fn vendor_part(value: &[u8]) -> Vec<Field> {
    each(value, |tlv| match tlv.tag {
        0xC0 => said(
            "B3 C0",
            "maker of this part",
            tlv.value.len(),
            if tlv.value == b"zKB" { "Keybutton" } else { "another" },
        ),
        0xC1 => plain("B3 C1", "version of this part", tlv.value.len()),
        0xC2 => plain("B3 C2", "unlock id", tlv.value.len()),
        0xC3 => said(
            "B3 C3",
            "intent",
            tlv.value.len(),
            match tlv.value {
                [1] => "unlock",
                [2] => "hold open",
                [3] => "lock",
                [4] => "status, nothing moves",
                [5] => "sync, nothing moves",
                _ => "unknown",
            },
        ),
        _ => unknown(tlv),
    })
}

fn version(tlv: Tlv<'_>) -> Field {
    let ours = tlv.value.chunks_exact(2).any(|version| version == [1, 0]);
    said("5C", "versions", tlv.value.len(), if ours { "1.0" } else { "none that is known" })
}

fn unknown(tlv: Tlv<'_>) -> Field {
    plain("", "unknown, skipped", tlv.value.len())
}

const fn malformed(bytes: usize) -> Field {
    plain("", "malformed", bytes)
}

fn each(data: &[u8], of: impl Fn(Tlv<'_>) -> Field) -> Vec<Field> {
    Tlvs::new(data).map(|tlv| tlv.map_or_else(|_| malformed(data.len()), &of)).collect()
}
