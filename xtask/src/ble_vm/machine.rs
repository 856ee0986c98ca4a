//! Boots the machine, runs one command in it, and brings back what it printed and how it ended.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;

use super::{
    air::{Air, Controllers, SNOOP},
    cpio::Archive,
    image::Image,
};
use crate::command::{Failure, root};

/// How the processor is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Accelerator {
    /// KVM where it boots a kernel, emulation where not.
    Auto,
    /// The processor's own virtualization.
    Kvm,
    /// Emulation: slower, and works everywhere.
    Tcg,
}

/// A machine with a real Bluetooth stack. Its files are this machine's, and what it writes to them is lost.
pub struct Machine<'a> {
    pub image: &'a Image,
    pub accelerator: Accelerator,
    pub air: Air,
    pub controllers: u8,
    pub timeout: Duration,
    pub snoop: bool,
    /// Where its logs are left.
    pub logs: PathBuf,
}

/// How long KVM has to boot a kernel that does nothing. A device that is there proves nothing: under nested or
/// para-virtual KVM a stock kernel crawls.
const PROBE: &str = "8";

/// What the processor is called to KVM; some hosts can't pass all of it on.
const PROCESSORS: [&str; 2] = ["host", "host,-arch-capabilities"];

const EMULATED: [&str; 4] = ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"];

