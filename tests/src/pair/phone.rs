//! The real phone machine: keyring, device key and service answers around it; what it wants of the radio comes out.

use std::collections::VecDeque;

use keybutton::{
    discovery::Discovery,
    error::{ErrorCode, KeyError},
    keyring::Keyring,
    outcome::{Outcome, PressOutcome},
    radio::{PeripheralId, RadioState},
    unlock::{Action, Env, Input, Machine, Moment, Now, Phase, UnlockOptions},
};
use keybutton_protocol::{
    api::{ButtonState, Decision, DoorRights, IntegrationKind, KeyBundle, MemberId, Rights, SiteKeys},
    crypto::{
        Signer,
        ring::{Ring, RingSigner},
    },
    ids::{PublicKey, UnixTime, UnlockId},
};

use super::site::{Member, NOW, Site};

/// What the machine wants of the radio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wants {
    /// Scan.
    StartScan,
    /// Stop scanning.
    StopScan,
    /// Connect.
    Connect(PeripheralId),
    /// Send an ATT value.
    Write(PeripheralId, Vec<u8>),
    /// Drop the link.
    Disconnect(PeripheralId),
    /// Answer a reader by NFC.
    Apdu(Vec<u8>),
    /// Have the user unlock the phone; the answer takes a person's time.
    AuthenticateUser,
}

/// A phone under test.
pub struct TestPhone {
    /// Its keys.
    pub keyring: Keyring,
    /// The locks it hears.
    pub discovery: Discovery,
    crypto: Ring,
    signer: RingSigner,
    key: PublicKey,
    machine: Machine<Ring>,
    inbox: VecDeque<Input>,
    /// The press.
    pub id: UnlockId,
    /// How presses ended.
    pub outcomes: Vec<PressOutcome>,
    /// The phases of the press, by name.
    pub phases: Vec<&'static str>,
    /// The machine needs nothing more.
    pub over: bool,
    /// What the service answers about rights; `None` never does.
    pub rights: Option<Result<Rights, KeyError>>,
    /// What the service answers about keys; `None` never does.
    pub download: Option<Result<KeyBundle, KeyError>>,
    /// The device key signs.
    pub signs: bool,
    /// How often the device key was asked to sign.
    pub signatures: usize,
    /// The user unlocks the phone when asked.
    pub user_unlocks: bool,
    /// Audit envelopes taken over.
    pub audit: Vec<Vec<u8>>,
    /// Every transition of the machine, for messages of failed tests.
    pub log: Vec<String>,
}

impl TestPhone {
    /// A member's phone with keys for the locks `numbers` of a site.
    pub fn new(site: &Site, member: &Member, numbers: &[u16]) -> Self {
        Self::with(member, vec![site.keys(member, numbers)])
    }

