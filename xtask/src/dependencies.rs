//! Licences, and crates that stand in the tree twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    command::{Failure, Outcome},
    metadata::{Package, packages},
};

/// Licences that may ship in somebody else's app. MPL-2.0 covers UniFFI, file by file.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BlueOak-1.0.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Public domain dedications and others that stand beside a permissive choice.
const ALSO: [&str; 2] = ["Unlicense", "MIT-0"];

/// Crates that must not be in the tree, and why.
const BANNED: [(&str, &str); 3] = [
    ("openssl-sys", "needs a system library"),
    ("aws-lc-sys", "ring is the back end of phone and service"),
    ("native-tls", "needs a system library"),
];

/// Native libraries that crates link or bring along, and the licence judged: a crate's own expression may not speak of it.
const NATIVE: [(&str, &str); 5] = [
    ("libdbus-sys", "brings libdbus, AFL-2.1 of its two licences (docs/adr/0009-bluetooth-on-the-desktop.md)"),
    ("libsqlite3-sys", "brings SQLite, in the public domain"),
    ("pcsc-sys", "links the system's PC/SC, where somebody has it built"),
    ("ring", "brings its own C and assembler, in its expression"),
    ("wasm-bindgen-shared", "links nothing; the name keeps a second version out"),
];

/// Checks licences, bans and duplicates of direct dependencies.
pub fn run() -> Result<Outcome, Failure> {
    let packages = packages()?;
    let mut wrong = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &packages {
        versions.entry(&package.name).or_default().insert(&package.version);
        if let Some((_, why)) = BANNED.iter().find(|(name, _)| *name == package.name) {
            wrong.push(format!("{} is not allowed: {why}", package.name));
        }
        if !package.own && !package.license.as_deref().is_some_and(is_allowed) {
            wrong.push(format!("{} {} has licence {:?}", package.name, package.version, package.license));
        }
    }
    for name in unjudged(&packages) {
        wrong.push(format!("{name} links a native library: judge its licence and add it to the list"));
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        println!("note: {name} stands in the tree {} times: {versions:?}", versions.len());
    }
    for line in &wrong {
        eprintln!("{line}");
    }
    println!("{} packages, {} problems", packages.len(), wrong.len());
    if wrong.is_empty() { Ok(Outcome::Passed) } else { Err(Failure("dependencies need a look".into())) }
}

/// The packages with a native library that nobody has judged.
fn unjudged(packages: &[Package]) -> impl Iterator<Item = &str> {
    let native = packages.iter().filter(|package| package.links.is_some() && !package.own);
    native.map(|package| package.name.as_str()).filter(|name| NATIVE.iter().all(|(known, _)| known != name))
}

/// Reads the licence expressions found in practice: `A OR B`, `A AND B`, `A/B`, with or without brackets.
fn is_allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    flat.split(" AND ")
        .all(|all| all.split(" OR ").map(str::trim).any(|one| LICENCES.contains(&one) || ALSO.contains(&one)))
}

#[cfg(test)]
mod tests {
    use super::{Package, is_allowed, unjudged};

    #[test]
    fn a_native_library_is_judged_by_name() {
        let package = |name: &str, links: Option<&str>| Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: Some("MIT".into()),
            links: links.map(str::to_owned),
            own: false,
        };
        let packages =
            [package("libdbus-sys", Some("dbus")), package("openblas-src", Some("openblas")), package("serde", None)];
        assert_eq!(unjudged(&packages).collect::<Vec<_>>(), ["openblas-src"]);
    }

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        assert!(is_allowed("MIT/Apache-2.0"));
        assert!(is_allowed("(MIT OR GPL-3.0-only) AND Unicode-3.0"));
        assert!(!is_allowed("GPL-3.0-only AND MIT"));
        assert!(!is_allowed("AGPL-3.0"));
    }
}
