//! Phone and lock hand in hand, without air, files or waiting: what is left is the time each of them thinks.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cpu_time::ThreadTime;
use getrandom::SysRng;
use keybutton::{
    discovery::Discovery,
    keyring::Keyring,
    outcome::PressOutcome,
    radio::{Advertisement, PeripheralId, RadioError, RadioState},
    unlock::{Action, Env, Input, Machine, Moment, Now, UnlockOptions},
};
use keybutton_lock::{
    Address, Boot, LinkId, Memory, Reader, Uptime,
    clock::RetainedClock,
    env::{BoltCommand, BoltEvent},
    store::MemoryStore,
};
use keybutton_protocol::{
    api::{Bytes, DoorId, KeyBundle, Rights},
    crypto::{
        Crypto as _, Signer as _,
        ring::{Ring, RingSigner},
        rustcrypto::{RustCrypto, RustSigner},
    },
    ids::{PublicKey, ReaderId, UnixTime, UnlockId},
    verdict::ClockState,
};

use crate::{failure::Failure, lock_host::LockFolder};

const LINK: LinkId = LinkId(1);
const PHONE: Address = Address([0x4B, 0x42, 0, 0, 0, 1]);
const MTU: u16 = 185;

/// The pause between two presses, microseconds: longer than any rate limit of the lock looks back.
const PAUSE_US: u64 = 15_000_000;

/// More turns than any press takes.
const TURNS_MAX: u32 = 10_000;

type LockCrypto = RustCrypto<SysRng>;

/// A phone: the pure core with its device key in memory.
pub(super) struct PurePhone {
    keyring: Keyring,
    crypto: Ring,
    signer: RingSigner,
    key: PublicKey,
}

/// A lock: the reader with a store in memory.
pub(super) struct PureLock {
    reader: Reader<Box<Memory<LockCrypto>>, LockCrypto, RustSigner, MemoryStore>,
    advertised: Option<Vec<u8>>,
}

/// One press, and what it cost.
pub(super) struct Sample {
    pub(super) outcome: PressOutcome,
    pub(super) phone: Duration,
    pub(super) lock: Duration,
}

impl PurePhone {
    /// Makes a phone with a new device key and no access key.
    pub(super) fn new() -> Result<Self, Failure> {
        let pkcs8 = RingSigner::generate_pkcs8().map_err(|_| unusable("device key"))?;
        let signer = RingSigner::from_pkcs8(&pkcs8).map_err(|_| unusable("device key"))?;
        let key = signer.public_key();
        Ok(Self { keyring: Keyring::new(), crypto: Ring::new(), signer, key })
    }

    /// The device key's public half.
    pub(super) fn key(&self) -> Bytes {
        Bytes::from(self.key.as_bytes())
    }

    /// Signs with the device key.
    pub(super) fn signer(&self) -> &RingSigner {
        &self.signer
    }

    /// Takes what the service says and issued.
    pub(super) fn install(&mut self, rights: Rights, bundle: KeyBundle) -> Result<(), Failure> {
        self.keyring.set_rights(rights);
        Ok(self.keyring.install(bundle, &self.key, &self.crypto)?)
    }

    /// Forgets the fast-phase keys: the next press has to sign.
    pub(super) fn forget_fast(&mut self) {
        let readers: Vec<_> = self
            .keyring
            .sites()
            .flat_map(|site| site.locks().iter().map(|lock| ReaderId::new(site.group(), lock.sub)))
            .collect();
        for reader in readers {
            self.keyring.drop_fast_key(reader);
        }
    }
}

impl PureLock {
    /// Starts the lock of a claimed folder with an empty store.
    pub(super) fn new(folder: &LockFolder, at: Moment) -> Result<Self, Failure> {
        let env = keybutton_lock::env::Env {
            crypto: RustCrypto::new(SysRng),
            signer: folder.signer()?,
            store: MemoryStore::new(),
        };
        let (config, now) = folder.config()?.ok_or_else(|| unusable("provisioning"))?;
        let retained_clock = Some(RetainedClock { now, state: ClockState::Confirmed });
        let boot = Boot { uptime: uptime(at), retained_clock };
        let reader = Reader::new(Box::new(Memory::new()), env, Some(config), boot).map_err(|_| unusable("store"))?;
        Ok(Self { reader, advertised: None })
    }
}

