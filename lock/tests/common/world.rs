use keybutton_lock::{
    Action, Address, Advertising, Boot, Event, Input, LinkId, LockConfig, Maintenance, Memory, Reader, Uptime,
    config::{DocumentRules, Issuer, Policy},
    env::{BoltCommand, Env},
    feedback::Feedback,
};
use keybutton_protocol::{
    a5::PressInfo,
    apdu::{PhoneChain, Received},
    buf::Buf,
    certificate::{COMPRESSED_MAX, CertificateRequest, issue},
    crypto::{Crypto, Signer, rustcrypto::RustSigner},
    document::{
        AccessData, ElementName, Restrictions, RevocationEntry,
        list::List,
        schedule::{Capabilities, Mask, Recurrence, Rule, Rules, Schedule},
    },
    frame::{Fragmenter, Reassembler},
    ids::{AccessId, GroupId, GroupResolvingKey, Intent, LockNumber, PublicKey, SubId, UnixTime},
    initiator::{Opened, Waiting},
    issue::{AccessDocument, AccessElement, IssuedValidity, Issuer as DocumentIssuer, RevocationDocument},
    message::{self, Kind},
    profile::Profile,
    token::TimeToken,
};

use super::{
    phone::{Log, Phone, State},
    random::{TestCrypto, crypto, signer},
    store::TestStore,
};

/// The time at uptime 0: 2030-01-01T09:45:00Z, a Tuesday.
pub const NOW: UnixTime = UnixTime(1_893_491_100);

/// Sees every message and may change it; `true` is towards the lock.
pub type Hook<'h> = &'h mut dyn FnMut(bool, &mut Vec<u8>);

type TestReader = Reader<Box<Memory<TestCrypto>>, TestCrypto, RustSigner, TestStore>;

/// How the lock is provisioned.
#[derive(Clone)]
pub struct LockOptions {
    pub policy: Policy,
    pub documents: DocumentRules,
    pub profile: Profile,
    pub set_time: bool,
    pub elements: Vec<ElementName>,
    pub second_issuer: bool,
    /// Phones trust the reader key itself.
    pub without_certificate: bool,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            documents: DocumentRules::PRODUCT,
            profile: Profile::PRODUCT,
            set_time: true,
            elements: vec![ElementName::lock(42), ElementName::zone(1), ElementName::SITE],
            second_issuer: false,
            without_certificate: false,
        }
    }
}

pub struct World {
    pub reader: TestReader,
    pub store: TestStore,
    pub issuer: DocumentIssuer<RustSigner>,
    pub other_issuer: DocumentIssuer<RustSigner>,
    pub ca: RustSigner,
    pub audit: ([u8; 32], PublicKey),
    pub crypto: TestCrypto,
    pub options: LockOptions,
    pub now: Uptime,
    pub bolts: Vec<BoltCommand>,
    pub feedback: Vec<Feedback>,
    pub events: Vec<Event>,
    pub advertising: Vec<Advertising>,
    pub closed: Vec<LinkId>,
    pub deadline: Option<Uptime>,
    notified: Vec<(LinkId, Vec<u8>)>,
    transmitted: Vec<Vec<u8>>,
    next_link: u16,
    starts: u64,
}

pub const GROUP: GroupId = GroupId([0x82; 16]);
pub const SUB: SubId = SubId([0xD7; 16]);

impl World {
    pub fn new() -> Self {
        Self::with(LockOptions::default())
    }

    pub fn with(options: LockOptions) -> Self {
        let mut crypto = crypto(1);
        let (secret, public) = keybutton_protocol::audit::generate_audit_key(&mut crypto).unwrap();
        let issuer = DocumentIssuer::new(&crypto, signer(10));
        let other_issuer = DocumentIssuer::new(&crypto, signer(11));
        let store = TestStore::new();
        let mut world = Self {
            reader: start(&store, &options, &issuer, &other_issuer, public, Uptime(0), 2),
            store,
            issuer,
            other_issuer,
            ca: signer(20),
            audit: (*secret, public),
            crypto,
            options,
            now: Uptime(0),
            bolts: Vec::new(),
            feedback: Vec::new(),
            events: Vec::new(),
            advertising: Vec::new(),
            closed: Vec::new(),
            deadline: None,
            notified: Vec::new(),
            transmitted: Vec::new(),
            next_link: 0,
            starts: 0,
        };
        world.input(Input::Deadline);
        if world.options.set_time {
            world.input(Input::Maintenance(Maintenance::SetTime(NOW)));
        }
        world
    }

