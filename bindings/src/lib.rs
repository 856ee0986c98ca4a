//! The native library under the Swift and Kotlin packages: everything that `keybutton` exports, and nothing else.

keybutton::uniffi_reexport_scaffolding!();
