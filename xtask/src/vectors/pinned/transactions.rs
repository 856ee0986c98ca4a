//! Whole transactions over BLE, both halves at once: a first opening, a known key, the fast phase, a denied press.

use keybutton_protocol::{
    buf::Buf,
    crypto::{Crypto, Signer},
    exchange::{Reply, Request},
    frame::Fragmenter,
    ids::{Intent, Interface, Kpersistent, ReaderId, TransactionId, UnixTime, UnlockId},
    initiator::{self, Auth0Next, Env, Exchanged, LockTrust, Phone, SecuredNext},
    keys::{self, ChannelKeys, Kdh, Transcript},
    message::{self, Kind},
    profile::{Profile, UserPolicy},
    reader::{self, Prepared, Setup},
    verdict::{AuditHead, ClockState, LockFlags, MAX_VERDICT, Reason, Report, Verdict},
};

use super::{
    Numbers, documents,
    identities::{NOW, bytes, crypto, crypto_with, private, public, reader, signer},
};

/// One transaction: what went over the air, and what stands behind it.
#[derive(Default)]
pub(super) struct Run {
    pub(super) name: &'static str,
    messages: Vec<(String, Vec<u8>)>,
    given: Numbers,
    keys: Numbers,
    documents: Numbers,
    verdict: Vec<u8>,
    persistent: Option<Kpersistent>,
}

/// What makes one transaction different from another.
struct Press {
    name: &'static str,
    unlock_id: UnlockId,
    reason: Reason,
    step_up: bool,
    fast: Option<Kpersistent>,
}

/// Runs all of them, the first opening first.
pub(super) fn all() -> Vec<Run> {
    let opening = |name, label, reason, step_up, fast| {
        run(&Press { name, unlock_id: UnlockId(bytes(label)), reason, step_up, fast })
    };
    let first = opening("first-opening", "first unlock id", Reason::Granted, true, None);
    let known = opening("known-key", "known unlock id", Reason::Granted, false, None);
    let fast = opening("fast", "fast unlock id", Reason::Granted, false, first.persistent.clone());
    let denied = opening("denied", "denied unlock id", Reason::OutsideSchedule, false, None);
    vec![first, known, fast, denied]
}

/// Every reason's verdict.
pub(super) fn verdicts() -> Numbers {
    let verdict = |reason: Reason| {
        let mut out = [0; MAX_VERDICT];
        let len = verdict(reason, UnlockId(bytes("first unlock id"))).encode(&mut out).unwrap();
        out[..len].to_vec()
    };
    Reason::ALL.into_iter().fold(Numbers::default(), |numbers, reason| numbers.bytes(reason.name(), verdict(reason)))
}

impl Run {
    pub(super) fn numbers(&self) -> Numbers {
        self.given
            .clone()
            .and(self.keys.clone())
            .and(self.documents.clone())
            .bytes("verdict plaintext", &self.verdict)
            .list("messages", self.messages.clone())
            .value("bytes", self.bytes())
    }

    /// The bytes of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.messages.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    pub(super) fn keys(&self) -> Numbers {
        self.given.clone().and(self.keys.clone())
    }

    pub(super) fn step_up(&self) -> Numbers {
        self.documents.clone()
    }

    pub(super) fn messages(&self) -> Numbers {
        Numbers::default().list("messages", self.messages.clone())
    }

    /// The first message in ATT values of the smallest MTU.
    pub(super) fn fragments(&self) -> Numbers {
        let mut fragmenter = Fragmenter::new(23);
        let values = fragmenter.split(&self.messages[0].1).map(|value| value.to_vec());
        let values = values.enumerate().map(|(index, value)| (format!("Initiate, ATT value {}", index + 1), value));
        Numbers::default().list("fragments", values.collect())
    }
}

fn verdict(reason: Reason, unlock_id: UnlockId) -> Verdict {
    let head = documents::audit().head;
    let granted = reason == Reason::Granted;
    let report = Report {
        lock_time: Some(NOW),
        clock: ClockState::Running,
        battery: Some(87),
        flags: LockFlags(0),
        time_open: if granted { 50 } else { 0 },
        ..Report::new(reason, unlock_id, AuditHead { number: head.number, hash: head.hash })
    };
    Verdict::of_report(report, false)
}

/// The air: keeps every message, hands over what is in it.
#[derive(Default)]
struct Air(Vec<(String, Vec<u8>)>);

impl Air {
    fn carry(&mut self, name: &str, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut out = [0; 2_100];
        let len = message::encode(&mut out, kind, payload).unwrap();
        self.0.push((name.to_owned(), out[..len].to_vec()));
        payload.to_vec()
    }
}

