//! A scripted access service and a radio that hears nothing, for tests of the driver alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use keybutton_protocol::{
    api::{
        AckToken, AppId, AuditAcknowledged, ButtonState, Bytes, Device, DeviceId, EnrolDevice, EnrolmentChallenge,
        HiddenReason, KeyBundle, MemberId, Problem, Rights, UploadAudit,
    },
    keys::AuthenticationData,
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use tempfile::TempDir;

use crate::{
    client::{Config, MobileKeys, Platform, StartError},
    clock::SystemClock,
    device_key::SoftwareDeviceKey,
    download::Method,
    http::{Http, HttpAnswer, HttpError, HttpRequest, HttpResponse},
    log::{LogLevel, LogLine, LogSink},
    outcome::PressOutcome,
    press::PressListener,
    radio::{PeripheralId, Radio, RadioError, RadioEvents, RadioState},
    unlock::Phase,
    vault::{FileVault, Vault, VaultKey},
};

pub(super) const CANARY: &str = "canary";

/// A session token of a member, as a Branded App would have it. Its signature is the canary.
pub(super) fn token(member: &str) -> String {
    let claims = format!(r#"{{"iss":"app","sub":"{member}"}}"#);
    let encoded = serde_json::to_value(Bytes::from(claims)).unwrap();
    format!("e30.{}.{CANARY}", encoded.as_str().unwrap())
}

/// What the service does next, and what it was asked.
#[derive(Default)]
pub(super) struct Script {
    pub(super) offline: bool,
    /// Keeps requests without answering them.
    pub(super) silent: bool,
    pub(super) held: Vec<Arc<HttpAnswer>>,
    pub(super) button: Option<HiddenReason>,
    pub(super) problem: Option<(&'static str, u16, &'static str)>,
    pub(super) devices: BTreeMap<String, Bytes>,
    pub(super) requests: Vec<String>,
    pub(super) member: Option<String>,
    /// What an enrolled device is told and given.
    pub(super) rights: Option<Rights>,
    pub(super) bundle: Option<KeyBundle>,
    pub(super) audit: Vec<UploadAudit>,
    pub(super) ack: Option<AckToken>,
    enrolled: u32,
}

#[derive(Default)]
pub(super) struct FakeService(Mutex<Script>);

impl FakeService {
    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    /// What was asked since the last time, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.script().requests)
    }

    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut script = self.script();
        let path = request.url.strip_prefix("https://keys.example").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        script.requests.push(format!("{} {path}", request.method.as_str()));
        let header = |name| request.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str());
        let token = header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(header("keybutton-app"), Some("app"));
        if script.offline {
            return Err(HttpError::Offline);
        }
        if let Some((at, status, code)) = script.problem
            && at == path
        {
            return Ok(problem(status, code));
        }
        let device = query.strip_prefix("device=").map(str::to_owned);
        match (request.method, path) {
            (Method::Get, "/v1/me") => {
                let known = device.is_some_and(|device| script.devices.contains_key(&device));
                let button = match script.button {
                    Some(reason) => ButtonState::Hidden(reason),
                    None if known => ButtonState::Visible,
                    None => ButtonState::Hidden(HiddenReason::DeviceNotEnrolled),
                };
                if let Some(rights) = script.rights.clone().filter(|_| button == ButtonState::Visible) {
                    return Ok(json(&rights));
                }
                let member = script.member.clone().unwrap_or_else(|| token.to_owned());
                Ok(json(&Rights {
                    member: MemberId(member),
                    organization: "Org".into(),
                    button,
                    doors: vec![],
                    now: 0,
                }))
            }
            (Method::Post, "/v1/devices/challenge") => {
                Ok(json(&EnrolmentChallenge { nonce: Bytes::from([7; 32]), expires: 0 }))
            }
            (Method::Post, "/v1/devices") => {
                let enrolment: EnrolDevice = serde_json::from_slice(&request.body).unwrap();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &enrolment.device_key.0);
                let data = AuthenticationData::for_enrolment(&[7; 32]);
                key.verify(data.as_bytes(), &enrolment.proof.0).expect("a proof of possession");
                script.enrolled += 1;
                let id = format!("device-{}", script.enrolled);
                script.devices.insert(id.clone(), enrolment.device_key);
                let (name, platform) = (enrolment.name, enrolment.platform);
                Ok(json(&Device { id: DeviceId(id), name, platform, enrolled: 0, primary: true }))
            }
            (Method::Get, "/v1/devices") => Ok(json::<Vec<Device>>(&vec![])),
            (Method::Delete, path) => {
                script.devices.remove(path.strip_prefix("/v1/devices/").unwrap());
                Ok(HttpResponse { status: 204, body: vec![] })
            }
            (Method::Post, "/v1/keys") => {
                let nothing = KeyBundle { sites: vec![], renew_after: u32::MAX, now: 0 };
                Ok(json(&script.bundle.clone().unwrap_or(nothing)))
            }
            (Method::Post, "/v1/audit") => {
                script.audit.push(serde_json::from_slice(&request.body).unwrap());
                Ok(json(&AuditAcknowledged { number: 1, ack: script.ack.clone().unwrap() }))
            }
            (Method::Post, "/v1/presses") => Ok(HttpResponse { status: 204, body: vec![] }),
            (method, path) => panic!("{method:?} {path}"),
        }
    }
}