    /// Power goes and comes back: only the store is left.
    pub fn restart(&mut self) {
        self.store.restore();
        self.starts += 1;
        self.now = Uptime(0);
        let (issuer, other) = (&self.issuer, &self.other_issuer);
        self.reader = start(&self.store, &self.options, issuer, other, self.audit.1, Uptime(0), 100 + self.starts);
        (self.bolts, self.feedback) = (Vec::new(), Vec::new());
        (self.events, self.advertising, self.closed) = (Vec::new(), Vec::new(), Vec::new());
        (self.notified, self.transmitted) = (Vec::new(), Vec::new());
        self.input(Input::Deadline);
        if self.options.set_time {
            self.input(Input::Maintenance(Maintenance::SetTime(NOW)));
        }
    }

    pub fn input(&mut self, input: Input<'_>) {
        let Self { reader, bolts, feedback, events, advertising, closed, deadline, notified, transmitted, .. } = self;
        let mut sink = |action: Action<'_>| match action {
            Action::Advertise(next) => advertising.push(*next),
            Action::Notify { link, value } => notified.push((link, value.to_vec())),
            Action::Close { link } => closed.push(link),
            Action::Transmit { apdu } => transmitted.push(apdu.to_vec()),
            Action::NfcRelease => transmitted.clear(),
            Action::Bolt(command) => bolts.push(command),
            Action::Feedback(next) => feedback.push(next),
            Action::Deadline(next) => *deadline = next,
            Action::Event(event) => events.push(event),
        };
        reader.handle(self.now, input, &mut sink);
        assert_eq!(self.deadline, self.reader.next_deadline(), "the deadline is always told");
    }

    /// Lets time pass, serving every deadline on the way.
    pub fn pass(&mut self, milliseconds: u64) {
        let end = Uptime(self.now.0 + milliseconds);
        let mut steps = 0;
        while let Some(at) = self.deadline.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.input(Input::Deadline);
            steps += 1;
            assert!(steps < 10_000, "the lock polls");
        }
        self.now = end;
    }

    pub fn unix(&self) -> UnixTime {
        UnixTime(NOW.0 + u32::try_from(self.now.0 / 1_000).unwrap())
    }

    pub fn phone(&self, seed: u64) -> Phone {
        let anchor = self.reader.config().unwrap().anchor;
        let mut phone = Phone::new(seed, anchor);
        phone.now = self.unix();
        phone
    }

    /// A phone with a key for the lock.
    pub fn member(&mut self, seed: u64) -> Phone {
        let mut phone = self.phone(seed);
        self.grant(&mut phone, 42, access_data(seed));
        phone
    }

    /// Gives a phone a key.
    pub fn grant(&mut self, phone: &mut Phone, iteration: u32, data: AccessData) {
        let validity = self.validity(iteration);
        self.grant_with(phone, validity, &[("l002a", data)]);
    }

    pub fn grant_with(&mut self, phone: &mut Phone, validity: IssuedValidity, elements: &[(&str, AccessData)]) {
        let elements: Vec<AccessElement<'_>> =
            elements.iter().map(|(name, data)| AccessElement { name, random: [5; 16], data: *data }).collect();
        let document = AccessDocument { device_key: &phone.device_key(), validity, elements: &elements };
        phone.documents = vec![self.issuer.access_document(&self.crypto, &document).unwrap()];
        phone.access_signed = Some(validity.signed);
    }

    pub fn validity(&self, iteration: u32) -> IssuedValidity {
        let now = self.unix().0;
        IssuedValidity {
            signed: UnixTime(now - 60),
            valid_from: UnixTime(now - 60),
            valid_until: UnixTime(now + 48 * 3_600),
            iteration,
            time_verification_required: true,
        }
    }

    /// Gives a phone a revocation document.
    pub fn revoke(&mut self, carrier: &mut Phone, iteration: u32, entries: &[RevocationEntry]) {
        let validity = IssuedValidity { signed: self.unix(), valid_from: self.unix(), ..self.validity(iteration) };
        let document = RevocationDocument { validity, random: [6; 16], entries };
        carrier.revocation = Some(self.issuer.revocation_document(&self.crypto, &document).unwrap());
        carrier.revocation_signed = Some(validity.signed);
    }

    pub fn entry(&self, phone: &Phone) -> RevocationEntry {
        let key_hash = self.crypto.sha256(&[phone.device_key().as_bytes()]);
        RevocationEntry { key_hash: Some(key_hash), access_id: None, expires: None }
    }

    pub fn time_token(&mut self, group: GroupId, time: UnixTime) -> Vec<u8> {
        let token = TimeToken { group, time, expires: UnixTime(time.0 + 86_400), serial: [1; 8] };
        self.issuer.time_token(&token).unwrap()
    }

    pub fn connect(&mut self, address: u8, mtu: u16) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.input(Input::Connected { link, address: Address([address; 6]), mtu });
        link
    }

    pub fn write(&mut self, link: LinkId, value: &[u8]) {
        self.input(Input::Received { link, value });
    }

    pub fn notified(&mut self, link: LinkId) -> Vec<Vec<u8>> {
        let (own, others) = std::mem::take(&mut self.notified).into_iter().partition(|(to, _)| *to == link);
        self.notified = others;
        let own: Vec<(LinkId, Vec<u8>)> = own;
        own.into_iter().map(|(_, value)| value).collect()
    }

    /// One press over Bluetooth.
    pub fn press(&mut self, phone: &mut Phone, intent: Intent) -> Log {
        let press = phone.press(intent);
        self.press_with(phone, press, 185, &mut |_, _| {})
    }

    /// One press over Bluetooth, with a hook on every message. An emptied message is lost, and the link with it.
    pub fn press_with(&mut self, phone: &mut Phone, press: PressInfo, mtu: u16, hook: Hook<'_>) -> Log {
        let mut log = Log::default();
        phone.now = self.unix();
        let link = self.connect(phone.device_key().0[1], mtu);
        let (mut down, mut up) = (Reassembler::new(), Fragmenter::new(mtu));
        let mut buffer = vec![0; 2_048];
        let (opened, len) = Opened::initiate(phone.initiator(press), &mut buffer).unwrap();
        let mut message = buffer[..len].to_vec();
        let mut state = Some(State::Opened(opened));
        loop {
            hook(true, &mut message);
            if message.is_empty() {
                self.input(Input::Disconnected { link });
                return log;
            }
            if log.verdict.is_none() || log.messages.len() % 2 == 0 {
                log.messages.push(message.len());
            }
            for value in up.split(&message).collect::<Vec<_>>() {
                self.write(link, &value);
            }
            let mut next = None;
            for value in self.notified(link) {
                let Some(message) = down.push(&value).unwrap() else { continue };
                let mut message = message.to_vec();
                hook(false, &mut message);
                if message.is_empty() {
                    self.input(Input::Disconnected { link });
                    return log;
                }
                if log.verdict.is_none() {
                    log.messages.push(message.len());
                }
                let (kind, command) = message::parse_mut(&mut message).unwrap();
                match (kind, state.take()) {
                    (Kind::Command, Some(current)) => match phone.answer(current, command, &mut log) {
                        Ok((following, response)) => {
                            state = Some(following);
                            let len = message::encode(&mut buffer, Kind::Response, &response).unwrap();
                            next = Some(buffer[..len].to_vec());
                        }
                        Err(error) => {
                            log.error = Some(error);
                            let len = message::encode(&mut buffer, Kind::Response, &error.response()).unwrap();
                            next = Some(buffer[..len].to_vec());
                        }
                    },
                    (Kind::Event, _) => log.events.push(message::Event::parse(command).unwrap()),
                    (_, _) => {}
                }
            }
            match next {
                Some(following) => message = following,
                None => break,
            }
        }
        log.closed = self.closed.contains(&link);
        if !log.closed {
            self.input(Input::Disconnected { link });
        }
        log
    }

    /// One tap.
    pub fn tap(&mut self, phone: &mut Phone, intent: Intent) -> Log {
        let mut log = Log::default();
        phone.now = self.unix();
        let press = phone.press(intent);
        let mut state = Some(State::Waiting(Waiting::new(phone.initiator(press))));
        let mut chain = PhoneChain::<2_100>::new();
        self.transmitted.clear();
        self.input(Input::NfcArrived);
        while !self.transmitted.is_empty() {
            let apdu = self.transmitted.remove(0);
            log.messages.push(apdu.len());
            let mut out = vec![0; 300];
            let ins = apdu[1];
            let len = match chain.receive(&apdu, &mut out) {
                Received::Answered(len) => {
                    log.apdus.push(ins);
                    len
                }
                Received::Over(status) => {
                    out[..2].copy_from_slice(&status.to_bytes());
                    2
                }
                Received::Command(command) => {
                    let Some(current) = state.take() else { break };
                    let response = match phone.answer(current, command, &mut log) {
                        Ok((following, response)) => {
                            state = Some(following);
                            response
                        }
                        Err(error) => {
                            let status = error.response().to_vec();
                            log.error = Some(error);
                            status
                        }
                    };
                    chain.respond(&response, &mut out).unwrap()
                }
            };
            log.messages.push(len);
            self.input(Input::NfcResponse { apdu: &out[..len] });
        }
        log
    }
}

