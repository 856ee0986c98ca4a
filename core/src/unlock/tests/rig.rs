//! Drives a machine against a lock on a virtual clock, as a driver would.

use std::collections::VecDeque;

use keybutton_protocol::{
    advert::{AdvertFlags, ServiceData},
    api::{AccessRefusal, ButtonState, Decision, DoorId, DoorRights, IntegrationKind, MemberId, Rights},
    crypto::{Signer, ring::Ring},
    frame::{Fragmenter, Reassembler},
    ids::{GroupResolvingKey, LockNumber, UnixTime, UnlockId},
};

use super::{super::*, lock::Lock};
use crate::{
    discovery::Discovery,
    error::{ErrorCode, KeyError},
    keyring::{
        Keyring,
        fixture::{NOW, Plan, World, door, resolving_key},
    },
    outcome::{Outcome, PressOutcome},
    radio::{Advertisement, PeripheralId, RadioError, RadioState},
};

pub(crate) const MTU: u16 = 185;
const STEP_US: u64 = 1_000;

pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) keyring: Keyring,
    pub(crate) discovery: Discovery,
    pub(crate) crypto: Ring,
    pub(crate) locks: Vec<(u16, Lock)>,
    pub(crate) machine: Machine<Ring>,
    pub(crate) now: Moment,
    pub(crate) inputs: VecDeque<Input>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) log: Vec<String>,
    pub(crate) outcomes: Vec<PressOutcome>,
    pub(crate) over: bool,
    pub(crate) audit: Vec<Vec<u8>>,
    /// What the service answers; `None` never does.
    pub(crate) rights: Option<Result<Rights, KeyError>>,
    pub(crate) download: Option<Result<Plan, KeyError>>,
    pub(crate) signs: bool,
    pub(crate) radio: RadioState,
    /// The link dies instead of delivering this many-th message of the lock, counted over the press.
    pub(crate) cut_at: Vec<usize>,
    pub(crate) heard_messages: usize,
    /// No link comes up any more.
    pub(crate) out_of_range: bool,
    pub(crate) user_unlocks: bool,
    pub(crate) connects: usize,
    pub(crate) apdus: Vec<Vec<u8>>,
    /// What the vendor says; `None` never does.
    pub(crate) vendor: Option<VendorWord>,
    pub(crate) asked_vendor: Vec<DoorId>,
    /// What the links' radio says of them.
    pub(crate) mtu: u16,
    /// The longest ATT value that the phone wrote.
    pub(crate) longest: usize,
    link: Option<Link>,
    scanning: bool,
}

struct Link {
    peripheral: PeripheralId,
    lock: usize,
    out: Fragmenter,
    back: Reassembler,
}

impl Rig {
    /// A phone with a valid key in front of locks 1 (at -50 dBm) and 3, which the key does not name (at -80 dBm).
    pub(crate) fn new() -> Self {
        let mut world = World::new();
        let keyring = world.keyring(&Plan::default());
        Self::with(world, keyring)
    }

    pub(crate) fn without_key() -> Self {
        Self::with(World::new(), Keyring::new())
    }

    pub(crate) fn with(mut world: World, keyring: Keyring) -> Self {
        let locks = [1, 3].map(|number| (number, Lock::new(&mut world, number))).into();
        Self {
            rights: Some(Ok(rights(&world, ButtonState::Visible))),
            world,
            keyring,
            discovery: Discovery::new(),
            crypto: Ring::new(),
            locks,
            machine: Machine::new(UnlockId([1; 16]), UnlockOptions::default()),
            now: Moment(5_000_000),
            inputs: VecDeque::new(),
            phases: Vec::new(),
            log: Vec::new(),
            outcomes: Vec::new(),
            over: false,
            audit: Vec::new(),
            download: None,
            signs: true,
            radio: RadioState::On,
            cut_at: Vec::new(),
            heard_messages: 0,
            out_of_range: false,
            user_unlocks: true,
            connects: 0,
            apdus: Vec::new(),
            vendor: None,
            asked_vendor: Vec::new(),
            mtu: MTU,
            longest: 0,
            link: None,
            scanning: false,
        }
    }

