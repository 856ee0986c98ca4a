//! What takes the place of the NDK's and Xcode's files.
//!
//! Enough for a compiler and a linker to come to an end, so that what they say about our code can be read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::targets::Target;
use crate::{
    command::{Failure, output},
    debian::{Tools, write_script},
};

/// A library linked into another app's process needs these of the C compiler's start-up object.
const START: &str = "\
extern void __cxa_finalize(void *);
__attribute__((visibility(\"hidden\"))) void *__dso_handle = &__dso_handle;
__attribute__((destructor)) static void on_unload(void) { __cxa_finalize(&__dso_handle); }
";

/// Names of the NDK's unwinder. It unwinds nothing: what is built here is not run.
const UNWINDER: &str = "\
typedef unsigned long w;
int _Unwind_Backtrace(void *f, void *a) { (void)f; (void)a; return 5; }
w _Unwind_GetIP(void *c) { (void)c; return 0; }
w _Unwind_GetIPInfo(void *c, int *b) { (void)c; if (b) *b = 0; return 0; }
w _Unwind_GetCFA(void *c) { (void)c; return 0; }
void _Unwind_SetGR(void *c, int r, w v) { (void)c; (void)r; (void)v; }
void _Unwind_SetIP(void *c, w v) { (void)c; (void)v; }
w _Unwind_GetDataRelBase(void *c) { (void)c; return 0; }
w _Unwind_GetTextRelBase(void *c) { (void)c; return 0; }
w _Unwind_GetRegionStart(void *c) { (void)c; return 0; }
void *_Unwind_GetLanguageSpecificData(void *c) { (void)c; return 0; }
void *_Unwind_FindEnclosingFunction(void *p) { (void)p; return 0; }
int _Unwind_RaiseException(void *e) { (void)e; return 5; }
void _Unwind_Resume(void *e) { (void)e; __builtin_trap(); }
void _Unwind_DeleteException(void *e) { (void)e; }
";

/// The one library that Apple's linker wants by name.
const LIB_SYSTEM: &str = "\
--- !tapi-tbd
tbd-version: 4
targets: [ arm64-ios, arm64-ios-simulator, arm64-macos ]
install-name: '/usr/lib/libSystem.B.dylib'
exports:
  - targets: [ arm64-ios, arm64-ios-simulator, arm64-macos ]
    symbols: [ dyld_stub_binder ]
...
";

/// The folder of stand-ins.
pub struct Standins {
    folder: PathBuf,
    /// Whether C code is really compiled.
    generate: bool,
}

impl Standins {
    /// Writes what all targets share.
    pub fn make(folder: PathBuf, generate: bool) -> Result<Self, Failure> {
        let standins = Self { folder, generate };
        fs::create_dir_all(standins.headers())?;
        // clang knows the TARGET_OS_* names by itself; ring only wants the header to be there.
        write(&standins.headers().join("TargetConditionals.h"), "/* stand-in */\n")?;
        write(&standins.folder.join("libSystem.tbd"), LIB_SYSTEM)?;
        // Type-checking takes no notice of what is in an object or an archive: empty ones do.
        write_script(&standins.folder.join("no-cc"), NO_COMPILER)?;
        write_script(&standins.folder.join("no-ar"), NO_ARCHIVER)?;
        Ok(standins)
    }

    /// The folder itself, which a linker searches for libraries.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with C headers.
    pub fn headers(&self) -> PathBuf {
        self.folder.join("include")
    }

    /// The C compiler.
    pub fn c_compiler(&self, tools: &Tools) -> PathBuf {
        if self.generate { tools.program("clang") } else { self.folder.join("no-cc") }
    }

    /// What makes archives.
    pub fn archiver(&self, tools: &Tools) -> PathBuf {
        if self.generate { tools.program("llvm-ar") } else { self.folder.join("no-ar") }
    }

    /// An empty folder with an Apple SDK's name; `xcrun` is not asked when there is one.
    pub fn sdk(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The linker for this machine's own kind: like Android's, with the system's own files.
    pub fn linux_linker(&self, tools: &Tools) -> Result<PathBuf, Failure> {
        let linker = self.folder.join("linux-clang");
        let (clang, lld) = (tools.program("clang"), tools.program("ld.lld"));
        write_script(&linker, &format!("exec {} --ld-path={} \"$@\"", clang.display(), lld.display()))?;
        Ok(linker)
    }

    /// The linker for an Android target, with empty system libraries and the unwinder.
    pub fn android_linker(&self, tools: &Tools, target: &Target) -> Result<PathBuf, Failure> {
        let folder = self.folder.join(target.clang);
        // rustc guesses from the name what words a linker understands: it has to end in `clang`.
        let linker = folder.join("android-clang");
        if !self.generate {
            return Ok(linker);
        }
        fs::create_dir_all(&folder)?;
        write_script(
            &linker,
            &format!(
                "exec {} --target={} --ld-path={} -nostdlib \"$@\" {}/start.o -L{}",
                tools.program("clang").display(),
                target.clang,
                tools.program("ld.lld").display(),
                folder.display(),
                folder.display(),
            ),
        )?;
        if folder.join("libunwind.a").exists() {
            return Ok(linker);
        }
        let clang = || {
            let mut command = Command::new(tools.program("clang"));
            command.current_dir(&folder).arg(format!("--target={}", target.clang)).args(["-nostdlib", "-fPIC", "-O2"]);
            command
        };
        for library in ["c", "m", "dl", "log"] {
            let name = format!("lib{library}.so");
            output(
                clang()
                    .arg(format!("--ld-path={}", tools.program("ld.lld").display()))
                    .args(["-shared", "-x", "c", "/dev/null", "-o", &name])
                    .arg(format!("-Wl,-soname,{name}")),
            )?;
        }
        write(&folder.join("start.c"), START)?;
        write(&folder.join("unwind.c"), UNWINDER)?;
        output(clang().args(["-c", "start.c", "-o", "start.o"]))?;
        output(clang().args(["-c", "unwind.c", "-o", "unwind.o"]))?;
        output(Command::new(tools.program("llvm-ar")).current_dir(&folder).args(["crs", "libunwind.a", "unwind.o"]))?;
        Ok(linker)
    }
}

/// Writes an empty object; asked for anything else, it answers as a GNU compiler does to the `cc` crate's question.
const NO_COMPILER: &str = "\
last=; out=
for word; do [ \"$last\" = -o ] && out=$word; last=$word; done
if [ -n \"$out\" ]; then : >\"$out\"; else echo '\"gcc\"'; fi";

/// Writes an empty archive, whether it is asked as `ar` is or as Windows' `lib.exe`.
const NO_ARCHIVER: &str = "\
out=$2
for word; do case $word in -out:*) out=${word#-out:} ;; esac; done
printf '!<arch>\\n' >\"$out\"";

/// Writes a file unless it is as it should be: a newer time stamp would have C code compiled again.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if !fs::read_to_string(path).is_ok_and(|there| there == text) {
        fs::write(path, text)?;
    }
    Ok(())
}