impl Http for FakeService {
    fn send(&self, request: HttpRequest, answer: Arc<HttpAnswer>) {
        if self.script().silent {
            self.script().held.push(answer);
            return;
        }
        match self.answer(&request) {
            Ok(response) => answer.succeed(response),
            Err(error) => answer.fail(error),
        }
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> HttpResponse {
    HttpResponse { status: 200, body: serde_json::to_vec(value).unwrap() }
}

fn problem(status: u16, code: &str) -> HttpResponse {
    let problem = Problem {
        kind: String::new(),
        title: String::new(),
        status,
        detail: None,
        code: code.into(),
        retry: false,
        remedy: String::new(),
        devices: vec![],
    };
    HttpResponse { status, body: serde_json::to_vec(&problem).unwrap() }
}

/// Bluetooth with nobody there.
#[derive(Default)]
pub(super) struct QuietRadio {
    pub(super) scans: Mutex<i32>,
}

impl Radio for QuietRadio {
    fn state(&self) -> RadioState {
        RadioState::On
    }

    fn start_scan(&self, _: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        *self.scans.lock().unwrap() += 1;
        Ok(())
    }

    fn stop_scan(&self) {
        *self.scans.lock().unwrap() -= 1;
    }

    fn connect(&self, _: PeripheralId, _: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        Err(RadioError::OutOfRange)
    }

    fn write(&self, _: PeripheralId, _: Vec<u8>) -> Result<(), RadioError> {
        Err(RadioError::OutOfRange)
    }

    fn disconnect(&self, _: PeripheralId) {}
}

#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<LogLine>>);

impl Lines {
    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap().iter().map(|line| format!("{:?} {} {}\n", line.level, line.part, line.text)).collect()
    }
}

impl LogSink for Lines {
    fn level(&self) -> LogLevel {
        LogLevel::Trace
    }

    fn line(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

pub(super) fn config() -> Config {
    Config {
        service_url: "https://keys.example".into(),
        app: AppId("app".into()),
        device_name: "Phone".into(),
        platform: "linux".into(),
    }
}

/// A phone whose parts the test can look at, and start again.
pub(super) struct Phone {
    pub(super) dir: TempDir,
    pub(super) service: Arc<FakeService>,
    pub(super) radio: Arc<QuietRadio>,
    pub(super) lines: Arc<Lines>,
}

impl Phone {
    pub(super) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), service: Arc::default(), radio: Arc::default(), lines: Arc::default() }
    }

    pub(super) fn vault(&self) -> Result<Arc<dyn Vault>, crate::vault::VaultError> {
        let key = VaultKey::File(self.dir.path().join("vault.key"));
        Ok(Arc::new(FileVault::open(self.dir.path().join("vault"), key)?))
    }

    pub(super) fn platform(&self) -> Result<Platform, StartError> {
        let vault = self.vault()?;
        Ok(Platform {
            radio: self.radio.clone(),
            http: self.service.clone(),
            vault: vault.clone(),
            device_key: Arc::new(SoftwareDeviceKey::new(vault)),
            clock: Arc::new(SystemClock::new()),
            log: self.lines.clone(),
            nfc: false,
            vendor: None,
        })
    }

    pub(super) fn start(&self) -> Result<MobileKeys, StartError> {
        MobileKeys::new(config(), self.platform()?)
    }

    /// Names of the vault's entries.
    pub(super) fn entries(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.dir.path().join("vault"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

/// Collects what a press says.
#[derive(Default)]
pub(super) struct Story {
    pub(super) phases: Mutex<Vec<&'static str>>,
    pub(super) outcomes: Mutex<Vec<PressOutcome>>,
    pub(super) panics: bool,
}

impl PressListener for Story {
    fn on_phase(&self, phase: Phase) {
        self.phases.lock().unwrap().push(phase.name());
        assert!(!self.panics, "as told");
    }

    fn on_outcome(&self, outcome: PressOutcome) {
        self.outcomes.lock().unwrap().push(outcome);
        assert!(!self.panics, "as told");
    }
}