    pub(crate) fn lock(&mut self) -> &mut Lock {
        &mut self.locks[0].1
    }

    pub(crate) fn press(&mut self, id: u8, options: UnlockOptions) -> PressOutcome {
        self.start(id, options);
        self.run_to_end()
    }

    pub(crate) fn press_door(&mut self, id: u8, number: u16) -> PressOutcome {
        let options = self.options(number);
        self.press(id, options)
    }

    pub(crate) fn options(&self, number: u16) -> UnlockOptions {
        UnlockOptions { door: Some(door(self.world.group, number)), ..UnlockOptions::default() }
    }

    pub(crate) fn start(&mut self, id: u8, options: UnlockOptions) {
        self.machine = Machine::new(UnlockId([id; 16]), options);
        self.phases.clear();
        self.log.clear();
        self.outcomes.clear();
        self.over = false;
        self.inputs = VecDeque::from([Input::Begin]);
    }

    pub(crate) fn run_to_end(&mut self) -> PressOutcome {
        for _ in 0..100_000 {
            if self.over {
                break;
            }
            self.turn();
        }
        assert!(self.over, "the press did not end: {:?}", self.log);
        assert_eq!(self.outcomes.len(), 1, "{:?}", self.log);
        self.outcomes[0].clone()
    }

    /// One input, or the next thing that happens by itself.
    pub(crate) fn turn(&mut self) {
        let input = self.next_input();
        self.feed(input);
    }

    pub(crate) fn next_input(&mut self) -> Input {
        self.now = self.now.after(STEP_US);
        if let Some(input) = self.inputs.pop_front() {
            return input;
        }
        if self.scanning && !self.out_of_range {
            self.now = self.now.after(30 * STEP_US);
            let heard: Vec<_> = self.locks.iter().map(|(number, _)| *number).collect();
            for number in heard {
                self.inputs.push_back(Input::Heard(self.advertisement(number)));
            }
        }
        match self.machine.next_timer() {
            Some(at) if self.inputs.is_empty() || at <= self.now => {
                self.now = self.now.max(at);
                Input::Timer
            }
            Some(_) | None => self.inputs.pop_front().unwrap_or(Input::Timer),
        }
    }

    pub(crate) fn feed(&mut self, input: Input) {
        let device_key = self.world.device_key();
        let now = Now { moment: self.now, wall: UnixTime(NOW.0 + u32::try_from(self.now.0 / 1_000_000).unwrap()) };
        let env = Env {
            now,
            keyring: &mut self.keyring,
            discovery: &mut self.discovery,
            crypto: &mut self.crypto,
            device_key: &device_key,
            radio: Some(self.radio),
        };
        for action in self.machine.step(input, env) {
            self.perform(action);
        }
    }

    pub(crate) fn advertisement(&self, number: u16) -> Advertisement {
        let key = GroupResolvingKey::new(resolving_key(self.world.group));
        let data =
            ServiceData::make(&self.crypto, &key, [1, 2, number as u8], LockNumber(number), AdvertFlags::default());
        Advertisement {
            peripheral: PeripheralId(format!("p{number}")),
            rssi: if number == 1 { -50 } else { -80 },
            tx_power: Some(4),
            service_data: data.to_bytes().to_vec(),
        }
    }

