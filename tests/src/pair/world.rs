//! Phones and locks on one virtual clock: links with latency, retransmission, an MTU and a breaking point.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
};

use keybutton::{
    radio::{Advertisement, PeripheralId, RadioError},
    unlock::{Input as PhoneInput, UnlockOptions},
};
use keybutton_lock::{
    Address, Input as LockInput, LinkId, Uptime,
    env::{BoltCommand, BoltEvent},
};
use keybutton_protocol::{
    advert::ServiceData,
    frame::{Fragmenter, Reassembler},
    ids::UnlockId,
    message::HEADER_LEN,
};

use super::{
    air::{Conditions, Direction, MessageTamper, Traffic, ValueTamper},
    lock::{Did, TestLock},
    phone::{TestPhone, Wants},
    rng::SeededRng,
};

/// How often a lock advertises, microseconds.
const ADVERTISING_US: u64 = 100_000;
/// What a retransmission costs, microseconds: one connection interval.
const INTERVAL_US: u64 = 30_000;

/// The world.
pub struct World {
    /// The phones.
    pub phones: Vec<TestPhone>,
    /// The locks.
    pub locks: Vec<TestLock>,
    /// What the air does.
    pub conditions: Conditions,
    /// What went over the air since the last [`World::reset_traffic`].
    pub traffic: Traffic,
    /// Changes messages.
    pub tamper_messages: Option<MessageTamper>,
    /// Changes values.
    pub tamper_values: Option<ValueTamper>,
    /// How loud a phone hears a lock, dBm; -50 where nothing is said.
    pub rssi: BTreeMap<(usize, usize), i8>,
    /// How many links were open at a lock at once, at most.
    pub most_links: usize,
    now: u64,
    links: BTreeMap<u16, Link>,
    next_link: u16,
    queue: BinaryHeap<Reverse<Event>>,
    serial: u64,
    scanning: Vec<bool>,
    next_advertisement: u64,
    rng: SeededRng,
    cut_done: bool,
}

struct Link {
    phone: usize,
    lock: usize,
    open_at_lock: bool,
    open_at_phone: bool,
    relays: [Relay; 2],
    /// When the last value of each direction arrives: values keep their order.
    busy_until: [u64; 2],
}

/// Puts the values of one direction together and cuts them anew, so that whole messages can be counted and changed.
struct Relay {
    back: Reassembler,
    out: Fragmenter,
}

#[derive(Debug)]
struct Event {
    at: u64,
    serial: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    PhoneGets(usize, PhoneInput),
    LinkUp {
        link: u16,
        mtu: u16,
    },
    Value {
        link: u16,
        direction: Direction,
        value: Vec<u8>,
    },
    /// The link ends for the side that has not ended it.
    Gone {
        link: u16,
        to: Direction,
    },
    Bolt {
        lock: usize,
        event: BoltEvent,
    },
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.serial) == (other.at, other.serial)
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

impl World {
    /// Puts phones and locks together.
    pub fn new(phones: Vec<TestPhone>, locks: Vec<TestLock>) -> Self {
        let now = locks.iter().map(|lock| lock.now().0 * 1_000).max().unwrap_or_default();
        Self {
            scanning: vec![false; phones.len()],
            phones,
            locks,
            conditions: Conditions::default(),
            traffic: Traffic::default(),
            tamper_messages: None,
            tamper_values: None,
            rssi: BTreeMap::new(),
            most_links: 0,
            now,
            links: BTreeMap::new(),
            next_link: 1,
            queue: BinaryHeap::new(),
            serial: 0,
            next_advertisement: now,
            rng: SeededRng::new(1),
            cut_done: false,
        }
    }

    /// Somebody comes along.
    pub fn add_phone(&mut self, phone: TestPhone) {
        self.phones.push(phone);
        self.scanning.push(false);
    }

    /// Another seed for what the air loses.
    pub fn seed(&mut self, seed: u64) {
        self.rng = SeededRng::new(seed);
    }

    /// The time, microseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Forgets what went over the air so far.
    pub fn reset_traffic(&mut self) {
        self.traffic = Traffic::default();
        self.cut_done = false;
    }

    /// A member presses.
    pub fn press(&mut self, phone: usize, id: UnlockId, options: UnlockOptions) {
        let wants = self.phones[phone].press(self.now, id, options);
        self.carry_out(phone, wants);
    }

    /// A member presses, and everything goes its way until nobody has anything to do.
    pub fn open(&mut self, phone: usize, id: UnlockId, options: UnlockOptions) {
        self.press(phone, id, options);
        self.drive();
    }

