use std::{collections::BTreeSet, fs, path::Path};

use object::{
    NameOrOrdinal, Object as _,
    elf::PT_LOAD,
    endian::Endianness,
    read::elf::{ElfFile, FileHeader, ProgramHeader as _},
};

use super::{
    Built,
    targets::{System, Target},
};
use crate::command::Failure;

/// Google Play wants libraries whose segments can be mapped on 16 KB pages.
const LEAST_ALIGNMENT: u64 = 0x4000;

/// Looks into what was built and says what it found, in one line.
///
/// Leaves the names that come in and go out beside the library, `.imports` and `.exports`, to compare with earlier ones.
pub fn inspect(built: &Built, target: &Target) -> Result<String, Failure> {
    let bytes = fs::read(&built.library)?;
    let Symbols { exports, imports } = Symbols::read(&bytes)?;
    write_list(&built.library.with_extension("exports"), &exports)?;
    write_list(&built.library.with_extension("imports"), &imports)?;
    if exports.is_empty() {
        return Err(Failure(format!("{} exports nothing that UniFFI calls", built.library.display())));
    }
    if let Some(name) = imports.iter().find(|name| is_rust(name)) {
        return Err(Failure(format!("{} misses {name}: something was not linked in", built.library.display())));
    }
    if matches!(target.system, System::Android) {
        check_alignment(&bytes)?;
    }
    let shipped = built.archive.as_ref().unwrap_or(&built.library);
    Ok(format!(
        "{} bytes, {} exported functions, {} imported names: {}",
        fs::metadata(shipped)?.len(),
        exports.len(),
        imports.len(),
        shipped.display()
    ))
}

/// The names that a library gives to Swift and Kotlin.
pub fn exports(library: &[u8]) -> Result<BTreeSet<String>, Failure> {
    Ok(Symbols::read(library)?.exports)
}

/// Names that a library gives to the host and wants from it, without a leading underscore of Apple's.
struct Symbols {
    exports: BTreeSet<String>,
    imports: BTreeSet<String>,
}

impl Symbols {
    fn read(library: &[u8]) -> Result<Self, Failure> {
        let file = object::File::parse(library)?;
        let apple = file.format() == object::BinaryFormat::MachO;
        let read = |name: NameOrOrdinal<&[u8]>| {
            let name = String::from_utf8_lossy(name.name().unwrap_or_default());
            name.strip_prefix(if apple { "_" } else { "" }).unwrap_or(&name).to_owned()
        };
        let mut exports = BTreeSet::new();
        for export in file.exports()? {
            exports.insert(read(export?.name()));
        }
        exports.retain(|name| name.starts_with("uniffi_") || name.starts_with("ffi_"));
        let mut imports = BTreeSet::new();
        for import in file.imports()? {
            imports.insert(read(import?.name()));
        }
        Ok(Self { exports, imports })
    }
}

/// A name mangled by Rust: no system has it.
fn is_rust(name: &str) -> bool {
    name.starts_with("_ZN") || name.strip_prefix("_R").is_some_and(|rest| rest.starts_with(char::is_uppercase))
}

fn check_alignment(library: &[u8]) -> Result<(), Failure> {
    let smallest = match object::File::parse(library)? {
        object::File::Elf64(file) => smallest_alignment(&file),
        object::File::Elf32(file) => smallest_alignment(&file),
        _ => None,
    };
    match smallest {
        Some(alignment) if alignment >= LEAST_ALIGNMENT => Ok(()),
        Some(alignment) => Err(Failure(format!("a segment is aligned to {alignment:#x}, not to {LEAST_ALIGNMENT:#x}"))),
        None => Err(Failure("the Android library has no segment to load".into())),
    }
}

fn smallest_alignment<Elf: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, Elf>) -> Option<u64> {
    let endian = file.endian();
    file.elf_program_headers()
        .iter()
        .filter(|header| header.p_type(endian) == PT_LOAD)
        .map(|header| header.p_align(endian).into())
        .min()
}

fn write_list(path: &Path, names: &BTreeSet<String>) -> Result<(), Failure> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    fs::write(path, text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Symbols, check_alignment, is_rust};

    #[test]
    fn names_of_rust_are_told_from_names_of_the_system() {
        assert!(is_rust("_ZN4core9panicking5panic17h0E"));
        assert!(is_rust("_RNvCs1234_3foo3bar"));
        assert!(!is_rust("pthread_create"));
        assert!(!is_rust("_Unwind_Resume"));
    }

    #[test]
    fn a_program_of_this_machine_is_read() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::read(&own).unwrap();
        assert!(symbols.exports.is_empty());
        assert!(!symbols.imports.is_empty());
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert!(check_alignment(&own).unwrap_err().0.contains("0x1000"));
        }
    }
}