    pub(crate) fn phase_names(&self) -> Vec<&'static str> {
        self.phases.iter().map(Phase::name).collect()
    }

    /// Whether a lock has moved, or might have when the press ended.
    pub(crate) fn moved(&self) -> u32 {
        self.locks.iter().map(|(_, lock)| lock.moved).sum()
    }

    fn perform(&mut self, action: Action) {
        assert!(!self.over, "nothing after Over: {action:?}");
        self.log.push(format!("{action:?}").chars().take(60).collect());
        match action {
            Action::Phase(phase) => {
                assert!(self.outcomes.is_empty(), "no phase after the outcome");
                self.phases.push(phase);
            }
            Action::Validate => self.inputs.extend(self.rights.clone().map(Input::Rights)),
            Action::DownloadKeys => {
                let answer = self.download.clone().map(|plan| plan.map(|plan| self.world.bundle(&plan)));
                self.inputs.extend(answer.map(Input::Keys));
            }
            Action::StartScan => self.scanning = true,
            Action::StopScan => self.scanning = false,
            Action::Connect(peripheral) => self.connect(peripheral),
            Action::Write(peripheral, value) => self.write(&peripheral, &value),
            Action::Disconnect(peripheral) => {
                self.link = None;
                self.inputs.push_back(Input::Disconnected(peripheral, RadioError::Closed));
            }
            Action::Sign(ticket, data) => {
                let signature = match self.signs {
                    true => Ok(self.world.device.sign(data.as_bytes()).unwrap()),
                    false => Err(ErrorCode::DeviceKeyFailed.into()),
                };
                self.inputs.push_back(Input::Signed(ticket, signature));
            }
            Action::AuthenticateUser => {
                let answer = if self.user_unlocks { Ok(()) } else { Err(ErrorCode::UserAuthRequired.into()) };
                self.inputs.push_back(Input::UserAuthenticated(answer));
            }
            Action::Apdu(response) => self.apdus.push(response),
            Action::AskVendor(door) => {
                self.asked_vendor.push(door);
                self.inputs.extend(self.vendor.map(Input::Vendor));
            }
            Action::SaveKeyring => {}
            Action::StoreAudit { envelope, .. } => self.audit.push(envelope),
            Action::Finish(outcome) => self.outcomes.push(*outcome),
            Action::Over => self.over = true,
        }
    }

    fn connect(&mut self, peripheral: PeripheralId) {
        self.connects += 1;
        let lock = self.locks.iter().position(|(number, _)| PeripheralId(format!("p{number}")) == peripheral);
        let Some(lock) = lock.filter(|_| !self.out_of_range) else {
            self.inputs.push_back(Input::Disconnected(peripheral, RadioError::ConnectFailed));
            return;
        };
        self.locks[lock].1.reset();
        self.link = Some(Link {
            peripheral: peripheral.clone(),
            lock,
            out: Fragmenter::new(self.mtu),
            back: Reassembler::new(),
        });
        self.inputs.push_back(Input::Connected(peripheral, self.mtu));
    }

    fn write(&mut self, peripheral: &PeripheralId, value: &[u8]) {
        let Some(link) = self.link.as_mut().filter(|link| link.peripheral == *peripheral) else { return };
        self.longest = self.longest.max(value.len());
        let Some(message) = link.back.push(value).unwrap() else { return };
        let answer = self.locks[link.lock].1.message(message);
        let Some(answer) = answer else {
            // The lock has all it wanted and hangs up.
            let peripheral = self.link.take().unwrap().peripheral;
            self.inputs.push_back(Input::Disconnected(peripheral, RadioError::LinkLost));
            return;
        };
        self.heard_messages += 1;
        if self.cut_at.contains(&self.heard_messages) {
            let peripheral = self.link.take().unwrap().peripheral;
            self.inputs.push_back(Input::Disconnected(peripheral, RadioError::LinkLost));
            return;
        }
        for value in link.out.split(&answer) {
            self.inputs.push_back(Input::Value(peripheral.clone(), value.to_vec()));
        }
    }
}

pub(crate) fn rights(world: &World, button: ButtonState) -> Rights {
    let rights_of = |number, decision| DoorRights {
        id: door(world.group, number),
        name: format!("Door {number}"),
        site: "Harbour".into(),
        integration: IntegrationKind::Native,
        reader_id: None,
        vendor_door: None,
        decision,
    };
    let allow = Decision::Allow { until: u32::MAX };
    Rights {
        member: MemberId("m".into()),
        organization: "o".into(),
        button,
        doors: vec![
            rights_of(1, allow.clone()),
            rights_of(2, allow),
            rights_of(3, Decision::Refuse { reason: AccessRefusal::NoPermission }),
        ],
        now: NOW.0,
    }
}

pub(crate) fn refused(outcome: &PressOutcome) -> ErrorCode {
    match &outcome.outcome {
        Outcome::Refused(refusal) => refusal.code,
        Outcome::Opened(_) | Outcome::Unconfirmed(_) => panic!("not refused: {outcome:?}"),
    }
}
