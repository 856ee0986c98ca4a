//! A Swift compiler: this machine's own, or Debian's in a private root below the target folder.
//!
//! Debian carries Swift from release 13 on. `mmdebstrap` fetches it with apt's own sources, keys and proxies and only
//! unpacks it; no maintainer script runs and nothing is installed. Programs run in that root inside a mount namespace
//! of their own: its mounts end with the last of them, however it ends, and the rest of the machine never sees them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    command::{Failure, output, root as workspace, run, target_folder},
    debian::write_script,
};

/// Debian 13. Its Swift is 6.0.3, the oldest that the package supports.
const SUITE: &str = "trixie";

/// Swift, the C library's headers and what its drivers start.
const PACKAGES: &str = "swiftlang,libc6-dev,base-files,bash,coreutils,dash,git,libc-bin";

/// Large programs that no build or test starts, below `usr/libexec/swift/bin`.
const UNUSED: [&str; 6] = ["clangd", "docc", "lldb-dap", "lldb-server", "sourcekit-lsp", "swift-format"];

/// Programs of a Swift toolchain, ready to run.
pub struct Toolchain {
    /// The private root and how to enter it; `None` for the machine's own toolchain.
    private: Option<Root>,
}

struct Root {
    folder: PathBuf,
    unshare: &'static [&'static str],
}

impl Toolchain {
    /// The machine's own Swift where it is new enough, otherwise Debian's; fetched on first use.
    ///
    /// The error is the reason why there is none, in one line.
    pub fn find() -> Result<Self, Failure> {
        if output(Command::new("swift").arg("--version")).is_ok_and(|version| is_supported(&version)) {
            return Ok(Self { private: None });
        }
        let unshare = namespace()?;
        let root = Root { folder: target_folder().join("swift-root"), unshare };
        root.provide()?;
        Ok(Self { private: Some(root) })
    }

    /// A command that runs `program` in the workspace's root folder; all paths are the same inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.private {
            None => Command::new(program),
            Some(root) => root.command(program),
        };
        command.current_dir(workspace());
        command
    }
}

impl Root {
    fn provide(&self) -> Result<(), Failure> {
        fs::create_dir_all(target_folder())?;
        write_script(&Self::script(), ENTER)?;
        // Tasks that run side by side want the same root.
        let lock = File::create(target_folder().join("swift-root.lock"))?;
        lock.lock()?;
        let ready = self.folder.join("ready");
        if ready.exists() {
            return Ok(());
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        install_mmdebstrap()?;
        run(Command::new("mmdebstrap")
            .args(["--variant=extract", "--mode=root", "--aptopt=APT::Install-Recommends \"false\""])
            .arg(format!("--include={PACKAGES}"))
            .arg(SUITE)
            .arg(&self.folder)
            .arg(format!("deb {} {SUITE} main", mirror()?)))?;
        for program in UNUSED {
            let path = self.folder.join("usr/libexec/swift/bin").join(program);
            fs::remove_file(&path).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        }
        fs::create_dir_all(self.folder.join(HOME))?;
        output(self.command("ldconfig").current_dir(workspace()))?;
        output(self.command("swift").arg("--version").current_dir(workspace()))?;
        fs::write(ready, "")?;
        Ok(())
    }

    fn script() -> PathBuf {
        target_folder().join("swift-enter.sh")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(self.unshare)
            .arg("sh")
            .arg(Self::script())
            .arg(&self.folder)
            .arg(workspace())
            .arg(target_folder())
            .arg(program)
            .env("PATH", "/usr/libexec/swift/bin:/usr/bin:/usr/sbin")
            .env("HOME", Path::new("/").join(HOME))
            .env("LANG", "C.UTF-8")
            .env_remove("TMPDIR");
        command
    }
}

const HOME: &str = "root";

/// Runs the arguments from the fourth on in the root `$1`, where the folders `$2` and `$3` have their usual paths.
const ENTER: &str = r#"set -e
root=$1 workspace=$2 target=$3
shift 3
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in "$workspace" "$target"; do
  mkdir -p "$root$folder"
  mount --rbind "$folder" "$root$folder"
done
exec chroot "$root" sh -ec 'cd "$1"; shift; exec "$@"' enter "$workspace" "$@"
"#;

/// How this process may make a mount namespace.
fn namespace() -> Result<&'static [&'static str], Failure> {
    const AS_ROOT: &[&str] = &["--mount", "--propagation", "private"];
    const AS_USER: &[&str] = &["--map-root-user", "--mount", "--propagation", "private"];
    let works = |arguments: &&&[&str]| {
        let mount = ["sh", "-c", "mount --rbind /proc /mnt"];
        let mut probe = Command::new("unshare");
        probe.args(**arguments).args(mount).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    [AS_ROOT, AS_USER].iter().find(works).copied().ok_or_else(|| {
        Failure("no Swift 6 here, and Debian's needs a mount namespace, which this container does not allow".into())
    })
}

/// Installs the one program that fetches the root.
fn install_mmdebstrap() -> Result<(), Failure> {
    if Command::new("mmdebstrap").arg("--version").output().is_ok() {
        return Ok(());
    }
    let install = ["install", "-y", "-q", "--no-install-recommends", "mmdebstrap"];
    run(Command::new("apt-get").args(["update", "-q"]))
        .and_then(|()| run(Command::new("apt-get").args(install)))
        .map_err(|error| Failure(format!("no Swift 6 here, and Debian's can't be fetched without mmdebstrap: {error}")))
}

/// Where apt gets Debian's packages on this machine.
fn mirror() -> Result<String, Failure> {
    let arguments = ["indextargets", "--format", "$(REPO_URI) $(LABEL)", "Created-By: Packages"];
    let targets = output(Command::new("apt-get").args(arguments))?;
    find_mirror(&targets)
        .map(str::to_owned)
        .ok_or_else(|| Failure("no Swift 6 here, and apt has no source of Debian's to fetch it from".into()))
}

/// Reads `URI LABEL` lines.
fn find_mirror(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| line.strip_suffix(" Debian"))
}

/// Reads `Swift version 6.0.3 (…)`.
fn is_supported(version: &str) -> bool {
    let number = version.split("Swift version ").nth(1).and_then(|rest| rest.split('.').next());
    number.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 6)
}

#[cfg(test)]
mod tests {
    use super::{find_mirror, is_supported};

    #[test]
    fn the_mirror_is_the_archive_and_not_its_security_suite() {
        let targets = "https://deb.example/debian-security/ Debian-Security\nhttps://deb.example/debian/ Debian\n";
        assert_eq!(find_mirror(targets), Some("https://deb.example/debian/"));
        assert_eq!(find_mirror("https://other.example/ Other\n"), None);
    }

    #[test]
    fn swift_6_is_wanted() {
        assert!(is_supported("Swift version 6.0.3 (swift-6.0.3-RELEASE)\nTarget: x86_64"));
        assert!(is_supported("Apple Swift version 6.2 (swiftlang-6.2.0)"));
        assert!(!is_supported("Swift version 5.10.1 (swift-5.10.1-RELEASE)"));
        assert!(!is_supported("swift: the language of birds"));
    }
}