/// Access for any time: momentary unlock, at this site.
pub fn access_data(seed: u64) -> AccessData {
    AccessData {
        access_id: AccessId::from_slice(&seed.to_be_bytes()),
        rules: Rules { rules: List::from_slice(&[rule(0x08)]).unwrap(), schedules: List::new() },
        reader_rules: false,
        restrictions: Restrictions { site: Some(GROUP), ..Restrictions::default() },
    }
}

pub fn rule(capabilities: u8) -> Rule {
    Rule { capabilities: Capabilities(capabilities), allow: None, deny: None }
}

/// Weekdays 07:00 to 19:00 UTC, as in the worked transaction.
pub fn weekly(data: AccessData) -> AccessData {
    let schedule = Schedule {
        start: UnixTime(0x70D3_0070),
        end: Some(UnixTime(0x7149_A770)),
        recurrence: Some(Recurrence::weekly(43_200, 0x1F)),
        utc: true,
    };
    AccessData {
        rules: Rules {
            rules: List::from_slice(&[Rule { allow: Some(Mask(1)), ..rule(0x0A) }]).unwrap(),
            schedules: List::from_slice(&[schedule]).unwrap(),
        },
        ..data
    }
}

fn start(
    store: &TestStore,
    options: &LockOptions,
    issuer: &DocumentIssuer<RustSigner>,
    other: &DocumentIssuer<RustSigner>,
    audit_key: PublicKey,
    uptime: Uptime,
    seed: u64,
) -> TestReader {
    let signer_key = signer(30);
    let mut certificate = [0; COMPRESSED_MAX];
    let request = CertificateRequest {
        serial: &[0x2A],
        issuer: "82828282",
        subject: "d7d7d7d7",
        not_before: UnixTime(1_577_836_800),
        not_after: UnixTime(2_493_072_000),
        key: &signer_key.public_key(),
    };
    let len = issue(&mut signer(20), &request, &mut certificate).unwrap();
    let kept = |issuer: &DocumentIssuer<RustSigner>| Issuer {
        kid: issuer.kid(),
        key: issuer.public_key(),
        access_iteration: 40,
        revocation_iteration: 8,
    };
    let issuers = if options.second_issuer { vec![kept(issuer), kept(other)] } else { vec![kept(issuer)] };
    let config = LockConfig {
        group: GROUP,
        sub: SUB,
        number: LockNumber(42),
        group_resolving_key: GroupResolvingKey::new([9; 16]),
        anchor: if options.without_certificate { signer_key.public_key() } else { signer(20).public_key() },
        certificate: (!options.without_certificate).then(|| Buf::from_slice(&certificate[..len]).unwrap()),
        issuers: List::from_slice(&issuers).unwrap(),
        elements: List::from_slice(&options.elements).unwrap(),
        audit_key: Some(audit_key),
        claimed_at: UnixTime(NOW.0 - 3_600),
        policy: options.policy,
        documents: options.documents,
        profile: options.profile,
    };
    let env = Env { crypto: crypto(seed), signer: signer_key, store: store.clone() };
    Reader::new(Box::new(Memory::new()), env, Some(config), Boot { uptime, retained_clock: None }).unwrap()
}