    /// Runs until no phone has anything to do any more. A press ends within its deadline, so this ends.
    #[track_caller]
    pub fn drive(&mut self) {
        let end = self.now + 120_000_000;
        while self.phones.iter().any(|phone| !phone.over) || !self.queue.is_empty() {
            assert!(self.now < end, "a press does not end");
            self.turn();
        }
    }

    /// Lets time pass with nobody pressing.
    pub fn wait(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.next_at().is_some_and(|at| at <= end) {
            self.turn();
        }
        self.now = end;
        for lock in &mut self.locks {
            lock.set_now(Uptime(end / 1_000));
        }
    }

    fn next_at(&self) -> Option<u64> {
        let queue = self.queue.peek().map(|Reverse(event)| event.at);
        let locks = self.locks.iter().filter_map(|lock| lock.next_deadline()).map(|due| due.0 * 1_000).min();
        let phones = self.phones.iter().filter(|phone| !phone.over).filter_map(TestPhone::next_timer).min();
        let scan = self.scanning.iter().any(|scanning| *scanning).then_some(self.next_advertisement);
        [queue, locks, phones, scan].into_iter().flatten().min()
    }

    /// The next thing that happens.
    fn turn(&mut self) {
        let Some(at) = self.next_at() else {
            // Nothing is due, and a phone is not over: that is a hang.
            let hanging = self.phones.iter().position(|phone| !phone.over);
            let log = hanging.map(|phone| self.phones[phone].log.clone());
            panic!("phone {hanging:?} waits for nothing: {log:#?}");
        };
        self.now = self.now.max(at);
        if self.queue.peek().is_some_and(|Reverse(event)| event.at <= self.now) {
            let Some(Reverse(event)) = self.queue.pop() else { return };
            return self.happen(event.what);
        }
        for lock in 0..self.locks.len() {
            if self.locks[lock].next_deadline().is_some_and(|due| due.0 * 1_000 <= self.now) {
                return self.tell_lock(lock, LockInput::Deadline);
            }
        }
        for phone in 0..self.phones.len() {
            let due = self.phones[phone].next_timer().is_some_and(|due| due <= self.now);
            if due && !self.phones[phone].over {
                return self.tell_phone(phone, PhoneInput::Timer);
            }
        }
        self.advertise();
    }

    fn happen(&mut self, what: What) {
        match what {
            What::PhoneGets(phone, input) => self.tell_phone(phone, input),
            What::LinkUp { link, mtu } => self.link_up(link, mtu),
            What::Value { link, direction, value } => self.arrive(link, direction, &value),
            What::Gone { link, to } => self.gone(link, to),
            What::Bolt { lock, event } => self.tell_lock(lock, LockInput::Bolt(event)),
        }
    }

    fn later(&mut self, at: u64, what: What) {
        self.serial += 1;
        self.queue.push(Reverse(Event { at, serial: self.serial, what }));
    }

    fn advertise(&mut self) {
        self.next_advertisement = self.now + ADVERTISING_US;
        for lock in 0..self.locks.len() {
            let heard = self.locks[lock].log.iter().rev().find_map(|(_, did)| match did {
                Did::Advertise(advertising) => Some(**advertising),
                _ => None,
            });
            let Some(advertising) = heard else { continue };
            // The scan response: length, type 21, UUID, then info, tag and flags.
            let data = ServiceData::parse(&advertising.scan_response[18..]).expect("locks advertise as they should");
            for phone in 0..self.phones.len() {
                if self.scanning[phone] && !self.lost() {
                    let heard = Advertisement {
                        peripheral: peripheral(lock),
                        rssi: self.rssi.get(&(phone, lock)).copied().unwrap_or(-50),
                        tx_power: Some(0),
                        service_data: data.to_bytes().to_vec(),
                    };
                    self.tell_phone(phone, PhoneInput::Heard(heard));
                }
            }
        }
    }

    fn lost(&mut self) -> bool {
        self.conditions.loss_percent > 0 && self.rng.below(100) < self.conditions.loss_percent
    }

    fn tell_phone(&mut self, phone: usize, input: PhoneInput) {
        let wants = self.phones[phone].input(self.now, input);
        self.carry_out(phone, wants);
    }