/// A clock that only the bench moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VirtualTime(Moment);

impl VirtualTime {
    pub(super) const fn moment(self) -> Moment {
        self.0
    }
}

/// Presses once; time goes on as far as the press needs it to.
pub(super) fn press(
    phone: &mut PurePhone,
    lock: &mut PureLock,
    door: &DoorId,
    time: &mut VirtualTime,
) -> Result<Sample, Failure> {
    time.0 = time.0.after(PAUSE_US);
    let mut id = [0; 16];
    phone.crypto.random(&mut id).map_err(|_| unusable("random source"))?;
    let options = UnlockOptions { door: Some(door.clone()), ..UnlockOptions::default() };
    let mut pair = Pair {
        machine: Machine::new(UnlockId(id), options),
        discovery: Discovery::new(),
        phone,
        lock,
        time,
        to_phone: VecDeque::from([Input::Begin]),
        to_lock: VecDeque::from([ToLock::Deadline]),
        scanning: false,
        outcome: None,
        over: false,
        spent: [Duration::ZERO; 2],
    };
    for _ in 0..TURNS_MAX {
        if pair.over {
            break;
        }
        pair.turn()?;
    }
    let [phone, lock] = pair.spent;
    let outcome = pair.outcome.ok_or_else(|| unusable("press: it did not end"))?;
    Ok(Sample { outcome: *outcome, phone, lock })
}

struct Pair<'a> {
    machine: Machine<Ring>,
    discovery: Discovery,
    phone: &'a mut PurePhone,
    lock: &'a mut PureLock,
    time: &'a mut VirtualTime,
    to_phone: VecDeque<Input>,
    to_lock: VecDeque<ToLock>,
    scanning: bool,
    outcome: Option<Box<PressOutcome>>,
    over: bool,
    spent: [Duration; 2],
}

enum ToLock {
    Deadline,
    Connected,
    Value(Vec<u8>),
    Disconnected,
    Bolt(BoltEvent),
}

