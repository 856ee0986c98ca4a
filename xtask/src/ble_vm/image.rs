//! The machine's kernel and first file system, made once from Debian packages and kept below the target folder.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{air::Air, cpio::Archive, tools};
use crate::command::{Failure, output, root, run, target_folder};

/// Kernel modules for the disk of the machine, for its output, and for randomness.
const FOR_BOOT: [&str; 6] = ["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console", "virtio_rng"];

/// Kernel modules for Bluetooth, with controllers of `btvirt`, which encrypt by way of `algif_*`, or on a line from
/// outside. Without `drbg`, first, the kernel has no key agreement for pairing.
const FOR_BLUETOOTH: [&str; 11] = [
    "drbg",
    "sha512_generic",
    "algif_skcipher",
    "algif_hash",
    "aes_generic",
    "ecb",
    "cmac",
    "ecdh_generic",
    "bluetooth",
    "hci_vhci",
    "hci_uart",
];

/// Kernel modules for a GPIO chip that a scenario plays from outside the kernel; Debian builds none that plays by itself
/// (`gpio-sim`, `gpio-mockup`).
const FOR_GPIO: [&str; 2] = ["uhid", "hid_cp2112"];

/// The parts of the kernel's package that modules come from; all of it would be four times as much.
const KERNEL_PARTS: [&str; 13] = [
    "./boot/vmlinuz-*",
    "./lib/modules/*/modules.*",
    "./lib/modules/*/kernel/net/bluetooth/*",
    "./lib/modules/*/kernel/net/9p/*",
    "./lib/modules/*/kernel/net/rfkill/*",
    "./lib/modules/*/kernel/fs/*",
    "./lib/modules/*/kernel/drivers/bluetooth/*",
    "./lib/modules/*/kernel/drivers/virtio/*",
    "./lib/modules/*/kernel/drivers/char/*",
    "./lib/modules/*/kernel/drivers/hid/*",
    "./lib/modules/*/kernel/crypto/*",
    "./lib/modules/*/kernel/lib/*",
    "./lib/modules/*/kernel/arch/x86/crypto/*",
];

/// What a machine boots from.
pub struct Image {
    /// Where it is kept.
    pub folder: PathBuf,
    /// The kernel, as an ELF file: nothing has to be unpacked under emulation.
    pub kernel: PathBuf,
    /// The first file system.
    pub initramfs: PathBuf,
}

impl Image {
    /// Makes the image where it is not there yet; `install` allows installing packages for it.
    pub fn provide(air: Air, install: bool) -> Result<Self, Failure> {
        let folder = target_folder().join("ble-vm");
        fs::create_dir_all(&folder)?;
        // Tasks that run side by side want the same image.
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        tools::provide(air, install)?;
        let image = Self { kernel: folder.join("vmlinux"), initramfs: folder.join("initramfs"), folder };
        // An image of before may lack modules that are wanted now.
        let (parts, wanted) = (image.folder.join("parts"), KERNEL_PARTS.join("\n"));
        if !image.kernel.exists() || fs::read_to_string(&parts).unwrap_or_default() != wanted {
            image.fetch_kernel()?;
            fs::write(&parts, wanted)?;
        }
        image.write_initramfs()?;
        Ok(image)
    }

    fn unpacked(&self) -> PathBuf {
        self.folder.join("kernel")
    }

    /// Takes what is wanted out of Debian's kernel package. It is never installed.
    fn fetch_kernel(&self) -> Result<(), Failure> {
        let unpacked = self.unpacked();
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        let package = kernel_package()?;
        fs::create_dir_all(unpacked.join("deb"))?;
        run(Command::new("apt-get").current_dir(unpacked.join("deb")).args([
            "-q",
            "-o",
            "APT::Sandbox::User=root",
            "download",
            &package,
        ]))?;
        for file in fs::read_dir(unpacked.join("deb"))? {
            output(
                Command::new("sh").args(["-c", UNPACK, "unpack"]).arg(file?.path()).arg(&unpacked).args(KERNEL_PARTS),
            )?;
        }
        fs::remove_dir_all(unpacked.join("deb"))?;
        let version = self.version()?;
        output(Command::new("/sbin/depmod").arg("-b").arg(&unpacked).arg(&version))?;
        let packed = fs::read(unpacked.join(format!("boot/vmlinuz-{version}")))?;
        let new = self.folder.join("vmlinux.new");
        unpack_kernel(&packed, &new)?;
        fs::rename(new, &self.kernel)?;
        Ok(())
    }