    /// Carries out what a phone wants of its radio.
    pub fn carry_out(&mut self, phone: usize, wants: Vec<Wants>) {
        for want in wants {
            match want {
                Wants::StartScan => {
                    self.scanning[phone] = true;
                    self.next_advertisement = self.next_advertisement.max(self.now);
                }
                Wants::StopScan => self.scanning[phone] = false,
                Wants::Connect(to) => self.connect(phone, &to),
                Wants::Write(to, value) => {
                    if let Some(link) = self.link_of(phone, &to) {
                        self.carry(link, Direction::ToLock, value);
                    }
                }
                Wants::Disconnect(to) => self.disconnect(phone, &to),
                Wants::AuthenticateUser => {
                    let answer = self.phones[phone].user_answer();
                    self.later(self.now + 1_000_000, What::PhoneGets(phone, answer));
                }
                Wants::Apdu(_) => panic!("there is no reader in this world"),
            }
        }
    }

    fn connect(&mut self, phone: usize, to: &PeripheralId) {
        let lock =
            (0..self.locks.len()).find(|lock| peripheral(*lock) == *to).expect("phones connect to what they hear");
        let at = self.now + 2 * self.conditions.latency_us + INTERVAL_US;
        let too_many = self.conditions.links_at_most.is_some_and(|most| self.next_link > most);
        if too_many || (self.cut_done && self.conditions.cut_for_good) {
            let gone = PhoneInput::Disconnected(to.clone(), RadioError::ConnectFailed);
            return self.later(at, What::PhoneGets(phone, gone));
        }
        let (link, mtu) = (self.next_link, self.conditions.mtu);
        self.next_link += 1;
        let relay = || Relay { back: Reassembler::new(), out: Fragmenter::new(mtu) };
        let new = Link {
            phone,
            lock,
            open_at_lock: false,
            open_at_phone: true,
            relays: [relay(), relay()],
            busy_until: [at; 2],
        };
        self.links.insert(link, new);
        self.later(at, What::LinkUp { link, mtu });
    }

    fn link_up(&mut self, link: u16, mtu: u16) {
        let Some(found) = self.links.get_mut(&link) else { return };
        if !found.open_at_phone {
            return;
        }
        found.open_at_lock = true;
        let (phone, lock) = (found.phone, found.lock);
        let open = self.links.values().filter(|other| other.lock == lock && other.open_at_lock).count();
        self.most_links = self.most_links.max(open);
        let address = Address([phone as u8, 1, 2, 3, 4, 5]);
        self.tell_lock(lock, LockInput::Connected { link: LinkId(link), address, mtu });
        if self.links.get(&link).is_some_and(|found| found.open_at_lock) {
            self.tell_phone(phone, PhoneInput::Connected(peripheral(lock), mtu));
        }
    }

    fn link_of(&self, phone: usize, to: &PeripheralId) -> Option<u16> {
        let found = self
            .links
            .iter()
            .rev()
            .find(|(_, link)| link.phone == phone && link.open_at_phone && peripheral(link.lock) == *to);
        found.map(|(link, _)| *link)
    }

    fn disconnect(&mut self, phone: usize, to: &PeripheralId) {
        let at = self.now + self.conditions.latency_us;
        let found = self.link_of(phone, to);
        if let Some((link, open)) = found.and_then(|link| Some((link, self.links.get_mut(&link)?))) {
            open.open_at_phone = false;
            let after = open.busy_until[0].max(at);
            self.later(after, What::Gone { link, to: Direction::ToLock });
        }
        self.later(at, What::PhoneGets(phone, PhoneInput::Disconnected(to.clone(), RadioError::Closed)));
    }

    /// Sends a value on its way, as a whole message first where one is complete.
    fn carry(&mut self, link: u16, direction: Direction, value: Vec<u8>) {
        let side = direction as usize;
        let Some(found) = self.links.get_mut(&link) else { return };
        let values = match found.relays[side].back.push(&value) {
            Ok(None) => return,
            Ok(Some(message)) => {
                let mut message = message.to_vec();
                let number = self.traffic.messages.len();
                self.traffic.messages.push((direction, message.clone()));
                if let Some(tamper) = &mut self.tamper_messages {
                    tamper(direction, number, &mut message);
                }
                let cut = self.conditions.cut_at_message == Some(number) && !self.cut_done;
                let mut values: Vec<Vec<u8>> =
                    found.relays[side].out.split(&message).map(|value| value.to_vec()).collect();
                if cut {
                    values.pop();
                }
                for value in values {
                    self.send(link, direction, value);
                }
                if cut {
                    self.cut(link);
                }
                return;
            }
            // A sender that breaks the rules is passed on as it is.
            Err(_) => vec![value],
        };
        for value in values {
            self.send(link, direction, value);
        }
    }

