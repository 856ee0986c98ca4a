//! The language of the story.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The phone that a step without one is about.
pub const PHONE: &str = "phone";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    pub version: u32,
    pub scenes: Vec<Scene>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    pub name: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(default = "one_phone")]
    pub phones: BTreeMap<String, [f32; 2]>,
    pub steps: Vec<PhoneStep>,
}

/// A step and whose it is.
#[derive(Debug)]
pub struct PhoneStep {
    pub phone: String,
    pub step: Step,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    Stage {
        command: Value,
        #[serde(default)]
        answer: Value,
    },
    SignIn {
        member: String,
        lifetime_s: Option<i64>,
        expect: String,
    },
    SignOut {},
    Refresh {
        expect: String,
    },
    Button {
        expect: String,
    },
    Doors {
        expect: Vec<String>,
    },
    Devices {
        expect: usize,
    },
    Doctor {
        expect: BTreeMap<String, String>,
    },
    Nearby {
        expect: Vec<String>,
    },
    RadioState {
        expect: String,
    },
    Restart {},
    Press {
        door: Option<String>,
        deadline_ms: Option<u64>,
        listener: Option<Listener>,
        error: Option<String>,
        until: Option<String>,
        expect: Option<Expected>,
    },
    Retry {
        listener: Option<Listener>,
        error: Option<String>,
        until: Option<String>,
        expect: Option<Expected>,
    },
    Reach {
        phase: String,
    },
    Choose {
        door: String,
    },
    Cancel {},
    Outcome {
        expect: Expected,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listener {
    Throws,
}

/// What is expected of an outcome. `Some(None)` is a `null` that was written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub outcome: String,
    pub code: Option<String>,
    pub cause: Option<String>,
    pub by: Option<String>,
    pub replayed: Option<bool>,
    #[serde(default, deserialize_with = "written")]
    pub door: Option<Option<String>>,
    #[serde(default, deserialize_with = "written")]
    pub route: Option<Option<String>>,
    pub fast: Option<bool>,
    pub downloaded: Option<bool>,
    pub links: Option<u32>,
    pub round_trips: Option<u32>,
    pub phases: Option<Vec<String>>,
    pub last_phase: Option<String>,
}

/// Reads the story.
pub fn story() -> Story {
    let story: Story = serde_json::from_str(include_str!("../../vectors/story.json")).unwrap();
    assert_eq!(story.version, 1, "a language that is not spoken here");
    story
}

fn one_phone() -> BTreeMap<String, [f32; 2]> {
    BTreeMap::from([(PHONE.to_owned(), [1.0, 0.0])])
}

fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for PhoneStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let phone = match fields.remove("phone") {
            Some(phone) => serde_json::from_value(phone).map_err(serde::de::Error::custom)?,
            None => PHONE.to_owned(),
        };
        let step = Value::Object(fields.into_iter().collect());
        let described = step.to_string();
        let step = serde_json::from_value(step)
            .map_err(|error| serde::de::Error::custom(format_args!("{error} in {described}")))?;
        Ok(Self { phone, step })
    }
}