impl Pair<'_> {
    fn turn(&mut self) -> Result<(), Failure> {
        if let Some(input) = self.to_lock.pop_front() {
            self.lock_turn(&input);
        } else if let Some(input) = self.to_phone.pop_front() {
            self.phone_turn(input)?;
        } else if self.scanning {
            self.time.0 = self.time.0.after(30_000);
            self.advertise();
        } else {
            self.wait();
        }
        Ok(())
    }

    /// Nothing is on its way: time goes on to whatever is due first.
    fn wait(&mut self) {
        let phone = self.machine.next_timer();
        let lock = self.lock.reader.next_deadline().map(|at| Moment(at.0 * 1_000));
        let next = phone.into_iter().chain(lock).min().unwrap_or_else(|| self.time.0.after(1_000));
        self.time.0 = self.time.0.max(next);
        if phone.is_some_and(|at| at <= self.time.0) {
            self.to_phone.push_back(Input::Timer);
        }
        if lock.is_some_and(|at| at <= self.time.0) {
            self.to_lock.push_back(ToLock::Deadline);
        }
    }

    fn advertise(&mut self) {
        // Info byte, tag and flags stand behind the service's UUID in the scan response.
        let service_data = self.lock.advertised.as_ref().and_then(|response| response.get(18..)).unwrap_or_default();
        self.to_phone.push_back(Input::Heard(Advertisement {
            peripheral: peripheral(),
            rssi: -45,
            tx_power: Some(0),
            service_data: service_data.to_vec(),
        }));
        if self.machine.next_timer().is_some_and(|at| at <= self.time.0) {
            self.to_phone.push_back(Input::Timer);
        }
    }

    fn phone_turn(&mut self, input: Input) -> Result<(), Failure> {
        let now = Now { moment: self.time.0, wall: UnixTime(wall()) };
        let begun = ThreadTime::now();
        let env = Env {
            now,
            keyring: &mut self.phone.keyring,
            discovery: &mut self.discovery,
            crypto: &mut self.phone.crypto,
            device_key: &self.phone.key,
            radio: Some(RadioState::On),
        };
        let actions = self.machine.step(input, env);
        self.spent[0] += begun.elapsed();
        for action in actions {
            match action {
                Action::StartScan => self.scanning = true,
                Action::StopScan => self.scanning = false,
                Action::Connect(peripheral) => {
                    self.to_lock.push_back(ToLock::Connected);
                    self.to_phone.push_back(Input::Connected(peripheral, MTU));
                }
                Action::Write(_, value) => {
                    tracing::trace!(bytes = value.len(), "to the lock");
                    self.to_lock.push_back(ToLock::Value(value));
                }
                Action::Disconnect(peripheral) => {
                    self.to_lock.push_back(ToLock::Disconnected);
                    self.to_phone.push_back(Input::Disconnected(peripheral, RadioError::Closed));
                }
                Action::Sign(ticket, data) => {
                    let begun = ThreadTime::now();
                    let signature = self.phone.signer.sign_shared(data.as_bytes());
                    self.spent[0] += begun.elapsed();
                    let signature = signature.map_err(|_| unusable("device key"))?;
                    self.to_phone.push_back(Input::Signed(ticket, Ok(signature)));
                }
                Action::Finish(outcome) => self.outcome = Some(outcome),
                Action::Over => self.over = true,
                Action::Phase(_)
                | Action::Validate
                | Action::DownloadKeys
                | Action::AuthenticateUser
                | Action::Apdu(_)
                | Action::AskVendor(_)
                | Action::SaveKeyring
                | Action::StoreAudit { .. } => {}
            }
        }
        Ok(())
    }

    fn lock_turn(&mut self, input: &ToLock) {
        let input = match input {
            ToLock::Deadline => keybutton_lock::Input::Deadline,
            ToLock::Connected => keybutton_lock::Input::Connected { link: LINK, address: PHONE, mtu: MTU },
            ToLock::Value(value) => keybutton_lock::Input::Received { link: LINK, value },
            ToLock::Disconnected => keybutton_lock::Input::Disconnected { link: LINK },
            ToLock::Bolt(event) => keybutton_lock::Input::Bolt(*event),
        };
        let (to_phone, to_lock) = (&mut self.to_phone, &mut self.to_lock);
        let advertised = &mut self.lock.advertised;
        let begun = ThreadTime::now();
        self.lock.reader.handle(uptime(self.time.0), input, &mut |action: keybutton_lock::Action<'_>| match action {
            keybutton_lock::Action::Advertise(advertising) => *advertised = Some(advertising.scan_response.to_vec()),
            keybutton_lock::Action::Notify { value, .. } => {
                tracing::trace!(bytes = value.len(), "to the phone");
                to_phone.push_back(Input::Value(peripheral(), value.to_vec()));
            }
            keybutton_lock::Action::Close { .. } => {
                to_phone.push_back(Input::Disconnected(peripheral(), RadioError::LinkLost));
            }
            keybutton_lock::Action::Bolt(command) => to_lock.push_back(ToLock::Bolt(match command {
                BoltCommand::Open(_) | BoltCommand::HoldOpen => BoltEvent::Withdrawn,
                BoltCommand::Secure => BoltEvent::Secured,
            })),
            keybutton_lock::Action::Transmit { .. }
            | keybutton_lock::Action::NfcRelease
            | keybutton_lock::Action::Feedback(_)
            | keybutton_lock::Action::Deadline(_)
            | keybutton_lock::Action::Event(_) => {}
        });
        self.spent[1] += begun.elapsed();
    }
}

fn peripheral() -> PeripheralId {
    PeripheralId("pair".to_owned())
}

fn uptime(moment: Moment) -> Uptime {
    Uptime(moment.0 / 1_000)
}

fn wall() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

fn unusable(what: &str) -> Failure {
    Failure::new("bench-failed", format_args!("the bench can't use its {what}"), "Report this as a defect.")
}