    fn version(&self) -> Result<String, Failure> {
        let entry = fs::read_dir(self.unpacked().join("lib/modules"))?.next();
        let entry = entry.ok_or_else(|| Failure("the kernel's package has no modules".into()))?;
        Ok(entry?.file_name().to_string_lossy().into_owned())
    }

    fn write_initramfs(&self) -> Result<(), Failure> {
        let mut archive = Archive::default();
        for folder in ["bin", "m"] {
            archive.folder(folder);
        }
        archive.file("bin/busybox", &fs::read("/bin/busybox")?);
        archive.file("init", &fs::read(root().join("tests/ble-vm/init.sh"))?);
        let mut packed = Vec::new();
        let lists = [
            ("modules.boot", &FOR_BOOT[..]),
            ("modules.bluetooth", &FOR_BLUETOOTH[..]),
            ("modules.gpio", &FOR_GPIO[..]),
        ];
        for (list, modules) in lists {
            let mut names = String::new();
            for path in self.modules(modules)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !packed.contains(&name) {
                    archive.file(&format!("m/{name}"), &fs::read(&path)?);
                    names += &format!("/m/{name}\n");
                    packed.push(name);
                }
            }
            archive.file(list, names.as_bytes());
        }
        fs::write(&self.initramfs, archive.finish())?;
        Ok(())
    }

    /// The files of `modules` and of those they need, in the order in which they have to be loaded.
    fn modules(&self, modules: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        let version = self.version()?;
        let mut files = Vec::new();
        for module in modules {
            let listed = output(
                Command::new("/sbin/modprobe")
                    .args(["--show-depends", "-S", &version, "-d"])
                    .arg(self.unpacked())
                    .arg(module),
            )?;
            files.extend(listed.lines().filter_map(|line| line.trim().strip_prefix("insmod ")).map(PathBuf::from));
        }
        Ok(files)
    }
}

/// Debian's full kernel: the one for clouds has no Bluetooth.
fn kernel_package() -> Result<String, Failure> {
    let depends = || output(Command::new("apt-cache").args(["depends", "linux-image-amd64"]));
    let listing = match depends() {
        Ok(listing) if listing.contains("Depends:") => listing,
        _ => {
            run(Command::new("apt-get").args(["update", "-q"]))?;
            depends()?
        }
    };
    listing
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .map(|name| name.trim().to_owned())
        .ok_or_else(|| Failure("apt knows no linux-image-amd64; is this Debian?".into()))
}

/// A bzImage holds the kernel as an xz stream.
fn unpack_kernel(packed: &[u8], to: &Path) -> Result<(), Failure> {
    const XZ: &[u8] = b"\xFD7zXZ\0";
    let at = packed.windows(XZ.len()).position(|window| window == XZ);
    let stream = at.map(|at| &packed[at..]).ok_or_else(|| Failure("the kernel is not packed with xz".into()))?;
    let mut xz = Command::new("xz")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(File::create(to)?)
        // What follows the stream is not xz, and xz says so.
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = xz.stdin.take() {
        // It stops reading at the stream's end.
        let _ = input.write_all(stream);
    }
    xz.wait()?;
    if fs::read(to)?.starts_with(b"\x7FELF") { Ok(()) } else { Err(Failure("the kernel does not unpack".into())) }
}

const UNPACK: &str = "deb=$1; to=$2; shift 2; dpkg-deb --fsys-tarfile \"$deb\" | tar -x -C \"$to\" --wildcards \"$@\"";