fn run(press: &Press) -> Run {
    let label = |what: &str| format!("{} {what}", press.name);
    let (lock_ephemeral, phone_ephemeral) = (private(&label("lock ephemeral")), private(&label("phone ephemeral")));
    let transaction = bytes::<16>(&label("transaction identifier"));
    let mut lock_crypto = crypto_with(&[&lock_ephemeral, &transaction]);
    // A phone without a secret for the lock draws a random one for its cryptogram; none of these does.
    let mut phone_crypto = crypto_with(&[&phone_ephemeral]);
    let certificate = documents::compressed_certificate();
    let setup = Setup {
        profile: &Profile::PRODUCT,
        reader: reader(),
        anchor: public("site ca"),
        certificate: Some(&certificate),
    };
    let trust = |id: &ReaderId| {
        (*id == reader()).then(|| LockTrust {
            anchor: public("site ca"),
            bind_subject: true,
            persistent: press.fast.clone(),
            access_signed: Some(UnixTime(NOW.0 - 3_600)),
            revocation_signed: None,
            user_auth_required: false,
        })
    };
    let phone = Phone {
        profile: Profile::PRODUCT,
        device_key: public("device"),
        press: keybutton_protocol::a5::PressInfo::new(press.unlock_id, Intent::Unlock),
        limits: None,
    };
    let (mut air, mut out) = (Air::default(), [0; 2_100]);

    let (phone, len) = initiator::Opened::initiate(phone, &mut out).unwrap();
    air.0.push(("phone: Initiate".into(), out[..len].to_vec()));
    let opened = reader::Opened::from_initiate(message::parse(&out[..len]).unwrap().1).unwrap();
    let a5 = opened.a5().bytes().clone();

    let prepared = Prepared::new(&mut lock_crypto).unwrap();
    let asks_fast = press.fast.is_some();
    let (lock, len) = opened.auth0(&setup, prepared, asks_fast, UserPolicy::PhoneSetting, &mut out).unwrap();
    let command = air.carry("lock: AUTH0", Kind::Command, &out[..len]);
    let mut env = Env { crypto: &mut phone_crypto, trust: &trust, now: NOW, user_authenticated: false };
    let (phone, len) = phone.auth0(&mut env, &command, &mut out).unwrap();
    let response = air.carry("phone: AUTH0 answer", Kind::Response, &out[..len]);
    let lock = lock.response(&lock_crypto, &response).unwrap();

    let transcript = Transcript {
        anchor_x: public("site ca").x(),
        reader: reader(),
        interface: Interface::Ble,
        version: [1, 0],
        lock_ephemeral: public(&label("lock ephemeral")),
        device_ephemeral: public(&label("phone ephemeral")),
        transaction: TransactionId(transaction),
        parameters: u8::from(asks_fast),
        policy: 1,
        a5,
        extensions: Buf::new(),
    };
    let given = Numbers::default()
        .bytes("lock ephemeral private", lock_ephemeral)
        .bytes("phone ephemeral private", phone_ephemeral)
        .bytes("transaction identifier", transaction)
        .bytes("unlock id", press.unlock_id.as_bytes())
        .bytes("A5", transcript.a5.as_slice());

    let mut plaintext = [0; MAX_VERDICT];
    let len = verdict(press.reason, press.unlock_id).encode(&mut plaintext).unwrap();
    let mut run =
        Run { name: press.name, messages: vec![], given, verdict: plaintext[..len].to_vec(), ..Run::default() };

    let device = public("device");
    let (lock, state) = if let Some(shared) = &press.fast {
        let found = lock.find(&lock_crypto, [(shared, &device)]).unwrap().unwrap();
        let deciding = lock.into_fast(&lock_crypto, found).unwrap();
        run.keys = fast_keys(&transcript, shared);
        let (lock, mut command) = send_verdict(&mut air, &lock_crypto, deciding, press);
        let next = phone.handle(&mut env, &mut command, &mut out).unwrap();
        let Auth0Next::Exchange { state, request } = next else { panic!("not recognised") };
        check_verdict(request, press);
        (lock, state)
    } else {
        let (lock, len) = lock.auth1(&setup, &mut signer("reader"), &mut out).unwrap();
        let mut command = air.carry("lock: AUTH1", Kind::Command, &out[..len]);
        let next = phone.handle(&mut env, &mut command, &mut out).unwrap();
        let Auth0Next::Sign(to_sign) = next else { panic!("nothing to sign") };
        let signature = signer("device").sign(to_sign.data().as_bytes()).unwrap();
        let (mut secured, len) = to_sign.signed(&phone_crypto, &signature, &mut out).unwrap();
        let mut response = air.carry("phone: AUTH1 answer", Kind::Response, &out[..len]);
        let mut lock = lock.response(&mut lock_crypto, &mut response).unwrap();
        (run.keys, run.persistent) = standard_keys(&transcript, &lock_ephemeral, &lock_crypto);
        if press.step_up {
            (lock, secured) = step_up(&mut air, (&lock_crypto, lock), (&phone_crypto, secured), &mut run);
        }
        let (lock, mut command) = send_verdict(&mut air, &lock_crypto, lock, press);
        let next = secured.handle(&phone_crypto, &mut command, &mut out).unwrap();
        let SecuredNext::Exchange { state, request } = next else { panic!("no verdict") };
        check_verdict(request, press);
        (lock, state)
    };
    finish(&mut air, &phone_crypto, &lock_crypto, state, lock);
    run.messages = air.0;
    run
}

