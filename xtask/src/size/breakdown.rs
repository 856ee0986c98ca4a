use std::collections::{BTreeMap, BTreeSet};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind, elf::SHF_ALLOC};
use rustc_demangle::demangle;

use crate::command::Failure;

/// A table of what a library's bytes are: code by crate, `named` of them by name, and the rest by purpose.
///
/// A generic function counts for the crate that wrote it, whoever made it necessary.
pub fn of(library: &[u8], named: usize) -> Result<String, Failure> {
    let file = object::File::parse(library)?;
    let mut crates: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for symbol in file.symbols() {
        // Functions that came out alike are one, under several names.
        if symbol.kind() == SymbolKind::Text && symbol.size() > 0 && seen.insert(symbol.address()) {
            let name = symbol.name().unwrap_or_default();
            *crates.entry(owner(name)).or_default() += symbol.size();
        }
    }
    if crates.is_empty() {
        return Err(Failure("the library has no symbols to tell its code apart by".into()));
    }
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for section in file.sections() {
        let loaded = matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(SHF_ALLOC));
        if let (true, Some(part)) = (loaded && section.file_range().is_some(), part(section.name().unwrap_or_default()))
        {
            *parts.entry(part).or_default() += section.size();
        }
    }
    let mut rows: Vec<(String, u64)> =
        crates.into_iter().map(|(name, bytes)| (format!("code: {name}"), bytes)).collect();
    rows.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let rest: u64 = rows.iter().skip(named).map(|(_, bytes)| bytes).sum();
    rows.truncate(named);
    if rest > 0 {
        rows.push(("code: smaller crates together".into(), rest));
    }
    rows.extend(parts.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)));
    let lines: Vec<String> = rows.into_iter().map(|(name, bytes)| format!("| {name} | {bytes} |")).collect();
    Ok(format!("| What | Bytes |\n|---|---:|\n{}", lines.join("\n")))
}

/// What a section is for; code is told apart by its symbols.
fn part(section: &str) -> Option<&'static str> {
    match section {
        ".text" | ".plt" | ".init" | ".fini" | ".note.gnu.build-id" => None,
        ".eh_frame" | ".eh_frame_hdr" | ".gcc_except_table" => Some("tables for unwinding"),
        ".dynsym" | ".dynstr" | ".hash" | ".gnu.hash" | ".gnu.version" | ".gnu.version_r" | ".rela.plt" => {
            Some("names for the loader")
        }
        name if name.starts_with(".rela") || name.starts_with(".relr") => Some("relocations"),
        name if name.starts_with(".rodata") => Some("constants: texts and tables"),
        _ => Some("data with addresses in it"),
    }
}

/// The crate that a function is of.
fn owner(symbol: &str) -> String {
    if symbol.starts_with("uniffi_") || symbol.starts_with("ffi_") {
        return "calls that Swift and Kotlin make".into();
    }
    let name = format!("{:#}", demangle(symbol));
    if name == symbol {
        return if symbol.contains("ring_core") { "ring".into() } else { "C and assembler".into() };
    }
    // A destructor made by the compiler is its type's.
    let name = name.strip_prefix("core::ptr::drop_in_place<").unwrap_or(&name);
    let name = first_crate(name).unwrap_or("std");
    match name {
        "std" | "core" | "alloc" | "compiler_builtins" | "std_detect" | "panic_unwind" | "gimli" | "addr2line"
        | "rustc_demangle" | "object" | "miniz_oxide" | "hashbrown" => "std".into(),
        name => name.to_owned(),
    }
}

/// The first name of a path, such as `reqwest` of `<alloc::sync::Arc<reqwest::Client> as core::fmt::Debug>::fmt`.
///
/// The standard library's containers, and generic letters, give way to what they are filled with or do.
fn first_crate(name: &str) -> Option<&str> {
    let mut found = None;
    for word in name.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        let Some((first, _)) = word.split_once("::") else { continue };
        if first.is_empty() {
            continue;
        }
        if !matches!(first, "core" | "alloc" | "std") {
            return Some(first);
        }
        found = found.or(Some(first));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{of, owner};

    #[test]
    fn a_function_has_an_owner() {
        assert_eq!(owner("_ZN7reqwest10async_impl6client3new17h0123456789abcdefE"), "reqwest");
        assert_eq!(owner("ring_core_0_17_14__aes_nohw_encrypt"), "ring");
        assert_eq!(owner("uniffi_keybutton_fn_method_corekeys_press"), "calls that Swift and Kotlin make");
        assert_eq!(owner("memcpy"), "C and assembler");
        assert_eq!(
            owner("_ZN4core3ptr44drop_in_place$LT$tokio..runtime..Runtime$GT$17h0123456789abcdefE"),
            "tokio",
            "a destructor is its type's"
        );
        assert_eq!(
            owner("_ZN62_$LT$alloc..vec..Vec$LT$u8$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE"),
            "std"
        );
    }

    #[test]
    fn this_program_is_broken_down() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        if cfg!(target_os = "linux") {
            let table = of(&own, 3).unwrap();
            assert!(table.contains("| code: std | "), "{table}");
            assert!(table.contains("| tables for unwinding | "), "{table}");
            assert_eq!(table.matches("| code: ").count(), 4, "{table}");
        }
    }
}
