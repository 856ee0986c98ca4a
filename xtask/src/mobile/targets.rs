use std::{fmt, str::FromStr};

use super::OWN_HTTP;

/// A target of the phones' platforms, or of desktops other than this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Rust's name.
    pub triple: &'static str,
    /// clang's name, with the oldest version of the system.
    pub clang: &'static str,
    /// Whose system it is.
    pub system: System,
    /// What is checked for it: a package of ours, and its features.
    pub checked: (&'static str, &'static str),
}

/// What is carried to phones, with the HTTP that may come with it.
pub const ON_PHONES: (&str, &str) = ("keybutton-ffi", OWN_HTTP);

/// What a desktop has that phones have not: the core with a radio of its own.
pub const ON_DESKTOPS: (&str, &str) = ("keybutton", "btleplug,http,air");

/// What a target's system wants of a build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum System {
    /// A shared library, 16 KB pages.
    Android,
    /// A shared library for a laptop, to measure beside Android's.
    Linux,
    /// An archive.
    Apple {
        /// The linker's words for platform, oldest system and SDK.
        platform: &'static str,
        /// The SDK folder's name.
        sdk: &'static str,
        /// The variable that names the oldest system, and its value.
        deployment: (&'static str, &'static str),
    },
    /// Type-checked only.
    Windows,
}

const IPHONE: (&str, &str) = ("IPHONEOS_DEPLOYMENT_TARGET", "15.0");

/// Android API 24 and iOS 15, as the packages promise.
const TARGETS: [Target; 7] = [
    Target::ANDROID,
    Target {
        triple: "x86_64-linux-android",
        clang: "x86_64-linux-android24",
        system: System::Android,
        checked: ON_PHONES,
    },
    Target {
        triple: "armv7-linux-androideabi",
        clang: "armv7a-linux-androideabi24",
        system: System::Android,
        checked: ON_PHONES,
    },
    Target::IOS,
    Target {
        triple: "aarch64-apple-ios-sim",
        clang: "arm64-apple-ios15.0-simulator",
        system: System::Apple { platform: "ios-simulator 15.0 18.0", sdk: "iPhoneSimulator.sdk", deployment: IPHONE },
        checked: ON_PHONES,
    },
    Target::MAC,
    Target::WINDOWS,
];

impl Target {
    /// Laptops and servers.
    pub const LINUX: Self = Self {
        triple: "x86_64-unknown-linux-gnu",
        clang: "x86_64-linux-gnu",
        system: System::Linux,
        checked: ON_PHONES,
    };

    /// Android phones.
    pub const ANDROID: Self = Self {
        triple: "aarch64-linux-android",
        clang: "aarch64-linux-android24",
        system: System::Android,
        checked: ON_PHONES,
    };

    /// Macs.
    pub const MAC: Self = Self {
        triple: "aarch64-apple-darwin",
        clang: "arm64-apple-macos12.0",
        system: System::Apple {
            platform: "macos 12.0 15.0",
            sdk: "MacOSX.sdk",
            deployment: ("MACOSX_DEPLOYMENT_TARGET", "12.0"),
        },
        checked: ON_DESKTOPS,
    };

    /// Windows computers.
    pub const WINDOWS: Self = Self {
        triple: "x86_64-pc-windows-msvc",
        clang: "x86_64-pc-windows-msvc",
        system: System::Windows,
        checked: ON_DESKTOPS,
    };

    /// iPhones.
    pub const IOS: Self = Self {
        triple: "aarch64-apple-ios",
        clang: "arm64-apple-ios15.0",
        system: System::Apple { platform: "ios 15.0 18.0", sdk: "iPhoneOS.sdk", deployment: IPHONE },
        checked: ON_PHONES,
    };

    /// The name as cargo's environment variables spell it.
    pub fn upper(&self) -> String {
        self.triple.replace('-', "_").to_uppercase()
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(triple: &str) -> Result<Self, String> {
        TARGETS.into_iter().find(|target| target.triple == triple).ok_or_else(|| {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.triple).collect();
            format!("not a target we check; known are {}", known.join(", "))
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.triple)
    }
}