    fn send(&mut self, link: u16, direction: Direction, mut value: Vec<u8>) {
        let number = self.traffic.values;
        self.traffic.values += 1;
        if self.conditions.cut_at_value == Some(number) && !self.cut_done {
            return self.cut(link);
        }
        if let Some(tamper) = &mut self.tamper_values {
            tamper(direction, number, &mut value);
        }
        let mut takes = self.conditions.latency_us;
        while self.lost() {
            takes += INTERVAL_US;
        }
        let now = self.now;
        let Some(found) = self.links.get_mut(&link) else { return };
        let at = (now + takes).max(found.busy_until[direction as usize]);
        found.busy_until[direction as usize] = at;
        self.later(at, What::Value { link, direction, value });
    }

    /// Breaks a link for both sides, at once: what is under way is lost.
    fn cut(&mut self, link: u16) {
        self.cut_done = true;
        if let Some(found) = self.links.remove(&link) {
            if found.open_at_lock {
                self.tell_lock(found.lock, LockInput::Disconnected { link: LinkId(link) });
            }
            if found.open_at_phone {
                let gone = PhoneInput::Disconnected(peripheral(found.lock), RadioError::LinkLost);
                self.later(self.now, What::PhoneGets(found.phone, gone));
            }
        }
    }

    fn arrive(&mut self, link: u16, direction: Direction, value: &[u8]) {
        let Some(found) = self.links.get(&link) else { return };
        match direction {
            Direction::ToLock if found.open_at_lock => {
                self.tell_lock(found.lock, LockInput::Received { link: LinkId(link), value });
            }
            Direction::ToPhone if found.open_at_phone => {
                let (phone, from) = (found.phone, peripheral(found.lock));
                self.tell_phone(phone, PhoneInput::Value(from, value.to_vec()));
            }
            Direction::ToLock | Direction::ToPhone => {}
        }
    }

    fn gone(&mut self, link: u16, to: Direction) {
        let Some(found) = self.links.get_mut(&link) else { return };
        match to {
            Direction::ToLock => {
                if std::mem::take(&mut found.open_at_lock) {
                    let lock = found.lock;
                    self.tell_lock(lock, LockInput::Disconnected { link: LinkId(link) });
                }
            }
            Direction::ToPhone => {
                if std::mem::take(&mut found.open_at_phone) {
                    let (phone, from) = (found.phone, peripheral(found.lock));
                    self.tell_phone(phone, PhoneInput::Disconnected(from, RadioError::LinkLost));
                }
            }
        }
        self.links.retain(|_, link| link.open_at_lock || link.open_at_phone);
    }

    fn tell_lock(&mut self, lock: usize, input: LockInput<'_>) {
        self.locks[lock].set_now(Uptime(self.now / 1_000));
        let position = self.locks[lock].input(input);
        let did: Vec<Did> = self.locks[lock].since(position).cloned().collect();
        let verdict = did.iter().any(|did| matches!(did, Did::Event(keybutton_lock::Event::Verdict { .. })));
        if verdict {
            let passed = self.traffic.messages.len();
            self.traffic.at_verdict.get_or_insert(passed);
        }
        for did in did {
            match did {
                Did::Notify(link, value) => self.carry(link.0, Direction::ToPhone, value),
                Did::Close(link) => {
                    if let Some(found) = self.links.get_mut(&link.0) {
                        found.open_at_lock = false;
                        let at = found.busy_until[1].max(self.now + self.conditions.latency_us);
                        self.later(at, What::Gone { link: link.0, to: Direction::ToPhone });
                    }
                }
                Did::Bolt(command) => {
                    let event = match command {
                        BoltCommand::Open(_) | BoltCommand::HoldOpen => BoltEvent::Withdrawn,
                        BoltCommand::Secure => BoltEvent::Secured,
                    };
                    self.later(self.now + self.conditions.bolt_us, What::Bolt { lock, event });
                }
                Did::Transmit(_) | Did::NfcRelease | Did::Advertise(_) | Did::Feedback(_) | Did::Event(_) => {}
            }
        }
    }
}

/// How phones name a lock.
pub fn peripheral(lock: usize) -> PeripheralId {
    PeripheralId(format!("lock-{lock}"))
}

/// The payload of a message.
pub fn payload(message: &[u8]) -> &[u8] {
    message.get(HEADER_LEN..).unwrap_or_default()
}
