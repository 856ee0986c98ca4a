use keybutton_protocol::{api::ButtonState, ids::Kpersistent};

use super::*;
use crate::{
    doctor::{CheckName, CheckResult},
    keyring::fixture::{NOW, Plan, World, door},
    outcome::{PhaseTime, Refusal},
};

const CAPABILITIES: Capabilities = Capabilities { bluetooth: true, nfc: false, key_store: true };

fn press(world: &World) -> PressOutcome {
    PressOutcome {
        press: UnlockId([0xC4; 16]),
        door: Some(door(world.group, 1)),
        route: Some(Route::Radio),
        outcome: Outcome::Refused(Refusal { detail: 1, ..Refusal::new(ErrorCode::ClockUnknown) }),
        metrics: PressMetrics {
            total_us: 300_000,
            phases: vec![
                PhaseTime { phase: "searching".into(), micros: 100_000 },
                PhaseTime { phase: "opening".into(), micros: 200_000 },
            ],
            ..PressMetrics::default()
        },
    }
}

fn report(keyring: &Keyring, presses: Vec<(UnixTime, &PressOutcome)>, salt: u8) -> String {
    let checks = [Check { name: CheckName::Clock, result: CheckResult::Warning(ErrorCode::ClockWrong) }];
    let facts = Facts {
        platform: "linux",
        now: NOW,
        capabilities: CAPABILITIES,
        radio: Some(RadioState::On),
        button: ButtonState::Visible,
        keyring,
        checks: &checks,
        presses,
    };
    support_report(&facts, &[salt; 16])
}

#[test]
fn a_report_has_codes_and_times() {
    let mut world = World::new();
    let keyring = world.keyring(&Plan::default());
    let press = press(&world);
    let report: serde_json::Value = serde_json::from_str(&report(&keyring, vec![(NOW, &press)], 1)).unwrap();
    assert_eq!(report["presses"][0]["code"], "clock-unknown");
    assert_eq!(report["presses"][0]["phases"][1]["us"], 200_000);
    assert_eq!(report["keys"][0]["ends_in_s"], 48 * 3600);
    assert_eq!(report["checks"][0]["code"], "clock-wrong");
}

#[test]
fn equal_things_have_equal_hashes_within_one_report_only() {
    let mut world = World::new();
    let keyring = world.keyring(&Plan::default());
    let press = press(&world);
    let door = |salt| {
        let report = report(&keyring, vec![(NOW, &press), (NOW, &press)], salt);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["presses"][0]["door"], report["presses"][1]["door"]);
        report["presses"][0]["door"].clone()
    };
    assert_ne!(door(1), door(2));
}

/// Nothing that identifies anybody, and no secret, in any spelling, gets into a report.
#[test]
fn no_canary_gets_out() {
    let mut world = World::new();
    let record = world.record(&Plan { revocation: Some(1), ..Plan::default() });
    let mut keyring = world.keyring(&Plan { revocation: Some(1), ..Plan::default() });
    let secret = [0xA7; 32];
    keyring.put_fast_key(world.reader(1), Kpersistent::new(secret));
    keyring.put_audit(world.reader(1), vec![0xB9; 40]);
    keyring.opened(door(world.group, 1), NOW);
    let press = press(&world);
    let report = report(&keyring, vec![(NOW, &press)], 1).to_lowercase();

    let texts = ["harbour", "door 1", "door-7-1", "site-7"];
    for text in texts {
        assert!(!report.contains(text), "{text}");
    }
    let bytes: Vec<Vec<u8>> = vec![
        secret.to_vec(),
        vec![0xB9; 40],
        vec![0xC4; 16],
        world.group.0.to_vec(),
        world.reader(1).sub().0.to_vec(),
        world.device_key().0.to_vec(),
        record.group_resolving_key.0.clone(),
        record.ca_key.0.clone(),
        record.issuer_key.0.clone(),
        record.kid.0.clone(),
        record.access_id.0.clone(),
        record.time_token.0.clone(),
    ];
    for bytes in bytes {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = serde_json::to_string(&keybutton_protocol::api::Bytes(bytes.clone())).unwrap().to_lowercase();
        let list = serde_json::to_string(&bytes).unwrap();
        for spelling in [&hex[..8], &base64[1..8], &list[1..12]] {
            assert!(!report.contains(spelling), "{spelling}");
        }
    }
    for needle in ["authorization", "bearer", "token"] {
        assert!(!report.contains(needle), "{needle}");
    }
}
