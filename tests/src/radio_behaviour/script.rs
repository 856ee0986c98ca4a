//! The language of the cases.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    version: u32,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(default)]
    pub needs: Vec<Need>,
    pub steps: Vec<Step>,
}

/// What the other side has to be able to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    Strangers,
    Services,
    Permission,
    SuddenOff,
}

#[derive(Debug)]
pub enum Step {
    Command(Command),
    Peer(Peer),
    Expect(Expect),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    State { is: String },
    StartScan { fails: Option<String> },
    StopScan {},
    Connect { peripheral: String, fails: Option<String> },
    Write { peripheral: String, value: Hex, fails: Option<String> },
    Disconnect { peripheral: String },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "peer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Peer {
    Advertise {
        peripheral: String,
        #[serde(default = "some_service_data")]
        service_data: Option<Hex>,
        tx_power: Option<i8>,
        #[serde(default = "yes")]
        service: bool,
    },
    Accept {
        peripheral: String,
        mtu: u16,
        says: Option<Hex>,
    },
    Refuse {
        peripheral: String,
    },
    ServiceMissing {
        peripheral: String,
    },
    Notify {
        peripheral: String,
        value: Hex,
    },
    Drop {
        peripheral: String,
    },
    WalkAway {
        peripheral: String,
    },
    ComeBack {
        peripheral: String,
    },
    AdapterOff {},
    AdapterOn {},
    PermissionTaken {},
}

#[derive(Debug, Deserialize)]
#[serde(tag = "expect", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expect {
    Advertisement { peripheral: String, service_data: Option<Hex>, tx_power: Option<i8> },
    Connected { peripheral: String, mtu: u16 },
    Notification { peripheral: String, value: Hex },
    Disconnected { peripheral: String, cause: String },
    State { is: String },
    Received { peripheral: String, value: Hex },
    NoAdvertisement {},
    NoLinkEvent { peripheral: String },
}

/// Bytes in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hex(pub Vec<u8>);

/// Reads every case.
pub fn cases() -> Vec<Case> {
    let suite: Suite = serde_json::from_str(include_str!("../../vectors/radio-behaviour.json")).unwrap();
    assert_eq!(suite.version, 1, "a language that is not spoken here");
    suite.cases
}

/// Reads one case.
pub fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).expect("the case is written")
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field that it fills")]
fn some_service_data() -> Option<Hex> {
    Some(Hex(vec![0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
}

const fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let step = Value::deserialize(deserializer)?;
        let described = step.to_string();
        let read = match ["command", "peer", "expect"].map(|kind| step.get(kind).is_some()) {
            [true, false, false] => serde_json::from_value(step).map(Self::Command),
            [false, true, false] => serde_json::from_value(step).map(Self::Peer),
            [false, false, true] => serde_json::from_value(step).map(Self::Expect),
            _ => return Err(serde::de::Error::custom(format_args!("not one kind of step: {described}"))),
        };
        read.map_err(|error| serde::de::Error::custom(format_args!("{error} in {described}")))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let digits = digits.filter(|digits| digits.len() % 2 == 0);
        let digits = digits.ok_or_else(|| serde::de::Error::custom(format_args!("{text} is not hexadecimal")))?;
        Ok(Self(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    }
}
