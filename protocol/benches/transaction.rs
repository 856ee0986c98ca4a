//! The phone's own work per transaction, on ring: from building the first message to sealing the last answer.
//!
//! Both halves run; only the phone's steps are timed. Run with
//! `cargo bench -p keybutton-protocol --features ring --bench transaction`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    convert::Infallible,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use keybutton_protocol::{
    a5::PressInfo,
    certificate::{self, COMPRESSED_MAX, CertificateRequest},
    crypto::{
        Crypto, Signer,
        ring::{Ring, RingSigner},
        rustcrypto::{RustCrypto, RustSigner},
    },
    exchange::Reply,
    ids::{GroupId, Intent, Kpersistent, PublicKey, ReaderId, SubId, UnixTime, UnlockId},
    initiator::{self, Auth0Next, Env, LockTrust, Phone, SecuredNext},
    message,
    profile::{Profile, UserPolicy},
    reader::{self, Deciding, Prepared, Setup},
    verdict::{AuditHead, Reason, Report, Verdict},
};
use rand_core::{TryCryptoRng, TryRng, utils::next_word_via_fill};

const NOW: UnixTime = UnixTime(1_893_491_100);
const PRESS: PressInfo = PressInfo::new(UnlockId([7; 16]), Intent::Unlock);

fn transactions(criterion: &mut Criterion) {
    let mut site = Site::new();
    site.trust.persistent = Some(site.standard(false).1);
    let mut group = criterion.benchmark_group("phone");
    group.bench_function("standard with certificate", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| site.standard(false).0).sum());
    });
    group.bench_function("standard with certificate and documents", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| site.standard(true).0).sum());
    });
    group.bench_function("fast", |bencher| bencher.iter_custom(|rounds| (0..rounds).map(|_| site.fast(1)).sum()));
    group.finish();

    let mut group = criterion.benchmark_group("lock");
    for phones in [1, 64] {
        group.bench_function(format!("fast, {phones} phones"), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| site.lock_fast(phones)).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, transactions);
criterion_main!(benches);

/// A lock on RustCrypto, a phone on ring, and what they hold for each other.
struct Site {
    lock: RustCrypto<SystemRng>,
    phone: Ring,
    reader: ReaderId,
    reader_key: RustSigner,
    device_key: RingSigner,
    certificate: Vec<u8>,
    trust: LockTrust,
    member: Phone,
}

/// Sums up the phone's time.
#[derive(Default)]
struct Watch(Duration);

impl Watch {
    fn time<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = black_box(step());
        self.0 += start.elapsed();
        result
    }
}

impl Site {
    fn new() -> Self {
        let mut lock = RustCrypto::new(SystemRng(Ring::new()));
        let reader = ReaderId::new(GroupId([0xAA; 16]), SubId([0xBB; 16]));
        let reader_key = RustSigner::generate(&mut lock).unwrap();
        let mut ca = RustSigner::generate(&mut lock).unwrap();
        let device_key = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap();
        let subject = certificate::display_name(&reader.sub().0);
        let request = CertificateRequest {
            serial: &[42],
            issuer: "issuer",
            subject: std::str::from_utf8(&subject).unwrap(),
            not_before: UnixTime(1_577_836_800),
            not_after: UnixTime(2_493_072_000),
            key: &reader_key.public_key(),
        };
        let mut out = [0; COMPRESSED_MAX];
        let len = certificate::issue(&mut ca, &request, &mut out).unwrap();
        let trust = LockTrust {
            anchor: ca.public_key(),
            bind_subject: true,
            persistent: None,
            access_signed: Some(NOW),
            revocation_signed: None,
            user_auth_required: false,
        };
        let member =
            Phone { profile: Profile::PRODUCT, device_key: device_key.public_key(), press: PRESS, limits: None };
        Self {
            lock,
            phone: Ring::new(),
            reader,
            reader_key,
            device_key,
            certificate: out[..len].to_vec(),
            trust,
            member,
        }
    }