impl Machine<'_> {
    /// Boots, runs `command` with `environment` added to this process's own, and returns its exit status.
    pub fn run(
        &self,
        command: &[String],
        environment: &[(&str, String)],
        each: impl FnMut(&str) + Send,
    ) -> Result<i32, Failure> {
        let processor = self.choose_accelerator()?;
        self.write_orders(command, environment)?;
        let controllers = match self.air {
            Air::Bumble => Some(Controllers::start(&self.image.folder, &self.logs, self.controllers)?),
            Air::Btvirt => None,
        };
        let mut qemu = self.start(&processor, controllers.as_ref())?;
        let ended = thread::scope(|scope| {
            let printed = qemu.stdout.take();
            scope.spawn(move || show(printed, each));
            wait(&mut qemu, self.timeout)
        })?;
        drop(controllers);
        let said = |name: &str| fs::read_to_string(self.logs.join(name)).unwrap_or_default().trim().to_owned();
        if let Ok(status) = said("status").parse() {
            eprintln!("ble-vm: guest clock {}", said("times").replace('\n', ", "));
            self.keep_snoop(status != 0)?;
            return Ok(status);
        }
        self.keep_snoop(true)?;
        for log in ["console.log", "qemu.log", "air.log", "bluetoothd.log"] {
            eprintln!("== {log}\n{}", said(log));
        }
        let why = match ended {
            true => said("failure"),
            false => format!("it was not done after {} s", self.timeout.as_secs()),
        };
        Err(Failure(format!(
            "the Bluetooth machine did not run the command: {why}; its logs are in {}",
            self.logs.display()
        )))
    }

    /// Keeps the record of HCI traffic after a failure, or where it is wanted, and says where it is.
    fn keep_snoop(&self, failed: bool) -> Result<(), Failure> {
        let record = self.logs.join(SNOOP);
        if !record.exists() {
            return Ok(());
        }
        if failed || self.snoop {
            eprintln!("ble-vm: all HCI traffic, for Wireshark: {}", record.display());
        } else {
            fs::remove_file(record)?;
        }
        Ok(())
    }

    /// QEMU's arguments for the processor, after a probe of KVM where that is allowed.
    pub fn choose_accelerator(&self) -> Result<Vec<String>, Failure> {
        let emulated = || EMULATED.map(str::to_owned).to_vec();
        match (self.accelerator, self.probe_kvm()?) {
            (Accelerator::Tcg, _) | (Accelerator::Auto, None) => Ok(emulated()),
            (Accelerator::Auto | Accelerator::Kvm, Some(processor)) => {
                Ok(vec!["-accel".into(), "kvm".into(), "-cpu".into(), processor])
            }
            (Accelerator::Kvm, None) => Err(Failure("KVM does not boot a kernel here; leave --accelerator out".into())),
        }
    }

    /// The name of a processor with which KVM boots a kernel here. Found out once for each boot of the host.
    fn probe_kvm(&self) -> Result<Option<String>, Failure> {
        let usable = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
        if self.accelerator == Accelerator::Tcg || !usable {
            return Ok(None);
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let kept = self.image.folder.join(format!("kvm-{}", boot.trim()));
        if let Ok(answer) = fs::read_to_string(&kept) {
            return Ok(Some(answer).filter(|answer| !answer.is_empty()));
        }
        let mut archive = Archive::default();
        archive.folder("bin");
        archive.file("bin/busybox", &fs::read("/bin/busybox")?);
        archive.file("init", b"#!/bin/busybox sh\n/bin/busybox echo kvm-works\n/bin/busybox poweroff -f\n");
        let initramfs = self.image.folder.join("probe");
        fs::write(&initramfs, archive.finish())?;
        let works = PROCESSORS.into_iter().find(|processor| {
            let tried = Command::new("timeout")
                .args(["-s", "KILL", PROBE, "qemu-system-x86_64", "-M", "pc", "-m", "512", "-nodefaults"])
                .args(["-no-user-config", "-display", "none", "-no-reboot", "-accel", "kvm", "-cpu", processor])
                .arg("-kernel")
                .arg(&self.image.kernel)
                .arg("-initrd")
                .arg(&initramfs)
                .args(["-append", "console=ttyS0 quiet panic=-1", "-serial", "stdio"])
                .stdin(Stdio::null())
                .output();
            tried.is_ok_and(|tried| String::from_utf8_lossy(&tried.stdout).contains("kvm-works"))
        });
        fs::write(kept, works.unwrap_or_default())?;
        Ok(works.map(str::to_owned))
    }

    /// Leaves what the guest is to do in the folder it shares with us.
    fn write_orders(&self, command: &[String], environment: &[(&str, String)]) -> Result<(), Failure> {
        if self.logs.exists() {
            fs::remove_dir_all(&self.logs)?;
        }
        fs::create_dir_all(&self.logs)?;
        fs::copy(root().join("tests/ble-vm/guest.sh"), self.logs.join("guest.sh"))?;
        let mut orders = format!("cd {}\n", quote(&root().to_string_lossy()));
        for (name, value) in environment {
            orders += &format!("export {name}={}\n", quote(value));
        }
        for word in ["PATH", "RUST_BACKTRACE", "KEYBUTTON_LOG"] {
            if let Ok(value) = std::env::var(word) {
                orders += &format!("export {word}={}\n", quote(&value));
            }
        }
        orders += "exec";
        for word in command {
            orders += &format!(" {}", quote(word));
        }
        fs::write(self.logs.join("command"), orders + "\n")?;
        let settings = format!("CONTROLLERS={}\nAIR={}\n", self.controllers, self.air.name());
        fs::write(self.logs.join("settings"), settings)?;
        Ok(())
    }

    fn start(&self, processor: &[String], controllers: Option<&Controllers>) -> Result<Child, Failure> {
        let shared = |folder: &str, tag: &str, more: &str| {
            format!("local,path={folder},mount_tag={tag},security_model=none,multidevs=remap{more}")
        };
        let child = Command::new("qemu-system-x86_64")
            .current_dir(controllers.map_or(self.logs.as_path(), |controllers| &controllers.folder))
            .args(["-M", "pc", "-m", "2048", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
            // With one processor the virtual controllers report advertisements no earlier than the kernel listens.
            .args(["-smp", "1"])
            .args(processor)
            .arg("-kernel")
            .arg(&self.image.kernel)
            .arg("-initrd")
            .arg(&self.image.initramfs)
            .args(["-append", KERNEL_OPTIONS])
            .arg("-serial")
            .arg(format!("file:{}", self.logs.join("console.log").display()))
            .args(["-device", "virtio-rng-pci"])
            .args(["-virtfs", &shared("/", "root", ",readonly=on")])
            .args(["-virtfs", &shared(&self.logs.to_string_lossy(), "orders", "")])
            // Not as `stdio`: at the end of its own input QEMU would close the guest's output.
            .args(["-device", "virtio-serial-pci", "-chardev", "file,id=out,path=/dev/fd/1"])
            .args(["-device", "virtserialport,chardev=out,name=out"])
            .args(controllers.map(Controllers::devices).unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.logs.join("qemu.log"))?)
            .spawn()
            .map_err(|error| Failure(format!("cannot run qemu-system-x86_64: {error}")))?;
        Ok(child)
    }
}

const KERNEL_OPTIONS: &str = "console=ttyS0 quiet panic=-1 mitigations=off audit=0 random.trust_cpu=on tsc=reliable \
    no_timer_check cryptomgr.notests";

/// Waits for the end; tells whether it came in time.
fn wait(qemu: &mut Child, limit: Duration) -> Result<bool, Failure> {
    let end = Instant::now() + limit;
    while qemu.try_wait()?.is_none() {
        if Instant::now() >= end {
            qemu.kill()?;
            qemu.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(true)
}

fn show(printed: Option<std::process::ChildStdout>, mut each: impl FnMut(&str)) {
    for line in printed.into_iter().flat_map(|printed| BufReader::new(printed).split(b'\n')) {
        let Ok(line) = line else { return };
        each(String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quote("it's here"), r"'it'\''s here'");
    }
}
