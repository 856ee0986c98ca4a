//! The lock's half needs no heap: a counting allocator watches it through whole transactions.
//!
//! A test binary of its own, because the allocator counts for the whole program.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;

use keybutton_lock::{
    Action, Address, Boot, Input, LinkId, Maintenance, Memory, Reader, Uptime,
    env::{BoltCommand, Env},
    store::MemoryStore,
};
use keybutton_protocol::{
    crypto::rustcrypto::RustSigner,
    exchange::SyncKind,
    frame::{Fragmenter, Reassembler},
    ids::{Intent, Interface, UnixTime},
    message::{self, Kind},
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::reason,
    cbor::{Value, head},
    document::RevokedSpec,
    keys::{LockCrypto, seeded_crypto},
    raw_phone::RawPhone,
    site::{Member, NOW, Site},
    talk::Pieces,
};

type Store = MemoryStore<32, 64, 64, 64>;

/// A lock in its places, with a counter of what it took from the heap.
struct Lock {
    reader: Reader<Box<Memory<LockCrypto>>, LockCrypto, RustSigner, Store>,
    sink: Sink,
    now: Uptime,
    allocations: u64,
}

/// What the lock did. Has all its room beforehand.
struct Sink {
    bytes: Vec<u8>,
    values: Vec<Range<usize>>,
    transmitted: Option<Range<usize>>,
    closed: bool,
    openings: usize,
}

impl Sink {
    fn take(&mut self, action: Action<'_>) {
        let keep = |bytes: &mut Vec<u8>, new: &[u8]| {
            let start = bytes.len();
            bytes.extend_from_slice(new);
            start..bytes.len()
        };
        match action {
            Action::Notify { value, .. } => self.values.push(keep(&mut self.bytes, value)),
            Action::Transmit { apdu } => self.transmitted = Some(keep(&mut self.bytes, apdu)),
            Action::Close { .. } | Action::NfcRelease => self.closed = true,
            Action::Bolt(BoltCommand::Open(_) | BoltCommand::HoldOpen) => self.openings += 1,
            Action::Bolt(BoltCommand::Secure)
            | Action::Advertise(_)
            | Action::Feedback(_)
            | Action::Deadline(_)
            | Action::Event(_) => {}
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.values.clear();
        self.transmitted = None;
    }
}

impl Lock {
    fn new(site: &Site) -> Self {
        let mut config = site.lock_config(7);
        config.audit_key = Some(site.audit_key().1);
        let env = Env { crypto: seeded_crypto(1), signer: site.reader_key(7), store: Store::new() };
        let memory = Box::new(Memory::new());
        let mut started = None;
        let info = allocation_counter::measure(|| {
            started = Reader::new(memory, env, Some(config), Boot::default()).ok();
        });
        let sink = Sink {
            bytes: Vec::with_capacity(65_536),
            values: Vec::with_capacity(512),
            transmitted: None,
            closed: false,
            openings: 0,
        };
        let mut lock = Self { reader: started.unwrap(), sink, now: Uptime(0), allocations: info.count_total };
        lock.input(Input::Deadline);
        lock.input(Input::Maintenance(Maintenance::SetTime(NOW)));
        lock
    }

    fn input(&mut self, input: Input<'_>) {
        let Self { reader, sink, now, .. } = self;
        let info = allocation_counter::measure(|| {
            reader.handle(*now, input, &mut |action: Action<'_>| sink.take(action));
            reader.prepare();
        });
        self.allocations += info.count_total;
    }

    fn wait(&mut self, seconds: u64) {
        let end = Uptime(self.now.0 + seconds * 1_000);
        while let Some(due) = self.reader.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Deadline);
        }
        self.now = end;
    }