    /// A whole transaction by AUTH1: the phone's time, and the secret for the fast phase.
    fn standard(&mut self, documents: bool) -> (Duration, Kpersistent) {
        let mut watch = Watch::default();
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        let (auth0, phone) = self.auth0(&mut watch, false);
        let setup = Setup {
            profile: &Profile::PRODUCT,
            reader: self.reader,
            anchor: self.trust.anchor,
            certificate: Some(&self.certificate),
        };
        let (sent, len) = auth0.auth1(&setup, &mut self.reader_key, &mut buf).unwrap();
        let trust = |_: &ReaderId| Some(self.trust.clone());
        let (phone, len) = watch.time(|| {
            let mut env = Env { crypto: &mut self.phone, trust: &trust, now: NOW, user_authenticated: false };
            let Auth0Next::Sign(to_sign) = phone.handle(&mut env, &mut buf[..len], &mut out).unwrap() else {
                panic!("AUTH1 leads elsewhere")
            };
            let signature = self.device_key.sign(to_sign.data().as_bytes()).unwrap();
            to_sign.signed(&self.phone, &signature, &mut out).unwrap()
        });
        let mut deciding = sent.response(&mut self.lock, &mut out[..len]).unwrap();
        let persistent = deciding.persistent().unwrap().clone();
        let mut phone = phone;
        if documents {
            let (sent, len) = deciding.envelope(&self.lock, &[0xA2; 60], &mut buf).unwrap();
            let (next, len) = watch.time(|| {
                let next = phone.handle(&self.phone, &mut buf[..len], &mut out).unwrap();
                let SecuredNext::Documents { state, .. } = next else { panic!("ENVELOPE leads elsewhere") };
                state.respond(&self.phone, &[0xA3; 478], &mut out).unwrap()
            });
            phone = next;
            deciding = sent.response(&self.lock, &mut out[..len]).unwrap().0;
        }
        let len = self.verdict(deciding, &mut buf);
        watch.time(|| {
            let next = phone.handle(&self.phone, &mut buf[..len], &mut out).unwrap();
            let SecuredNext::Exchange { state, .. } = next else { panic!("EXCHANGE leads elsewhere") };
            state.respond(&self.phone, Reply::DONE, &mut out).unwrap()
        });
        (watch.0, persistent)
    }

    /// A whole fast transaction with so many phones enrolled at the lock: the phone's time.
    fn fast(&mut self, phones: usize) -> Duration {
        let mut watch = Watch::default();
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        let (auth0, phone) = self.auth0(&mut watch, true);
        let deciding = self.recognise(auth0, phones);
        let len = self.verdict(deciding, &mut buf);
        let trust = |_: &ReaderId| Some(self.trust.clone());
        watch.time(|| {
            let mut env = Env { crypto: &mut self.phone, trust: &trust, now: NOW, user_authenticated: false };
            let next = phone.handle(&mut env, &mut buf[..len], &mut out).unwrap();
            let Auth0Next::Exchange { state, .. } = next else { panic!("EXCHANGE leads elsewhere") };
            state.respond(&self.phone, Reply::DONE, &mut out).unwrap()
        });
        watch.0
    }

    /// The lock's time in a fast transaction, its next ephemeral key included.
    fn lock_fast(&mut self, phones: usize) -> Duration {
        let (auth0, _) = self.auth0(&mut Watch::default(), true);
        let mut watch = Watch::default();
        let mut buf = [0; 2100];
        let deciding = watch.time(|| self.recognise(auth0, phones));
        watch.time(|| self.verdict(deciding, &mut buf));
        watch.time(|| Prepared::new(&mut self.lock).unwrap());
        watch.0
    }

    fn auth0(
        &mut self,
        watch: &mut Watch,
        fast: bool,
    ) -> (reader::Auth0Done<RustCrypto<SystemRng>>, initiator::Auth0Done<Ring>) {
        let (mut buf, mut out) = ([0; 2100], [0; 2100]);
        let setup = Setup {
            profile: &Profile::PRODUCT,
            reader: self.reader,
            anchor: self.trust.anchor,
            certificate: Some(&self.certificate),
        };
        let prepared = Prepared::new(&mut self.lock).unwrap();
        let (waiting, len) = watch.time(|| initiator::Opened::initiate(self.member, &mut out).unwrap());
        let opened = reader::Opened::from_initiate(message::parse(&out[..len]).unwrap().1).unwrap();
        let (sent, len) = opened.auth0(&setup, prepared, fast, UserPolicy::PhoneSetting, &mut buf).unwrap();
        let trust = |_: &ReaderId| Some(self.trust.clone());
        let (phone, len) = watch.time(|| {
            let mut env = Env { crypto: &mut self.phone, trust: &trust, now: NOW, user_authenticated: false };
            waiting.auth0(&mut env, &buf[..len], &mut out).unwrap()
        });
        (sent.response(&self.lock, &out[..len]).unwrap(), phone)
    }

    /// Finds the phone as the last of so many entries.
    fn recognise(&self, auth0: reader::Auth0Done<RustCrypto<SystemRng>>, phones: usize) -> Deciding {
        let stranger = (Kpersistent::new([1; 32]), self.member.device_key);
        let own = (self.trust.persistent.clone().unwrap(), self.member.device_key);
        let entries: [&(Kpersistent, PublicKey); 2] = [&stranger, &own];
        let entries = (1..=phones).map(|at| entries[usize::from(at == phones)]).map(|(secret, key)| (secret, key));
        let found = auth0.find(&self.lock, entries).unwrap().unwrap();
        auth0.into_fast(&self.lock, found).unwrap()
    }

    fn verdict(&self, deciding: Deciding, buf: &mut [u8]) -> usize {
        let report = Report::new(Reason::Granted, PRESS.unlock_id, AuditHead::default());
        deciding.verdict(&self.lock, &Verdict::of_report(report, false), buf).unwrap().1
    }
}

/// The system's randomness.
struct SystemRng(Ring);

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(out).unwrap();
        Ok(())
    }
}

impl TryCryptoRng for SystemRng {}
