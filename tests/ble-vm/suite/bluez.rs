//! What BlueZ says of itself, and what a person would tell it.

use std::process::Command;

/// Tells whether an adapter has a link.
pub fn is_linked(adapter: &str) -> bool {
    devices(&managed_objects(), adapter).iter().any(|(_, about)| is_true(about, "\"Connected\""))
}

/// Tells whether an adapter scans.
pub fn is_scanning(adapter: &str) -> bool {
    is_true(&ask(&path(adapter), &[GET, ADAPTER, "string:Discovering"]).unwrap(), "variant")
}

/// Switches an adapter on or off, as a person would.
pub fn power(adapter: &str, on: bool) {
    ask(&path(adapter), &[SET, ADAPTER, "string:Powered", &format!("variant:boolean:{on}")]).unwrap();
}

/// Has an adapter forget whom it has met.
pub fn forget_all(adapter: &str) {
    for (device, _) in devices(&managed_objects(), adapter) {
        // One that was about to be forgotten may be so by now.
        let _ =
            ask(&path(adapter), &["org.bluez.Adapter1.RemoveDevice", &format!("objpath:{}/{device}", path(adapter))]);
    }
}

/// Tells whether this is the last value that a characteristic of the device's had.
pub fn has_value(adapter: &str, device: &str, value: &[u8]) -> bool {
    let objects = managed_objects();
    let of_device =
        objects.split("object path \"").filter(|object| object.starts_with(&format!("{}/{device}/", path(adapter))));
    let bytes: String = value.iter().map(|byte| format!("{byte:02x} ")).collect();
    let wanted = format!("string \"Value\" variant array of bytes [ {bytes}]");
    of_device
        .map(|object| object.split_whitespace().collect::<Vec<_>>().join(" "))
        .any(|object| object.contains(&wanted))
}

/// All that BlueZ knows.
pub fn managed_objects() -> String {
    ask("/", &["org.freedesktop.DBus.ObjectManager.GetManagedObjects"]).unwrap()
}

const GET: &str = "org.freedesktop.DBus.Properties.Get";
const SET: &str = "org.freedesktop.DBus.Properties.Set";
const ADAPTER: &str = "string:org.bluez.Adapter1";

fn path(adapter: &str) -> String {
    format!("/org/bluez/{adapter}")
}

/// Calls a method of an object's; the answer as `dbus-send` prints it, or the error.
fn ask(object: &str, call: &[&str]) -> Result<String, String> {
    let command = ["--system", "--print-reply", "--dest=org.bluez", object];
    let asked = Command::new("dbus-send").args(command).args(call).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if asked.status.success() { Ok(said(&asked.stdout)) } else { Err(said(&asked.stderr)) }
}

/// The devices of an adapter: the name of each, and all that is said of it.
fn devices<'a>(objects: &'a str, adapter: &str) -> Vec<(&'a str, &'a str)> {
    let own = format!("object path \"{}/", path(adapter));
    let about = objects.split(&own).skip(1);
    let about = about.map(|about| about.split("object path \"/org/bluez/").next().unwrap_or_default());
    about
        .filter_map(|about| about.split_once('"'))
        .filter(|(name, _)| name.starts_with("dev_") && !name.contains('/'))
        .collect()
}

/// Tells whether the value behind this word is true.
fn is_true(said: &str, word: &str) -> bool {
    let value = said.split_once(word).map_or("", |(_, value)| value);
    let value = value.trim_start_matches('"').trim_start();
    value.trim_start_matches("variant").trim_start().starts_with("boolean true")
}