    /// A member's phone with these keys.
    pub fn with(member: &Member, sites: Vec<SiteKeys>) -> Self {
        let crypto = Ring::new();
        let rights = rights(&sites);
        let mut keyring = Keyring::new();
        let bundle = KeyBundle { sites, renew_after: NOW.0 + 86_400, now: NOW.0 };
        keyring.install(bundle, &member.key, &crypto).expect("the harness issues sound keys");
        Self {
            keyring,
            discovery: Discovery::new(),
            crypto,
            signer: RingSigner::from_bytes(&member.signer().expose()).expect("the same scalar"),
            key: member.key,
            machine: Machine::new(UnlockId([0; 16]), UnlockOptions::default()),
            inbox: VecDeque::new(),
            id: UnlockId([0; 16]),
            outcomes: Vec::new(),
            phases: Vec::new(),
            over: true,
            rights: Some(Ok(rights)),
            download: Some(Err(ErrorCode::ServiceUnreachable.into())),
            signs: true,
            signatures: 0,
            user_unlocks: true,
            audit: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The public half of its device key.
    pub fn public_key(&self) -> PublicKey {
        self.key
    }

    /// Makes the machine of a press, which has not begun.
    pub fn prepare(&mut self, id: UnlockId, options: UnlockOptions) {
        self.machine = Machine::new(id, options);
        self.id = id;
        self.phases.clear();
        self.outcomes.clear();
        self.log.clear();
        self.over = false;
    }

    /// The member presses.
    pub fn press(&mut self, micros: u64, id: UnlockId, options: UnlockOptions) -> Vec<Wants> {
        self.prepare(id, options);
        self.input(micros, Input::Begin)
    }

    /// When the machine wants to be woken, in microseconds.
    pub fn next_timer(&self) -> Option<u64> {
        self.machine.next_timer().map(|moment| moment.0)
    }

    /// Hands in an input, and whatever answers from around the machine follow from it.
    pub fn input(&mut self, micros: u64, input: Input) -> Vec<Wants> {
        let mut wants = Vec::new();
        self.inbox.push_back(input);
        while let Some(input) = self.inbox.pop_front() {
            self.log.push(format!("{micros:>9} {input:?}").chars().take(100).collect());
            let wall = UnixTime(NOW.0 + u32::try_from(micros / 1_000_000).expect("tests are short"));
            let env = Env {
                now: Now { moment: Moment(micros), wall },
                keyring: &mut self.keyring,
                discovery: &mut self.discovery,
                crypto: &mut self.crypto,
                device_key: &self.key,
                radio: Some(RadioState::On),
            };
            for action in self.machine.step(input, env) {
                self.perform(action, &mut wants);
            }
        }
        wants
    }

    /// What the user does when asked to unlock the phone.
    pub fn user_answer(&self) -> Input {
        let answer = if self.user_unlocks { Ok(()) } else { Err(ErrorCode::UserAuthRequired.into()) };
        Input::UserAuthenticated(answer)
    }

    /// The one outcome of the press.
    #[track_caller]
    pub fn outcome(&self) -> &Outcome {
        assert_eq!(self.outcomes.len(), 1, "a press ends exactly once: {:#?}", self.log);
        &self.outcomes[0].outcome
    }

    /// The refusal's code.
    #[track_caller]
    pub fn refusal(&self) -> ErrorCode {
        match self.outcome() {
            Outcome::Refused(refusal) => refusal.code,
            other => panic!("not refused: {other:?}: {:#?}", self.log),
        }
    }

    fn perform(&mut self, action: Action, wants: &mut Vec<Wants>) {
        assert!(!self.over || matches!(action, Action::Apdu(_)), "nothing comes after Over: {action:?}");
        match action {
            Action::Phase(phase) => self.phases.push(Phase::name(&phase)),
            Action::Validate => self.inbox.extend(self.rights.clone().map(Input::Rights)),
            Action::DownloadKeys => self.inbox.extend(self.download.clone().map(Input::Keys)),
            Action::StartScan => wants.push(Wants::StartScan),
            Action::StopScan => wants.push(Wants::StopScan),
            Action::Connect(peripheral) => wants.push(Wants::Connect(peripheral)),
            Action::Write(peripheral, value) => wants.push(Wants::Write(peripheral, value)),
            Action::Disconnect(peripheral) => wants.push(Wants::Disconnect(peripheral)),
            Action::Apdu(response) => wants.push(Wants::Apdu(response)),
            Action::Sign(ticket, data) => {
                self.signatures += 1;
                let signature = match self.signs {
                    true => Ok(self.signer.sign(data.as_bytes()).expect("test keys sign")),
                    false => Err(ErrorCode::DeviceKeyFailed.into()),
                };
                self.inbox.push_back(Input::Signed(ticket, signature));
            }
            Action::AuthenticateUser => wants.push(Wants::AuthenticateUser),
            Action::AskVendor(door) => panic!("no vendor opens {door}"),
            Action::SaveKeyring => {}
            Action::StoreAudit { envelope, .. } => self.audit.push(envelope),
            Action::Finish(outcome) => self.outcomes.push(*outcome),
            Action::Over => self.over = true,
        }
    }
}

/// The rights to every lock of these sites.
pub fn rights(sites: &[SiteKeys]) -> Rights {
    let doors = sites.iter().flat_map(|site| {
        site.locks.iter().map(|lock| DoorRights {
            id: lock.door.clone(),
            name: lock.name.clone(),
            site: site.name.clone(),
            integration: IntegrationKind::Native,
            reader_id: None,
            vendor_door: None,
            decision: Decision::Allow { until: NOW.0 + 86_400 },
        })
    });
    Rights {
        member: MemberId("m".into()),
        organization: "o".into(),
        button: ButtonState::Visible,
        doors: doors.collect(),
        now: NOW.0,
    }
}