/// The lock asks for documents, the phone shows what it has.
fn step_up(
    air: &mut Air,
    (lock_crypto, lock): (&impl Crypto, reader::Deciding),
    (phone_crypto, phone): (&impl Crypto, initiator::Secured),
    run: &mut Run,
) -> (reader::Deciding, initiator::Secured) {
    let (request, shown, mut out) = (documents::device_request(), documents::device_response(), [0; 2_100]);
    let (sent, len) = lock.envelope(lock_crypto, &request, &mut out).unwrap();
    let mut command = air.carry("lock: ENVELOPE", Kind::Command, &out[..len]);
    let next = phone.handle(phone_crypto, &mut command, &mut out).unwrap();
    let SecuredNext::Documents { state, request: asked } = next else { panic!("nothing asked") };
    assert_eq!(asked, request);
    let (secured, len) = state.respond(phone_crypto, &shown, &mut out).unwrap();
    let mut response = air.carry("phone: ENVELOPE answer", Kind::Response, &out[..len]);
    let (lock, opened) = sent.response(lock_crypto, &mut response).unwrap();
    assert_eq!(opened, shown);
    run.documents = Numbers::default().bytes("DeviceRequest", request).bytes("DeviceResponse", shown);
    (lock, secured)
}

type Sent = (reader::ExchangeSent<reader::Decided>, Vec<u8>);

fn send_verdict(air: &mut Air, crypto: &impl Crypto, lock: reader::Deciding, press: &Press) -> Sent {
    let mut out = [0; 512];
    let (sent, len) = lock.verdict(crypto, &verdict(press.reason, press.unlock_id), &mut out).unwrap();
    (sent, air.carry("lock: EXCHANGE", Kind::Command, &out[..len]))
}

fn check_verdict(request: Request<'_>, press: &Press) {
    assert_eq!(request, Request::Verdict(verdict(press.reason, press.unlock_id)));
}

fn finish(
    air: &mut Air,
    phone_crypto: &impl Crypto,
    lock_crypto: &impl Crypto,
    phone: Exchanged,
    lock: reader::ExchangeSent<reader::Decided>,
) {
    let mut out = [0; 512];
    let (_, len) = phone.respond(phone_crypto, Reply::DONE, &mut out).unwrap();
    let mut response = air.carry("phone: EXCHANGE answer", Kind::Response, &out[..len]);
    let (_, reply) = lock.reply(lock_crypto, &mut response).unwrap();
    assert_eq!(reply, Reply::DONE);
}

fn standard_keys(
    transcript: &Transcript,
    lock_ephemeral: &[u8; 32],
    crypto_back: &impl Crypto,
) -> (Numbers, Option<Kpersistent>) {
    let mut agreeing = crypto_with(&[lock_ephemeral]);
    let (own, _) = agreeing.generate_ephemeral().unwrap();
    let z = agreeing.agree(own, &transcript.device_ephemeral).unwrap();
    let kdh = Kdh::derive(crypto_back, &z, &transcript.transaction);
    let standard = keys::standard(crypto_back, transcript, &kdh).unwrap();
    let persistent = keys::persistent(crypto_back, transcript, &kdh, &public("device")).unwrap();
    let numbers = Numbers::default()
        .bytes("Z", z.expose())
        .bytes("Kdh", kdh.expose())
        .bytes("salt Volatile****", transcript.salt_volatile().as_slice())
        .bytes("info", transcript.info().as_slice())
        .and(channel("Expedited", &standard.expedited))
        .and(channel("StepUp", &standard.step_up))
        .and(channel("Ble", &standard.ble))
        .bytes("salt Persistent**", transcript.salt_persistent(&public("device")).as_slice())
        .bytes("Kpersistent", persistent.expose());
    (numbers, Some(persistent))
}

fn fast_keys(transcript: &Transcript, shared: &Kpersistent) -> Numbers {
    let device = public("device");
    let fast = keys::fast(&crypto(), transcript, shared, &device).unwrap();
    Numbers::default()
        .bytes("Kpersistent", shared.expose())
        .bytes("salt VolatileFast", transcript.salt_fast(&device).as_slice())
        .bytes("info", transcript.info().as_slice())
        .bytes("CryptogramSK", fast.cryptogram.expose())
        .and(channel("Expedited", &fast.expedited))
        .and(channel("Ble", &fast.ble))
}

fn channel(name: &str, keys: &ChannelKeys) -> Numbers {
    Numbers::default()
        .bytes(&format!("{name}SKReader"), keys.reader.expose())
        .bytes(&format!("{name}SKDevice"), keys.device.expose())
}