    fn over_ble(&mut self, phone: &mut RawPhone) {
        let (mut out, mut back) = (Fragmenter::new(185), Reassembler::new());
        let link = LinkId(3);
        self.sink.clear();
        self.sink.closed = false;
        self.input(Input::Connected { link, address: Address([1; 6]), mtu: 185 });
        let mut message = vec![0; 300];
        let len = message::initiate(&mut message, phone.a5_on_air()).unwrap();
        message.truncate(len);
        loop {
            let values: Vec<_> = out.split(&message).collect();
            for value in &values {
                self.input(Input::Received { link, value });
            }
            let mut command = None;
            for range in std::mem::take(&mut self.sink.values) {
                if let Some(whole) = back.push(&self.sink.bytes[range]).unwrap() {
                    command = Some(whole.to_vec());
                }
            }
            self.sink.values = Vec::with_capacity(512);
            self.sink.bytes.clear();
            let Some(command) = command else { break };
            let (kind, payload) = message::parse(&command).unwrap();
            if kind != Kind::Command {
                break;
            }
            let response = phone.answer(Interface::Ble, payload).unwrap();
            message = vec![0; response.len() + 4];
            message::encode(&mut message, Kind::Response, &response).unwrap();
        }
        if !self.sink.closed {
            self.input(Input::Disconnected { link });
        }
    }

    fn over_nfc(&mut self, phone: &mut RawPhone) {
        let mut pieces = Pieces::default();
        self.sink.clear();
        self.sink.closed = false;
        self.input(Input::NfcArrived);
        while let Some(range) = self.sink.transmitted.take() {
            let apdu = self.sink.bytes[range].to_vec();
            self.sink.bytes.clear();
            let Some(answer) = pieces.answer(&apdu, |whole| phone.answer(Interface::Nfc, whole)) else { break };
            self.input(Input::NfcResponse { apdu: &answer });
        }
        self.input(Input::NfcLost);
    }
}

#[test]
fn a_lock_takes_nothing_from_the_heap() {
    let site = Site::new("north");
    let mut lock = Lock::new(&site);
    assert_eq!(lock.allocations, 0, "by starting");

    // First opening with documents, a revocation, and everything that may follow the verdict.
    let mut ada = RawPhone::new(&site, &Member::new("ada"), 1);
    ada.documents.push(site.revocation(3, &[RevokedSpec::id(b"somebody")]));
    ada.revocation_signed = Some(UnixTime(NOW.0 - 7_197));
    ada.objects =
        vec![(SyncKind::TimeToken, site.time_token(NOW)), (SyncKind::AckToken, site.ack_token(7, 1, &[0; 32]))];
    lock.over_ble(&mut ada);
    assert_eq!(reason(&ada), Some(Reason::Granted));
    assert_eq!((lock.sink.openings, ada.seen.envelopes.len()), (1, 1), "the audit is handed over as well");
    assert_eq!(lock.allocations, 0, "by a first opening");

    // Known, fast, by tap, refused, and two hours later.
    lock.wait(7_200);
    ada.press(Intent::Unlock);
    lock.over_ble(&mut ada);
    assert!(!ada.seen.instructions.contains(&0x81), "by the fast phase");
    lock.wait(61);
    ada.kpersistent = None;
    ada.press(Intent::Unlock);
    lock.over_ble(&mut ada);
    assert!(!ada.seen.instructions.contains(&0xC3), "known");
    lock.wait(61);
    let mut grace = RawPhone::new(&site, &Member::new("grace"), 2);
    lock.over_nfc(&mut grace);
    assert_eq!(reason(&grace), Some(Reason::Granted));
    assert_eq!(lock.sink.openings, 4);
    let mut stranger = RawPhone::new(&site, &Member::new("stranger"), 3);
    stranger.documents.clear();
    lock.over_ble(&mut stranger);
    assert_eq!(reason(&stranger), Some(Reason::KeyUnknown));
    assert_eq!(lock.allocations, 0, "by known keys, fast phase, tap and refusal");

    // Claimed lengths allocate nothing either (L_CBOR).
    for major in [2, 3, 4, 5] {
        let mut claimed = Vec::new();
        head(&mut claimed, major, u64::from(u32::MAX));
        let mut phone = RawPhone::new(&site, &Member::new("claims"), u64::from(major));
        phone.device_response = Some(
            Value::text_map(vec![("1", Value::text("1.0")), ("2", Value::Raw(claimed)), ("3", Value::Uint(0))])
                .encode(),
        );
        lock.over_ble(&mut phone);
        assert_eq!(reason(&phone), Some(Reason::BadData));
        lock.wait(11);
    }
    assert_eq!(lock.allocations, 0, "by claimed lengths");
    // The counter counts.
    assert!(allocation_counter::measure(|| drop(vec![1_u8; 10])).count_total > 0);
}
