//! The four worked transactions, byte for byte: both halves with injected keys, every intermediate value, the BLE
//! messages and fragments, and the advertising payloads. What RustCrypto makes, ring verifies.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybutton_protocol::{
    a5::{A5, PressInfo},
    advert::{self, AdvertFlags, Packet, Resolved, ServiceData},
    apdu::{Answer, PhoneChain, Received, ResponseAssembler},
    channel::{Channel, Cryptogram, Role},
    crypto::{
        Crypto, Signer,
        ring::Ring,
        rustcrypto::{RustCrypto, RustSigner},
    },
    exchange::{Reply, Request},
    frame::{Fragmenter, Reassembler},
    ids::{
        GroupResolvingKey, Intent, Interface, Kpersistent, LockNumber, PublicKey, ReaderId, SharedSecret, Signature,
        TransactionId, UnixTime, UnlockId,
    },
    initiator::{self, Auth0Next, Env, LockTrust, Phone, SecuredNext, Waiting},
    keys::{self, AuthenticationData, Kdh, StandardKeys, Transcript},
    message::{self, Kind},
    profile::{CertificateCarrier, Profile, UserPolicy},
    reader::{self, Deciding, Phase, Prepared, Setup},
    tdate,
    verdict::{ClockState, Reason, Verdict},
};
use keybutton_tests::{
    external::{self, hex},
    fixed_rng::FixedRng,
};
use serde_json::Value;

const A: &str = "A_nfc_standard_stepup_no_cert";
const B: &str = "B_ble_standard_stepup_cert_profile";
const C: &str = "C_ble_known_key_denied_outside_schedule";
const D: &str = "D_nfc_fast_after_A";

#[test]
fn key_schedule_of_a_b_and_c_on_both_back_ends() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    for name in [A, B, C] {
        let run = Run::new(&vectors, name);
        run.check_schedule(&mut rust(&[&hex(&run.values["reader_ephemeral_private"])]), true);
        run.check_schedule(&mut Ring::new(), false);
    }
}

#[test]
fn fast_schedule_and_cryptogram_of_d_on_both_back_ends() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    let run = Run::new(&vectors, D);
    run.check_fast_schedule(&rust(&[]));
    run.check_fast_schedule(&Ring::new());
}

#[test]
fn run_a_nfc_standard_with_documents() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    let run = Run::new(&vectors, A);
    let mut wire = Wire::nfc();
    let (deciding, phone) = run.authenticate(&mut wire);
    assert_eq!(deciding.persistent().unwrap().expose()[..], run.hex("k_persistent"));
    assert_eq!(phone.persistent(), deciding.persistent());
    assert!(deciding.needs_step_up_select());
    let (deciding, phone) = run.select_step_up(&mut wire, deciding, phone);
    let (deciding, phone) = run.documents(&mut wire, deciding, phone);
    run.verdict(&mut wire, deciding, phone);
    // Section 22, "NFC first tap", without the certificate, the report, and the profile's part of the A5 template.
    assert_eq!(wire.total, (15 + 25) + 204 + (75 + 177) + (15 + 25) + 603 + 5 + (26 + 22));
}

#[test]
fn run_b_ble_first_opening() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    let run = Run::new(&vectors, B);
    let mut wire = Wire::ble(185);
    let (deciding, phone) = run.authenticate(&mut wire);
    let (deciding, phone) = run.documents(&mut wire, deciding, phone);
    let verdict = run.verdict(&mut wire, deciding, phone);
    let report = verdict.report.unwrap();
    assert_eq!(report.reason.known(), Some(Reason::Granted));
    assert_eq!(report.unlock_id, run.phone.press.unlock_id);
    assert_eq!((report.clock, report.battery, report.time_open), (ClockState::Running, Some(0x57), 50));
    assert_eq!(report.lock_time, Some(UnixTime(1_893_491_100)));
    assert_eq!(wire.total, 1_426);
    let names: Vec<Vec<u8>> = list(&vectors["B_ble_messages"]).map(|message| hex(&message["message"])).collect();
    assert_eq!(wire.messages, names);
}

#[test]
fn run_c_ble_known_key_denied() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    let run = Run::new(&vectors, C);
    let mut wire = Wire::ble(185);
    let (deciding, phone) = run.authenticate(&mut wire);
    let verdict = run.verdict(&mut wire, deciding, phone);
    assert!(!verdict.is_granted());
    assert_eq!(verdict.report.unwrap().reason.known(), Some(Reason::OutsideSchedule));
    assert_eq!(wire.total, 823);
}

#[test]
fn run_d_nfc_fast() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    let run = Run::new(&vectors, D);
    let mut wire = Wire::nfc();
    let mut lock = run.lock_crypto();
    let mut phone_crypto = run.phone_crypto();
    let (auth0, phone) = run.auth0(&mut wire, &mut lock, &mut phone_crypto, true);
    let entries = [(Kpersistent::new([1; 32]), run.phone.device_key), (run.persistent(), run.phone.device_key)];
    let found = auth0.find(&lock, entries.iter().map(|(persistent, key)| (persistent, key))).unwrap().unwrap();
    assert_eq!(found.index, 1);
    assert_eq!(found.cryptogram.access_signed, Some(run.signed));
    let deciding = auth0.into_fast(&lock, found).unwrap();
    assert_eq!(deciding.peer().phase, Phase::Fast);

    let (mut buf, mut out) = (vec![0; 2100], vec![0; 2100]);
    let verdict = Verdict::parse(&run.hex("exchange_command_plaintext")).unwrap();
    let (sent, len) = deciding.verdict(&lock, &verdict, &mut buf).unwrap();
    assert_eq!(buf[..len], run.hex("exchange_command"));
    let mut command = wire.command(&buf[..len]);
    let trust = run.trust();
    let mut env = run.env(&mut phone_crypto, &trust);
    let Auth0Next::Exchange { state, request } = phone.handle(&mut env, &mut command, &mut out).unwrap() else {
        panic!("EXCHANGE leads elsewhere")
    };
    assert_eq!(request, Request::Verdict(verdict));
    let (_, len) = state.respond(&phone_crypto, Reply::DONE, &mut out).unwrap();
    assert_eq!(out[..len], run.hex("exchange_response"));
    let mut response = wire.response(&out[..len]);
    assert_eq!(sent.reply(&lock, &mut response).unwrap().1, Reply::DONE);
    // Section 22, "NFC fast", without the TLVs B3 and E1: 40 of the 480 bytes are B3 and its head, 91 are E1.
    assert_eq!(wire.total, 358);
}

#[test]
fn messages_of_b_in_fragments_at_every_mtu() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    for (mtu, packets) in [(23, 79), (185, 12), (247, 11), (517, 9)] {
        let mut fragmenters = [Fragmenter::new(mtu), Fragmenter::new(mtu)];
        let mut reassemblers = [Reassembler::new(), Reassembler::new()];
        let mut sent = 0;
        for entry in list(&vectors["B_ble_messages"]) {
            let from = usize::from(entry["from"] == "phone");
            let whole = hex(&entry["message"]);
            assert_eq!(entry["length"], whole.len());
            let values: Vec<Vec<u8>> = fragmenters[from].split(&whole).map(|value| value.to_vec()).collect();
            assert_eq!(entry["fragments"][mtu.to_string()], values.len());
            let example = list(&vectors["fragment_examples_mtu23"])
                .find(|example| mtu == 23 && example["name"] == entry["name"] && example["from"] == entry["from"]);
            if let Some(example) = example {
                assert_eq!(values, list(&example["att_values"]).map(hex).collect::<Vec<_>>());
            }
            sent += values.len();
            let (last, head) = values.split_last().unwrap();
            head.iter().for_each(|value| assert_eq!(reassemblers[from].push(value), Ok(None)));
            assert_eq!(reassemblers[from].push(last).unwrap().unwrap(), whole);
        }
        assert_eq!(sent, packets);
    }
}

#[test]
fn advertising_payloads_and_tag() {
    let Some(vectors) = external::json("worked-transactions.json") else { return };
    let values = &vectors["advertising"];
    let key = GroupResolvingKey::from_slice(&hex(&values["group_resolving_key"])).unwrap();
    let lock = LockNumber(u16::try_from(values["lock_number"].as_u64().unwrap()).unwrap());
    let flags = AdvertFlags(u8::try_from(values["state_flags"].as_u64().unwrap()).unwrap());
    let random = array(&values["random"]);

    let data = ServiceData::make(&rust(&[]), &key, random, lock, flags);
    assert_eq!(data.tag.0[..], hex(&values["tag"]));
    assert_eq!([data.masked_flags][..], hex(&values["flags_masked"]));
    let mask = Ring::new().hmac_sha256(key.expose(), &[b"KBT1", &random]);
    assert_eq!(mask[..], hex(&values["mask_hmac_kbt1"]));
    assert_eq!(data.resolve(&Ring::new(), &key), Some(Resolved { lock, flags }));

    let packet = hex(&values["adv_ind_payload"]);
    assert_eq!(advert::advertisement(4)[..], packet);
    assert_eq!(Packet::parse(&packet), Packet { has_service: true, tx_power: Some(4), data: None });
    let packet = hex(&values["scan_response_payload"]);
    assert_eq!(advert::scan_response(&data)[..], packet);
    assert_eq!(Packet::parse(&packet).data, Some(data));
}

/// One worked transaction: its values, and who takes part.
struct Run<'v> {
    vectors: &'v Value,
    values: &'v Value,
    profile: Profile,
    interface: Interface,
    phone: Phone,
    reader: ReaderId,
    anchor: PublicKey,
    certificate: Option<Vec<u8>>,
    signed: UnixTime,
}

type Rust = RustCrypto<FixedRng>;

impl<'v> Run<'v> {
    fn new(vectors: &'v Value, name: &str) -> Self {
        let values = &vectors[name];
        let keys = &vectors["keys"];
        let interface = if name == B || name == C { Interface::Ble } else { Interface::Nfc };
        let (profile, anchor, certificate) = match interface {
            Interface::Nfc => (Profile::INTEROP, "reader_public", None),
            Interface::Ble => {
                // The worked phone does not offer to answer exchanges after the verdict (bitmap bit 6).
                let profile = Profile { sync: false, ..Profile::PRODUCT };
                (profile, "site_ca_public", Some(hex(&vectors["certificate_profile0000"]["compressed"])))
            }
        };
        assert!(certificate.is_none() || profile.certificate == CertificateCarrier::Auth1);
        let a5 = values["a5_tlv"].as_str().map(|a5| A5::parse(&external::unhex(a5)).unwrap());
        let press = a5.and_then(|a5| a5.press()).unwrap_or(PressInfo::new(UnlockId([0; 16]), Intent::Unlock));
        Self {
            vectors,
            values,
            profile,
            interface,
            phone: Phone { profile, device_key: PublicKey(array(&keys["device_public"])), press, limits: None },
            reader: ReaderId(array(&keys["reader_identifier"])),
            anchor: PublicKey(array(&keys[anchor])),
            certificate,
            signed: tdate::parse(vectors["access_document"]["signed"].as_str().unwrap().as_bytes()).unwrap(),
        }
    }

    fn hex(&self, name: &str) -> Vec<u8> {
        hex(&self.values[name])
    }

    fn signer(&self, name: &str) -> RustSigner {
        RustSigner::from_bytes(&array(&self.vectors["keys"][name])).unwrap()
    }

    fn persistent(&self) -> Kpersistent {
        Kpersistent::from_slice(&self.hex("k_persistent")).unwrap()
    }

    fn lock_crypto(&self) -> Rust {
        rust(&[&self.hex("reader_ephemeral_private"), &self.hex("transaction_identifier")])
    }

    fn phone_crypto(&self) -> Rust {
        rust(&[&self.hex("device_ephemeral_private")])
    }

    fn setup(&self) -> Setup<'_> {
        Setup {
            profile: &self.profile,
            reader: self.reader,
            anchor: self.anchor,
            certificate: self.certificate.as_deref(),
        }
    }

    fn trust(&self) -> impl Fn(&ReaderId) -> Option<LockTrust> {
        let trust = LockTrust {
            anchor: self.anchor,
            bind_subject: false,
            persistent: self.values["cryptogram"].is_string().then(|| self.persistent()),
            access_signed: Some(self.signed),
            revocation_signed: None,
            user_auth_required: false,
        };
        move |_: &ReaderId| Some(trust.clone())
    }

    fn env<'a, C, T>(&self, crypto: &'a mut C, trust: &'a T) -> Env<'a, C, T> {
        let now = UnixTime(u32::try_from(self.vectors["keys"]["now_unix"].as_u64().unwrap()).unwrap());
        Env { crypto, trust, now, user_authenticated: false }
    }

    fn transcript(&self) -> Transcript {
        let parameters = self.values["command_parameters_and_policy"].as_str().unwrap_or("0101");
        let parameters = external::unhex(parameters);
        let a5 = self.values["a5_tlv"].as_str().unwrap_or("a508800200005c020100");
        let lock = RustCrypto::new(FixedRng::new(&[&self.hex("reader_ephemeral_private")])).generate_ephemeral();
        Transcript {
            anchor_x: self.anchor.x(),
            reader: self.reader,
            interface: self.interface,
            version: [1, 0],
            lock_ephemeral: lock.unwrap().1,
            device_ephemeral: PublicKey(array(&self.values["device_ephemeral_public"])),
            transaction: TransactionId(array(&self.values["transaction_identifier"])),
            parameters: parameters[0],
            policy: parameters[1],
            a5: A5::parse(&external::unhex(a5)).unwrap().bytes().clone(),
            extensions: Default::default(),
        }
    }

    /// Every value of the standard phase; `own` draws the lock's ephemeral key from `crypto`.
    fn check_schedule(&self, crypto: &mut impl Crypto, own: bool) {
        let transcript = self.transcript();
        assert_eq!(transcript.lock_ephemeral.0[..], self.hex("reader_ephemeral_public"));
        assert_eq!(transcript.anchor_x[..], self.hex("trust_anchor_x"));
        assert_eq!([transcript.interface.salt_byte()][..], self.hex("interface_byte"));
        let z = if own {
            let (ephemeral, _) = crypto.generate_ephemeral().unwrap();
            let z = crypto.agree(ephemeral, &transcript.device_ephemeral).unwrap();
            assert_eq!(z.expose()[..], self.hex("ecdh_z"));
            z
        } else {
            SharedSecret::from_slice(&self.hex("ecdh_z")).unwrap()
        };
        let kdh = Kdh::derive(crypto, &z, &transcript.transaction);
        assert_eq!(kdh.expose()[..], self.hex("kdh"));
        assert_eq!(transcript.salt_volatile()[..], self.hex("salt_volatile"));
        assert_eq!(transcript.info()[..], self.hex("info"));
        let mut block = [0; 160];
        crypto.hkdf(&transcript.salt_volatile(), kdh.expose(), &transcript.info(), &mut block).unwrap();
        assert_eq!(block[..], self.hex("key_block_160"));
        for (part, name) in
            ["expedited_sk_reader", "expedited_sk_device", "step_up_sk", "ble_sk", "ursk"].into_iter().enumerate()
        {
            assert_eq!(block[part * 32..part * 32 + 32], self.hex(name), "{name}");
        }
        let keys = keys::standard(crypto, &transcript, &kdh).unwrap();
        self.check_channel_keys(&keys);
        assert_eq!(transcript.salt_persistent(&self.phone.device_key)[..], self.hex("salt_persistent"));
        let persistent = keys::persistent(crypto, &transcript, &kdh, &self.phone.device_key).unwrap();
        assert_eq!(persistent, self.persistent());
        assert_eq!(keys::BLE_VERSIONS[..], self.hex("ble_sk_salt"));

        self.check_signatures(crypto, &transcript);
        self.check_sealed(crypto, keys);
    }

    fn check_channel_keys(&self, keys: &StandardKeys) {
        assert_eq!(keys.expedited.reader.expose()[..], self.hex("expedited_sk_reader"));
        assert_eq!(keys.expedited.device.expose()[..], self.hex("expedited_sk_device"));
        assert_eq!(keys.ble.reader.expose()[..], self.hex("ble_sk_reader"));
        assert_eq!(keys.ble.device.expose()[..], self.hex("ble_sk_device"));
        if self.values["step_up_sk_reader"].is_string() {
            assert_eq!(keys.step_up.reader.expose()[..], self.hex("step_up_sk_reader"));
            assert_eq!(keys.step_up.device.expose()[..], self.hex("step_up_sk_device"));
        }
    }

    fn check_signatures(&self, crypto: &impl Crypto, transcript: &Transcript) {
        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = transcript;
        let lock = AuthenticationData::for_lock(reader, device_ephemeral, lock_ephemeral, transaction);
        let phone = AuthenticationData::for_phone(reader, device_ephemeral, lock_ephemeral, transaction);
        assert_eq!(lock.as_bytes()[..], self.hex("reader_authentication_data"));
        assert_eq!(phone.as_bytes()[..], self.hex("device_authentication_data"));
        for (key, data, signature) in [
            ("reader_public", &lock, "reader_signature_rfc6979"),
            ("device_public", &phone, "device_signature_rfc6979"),
        ] {
            let key = PublicKey(array(&self.vectors["keys"][key]));
            let signature = Signature(array(&self.values[signature]));
            crypto.verify(&key, data.as_bytes(), &signature).unwrap();
            let other = if data == &lock { &phone } else { &lock };
            assert!(crypto.verify(&key, other.as_bytes(), &signature).is_err());
        }
    }

    /// Every sealed value opens to its plaintext, in order.
    fn check_sealed(&self, crypto: &impl Crypto, keys: StandardKeys) {
        let open = |channel: &mut Channel, sealed: Vec<u8>, plaintext: &str| {
            let mut sealed = sealed;
            assert_eq!(channel.open(crypto, &[], &mut sealed).unwrap(), self.hex(plaintext), "{plaintext}");
        };
        let without = |name: &str, head: usize, tail: usize| {
            let apdu = self.hex(name);
            apdu[head..apdu.len() - tail].to_vec()
        };
        let documents = self.values["device_request_ciphertext"].is_string();
        let verdict_keys = if documents { &keys.step_up } else { &keys.expedited };
        for (key, iv, sealed, plaintext) in [
            (&keys.expedited.device, "auth1_response_iv", without("auth1_response", 0, 2), "auth1_response_plaintext"),
            (
                &verdict_keys.reader,
                "exchange_command_iv",
                without("exchange_command", 5, 1),
                "exchange_command_plaintext",
            ),
            (
                &verdict_keys.device,
                "exchange_response_iv",
                without("exchange_response", 0, 2),
                "exchange_response_plaintext",
            ),
        ] {
            let (text, tag) = sealed.split_last_chunk::<16>().unwrap();
            let mut text = text.to_vec();
            crypto.open(key, &array(&self.values[iv]), &[], &mut text, tag).unwrap();
            assert_eq!(text, self.hex(plaintext), "{iv}");
        }
        let mut lock = Channel::new(Role::Lock, keys.expedited.clone());
        let mut phone = Channel::new(Role::Phone, keys.expedited);
        open(&mut lock, without("auth1_response", 0, 2), "auth1_response_plaintext");
        if documents {
            lock = Channel::new(Role::Lock, keys.step_up.clone());
            phone = Channel::new(Role::Phone, keys.step_up);
            open(&mut phone, self.hex("device_request_ciphertext"), "device_request_plaintext");
            open(&mut lock, self.hex("device_response_ciphertext"), "device_response_plaintext");
        }
        open(&mut phone, without("exchange_command", 5, 1), "exchange_command_plaintext");
        open(&mut lock, without("exchange_response", 0, 2), "exchange_response_plaintext");
    }

    fn check_fast_schedule(&self, crypto: &impl Crypto) {
        let transcript = self.transcript();
        let device_key = &self.phone.device_key;
        assert_eq!(transcript.salt_fast(device_key)[..], self.hex("salt_fast"));
        assert_eq!(transcript.info()[..], self.hex("info"));
        let mut block = [0; 160];
        crypto
            .hkdf(&transcript.salt_fast(device_key), self.persistent().expose(), &transcript.info(), &mut block)
            .unwrap();
        assert_eq!(block[..], self.hex("key_block_160"));
        assert_eq!(block[96..128], self.hex("ble_sk"));
        assert_eq!(block[128..], self.hex("ursk"));
        let keys = keys::fast(crypto, &transcript, &self.persistent(), device_key).unwrap();
        assert_eq!(keys.cryptogram.expose()[..], self.hex("cryptogram_sk"));
        assert_eq!(keys.expedited.reader.expose()[..], self.hex("expedited_sk_reader"));
        assert_eq!(keys.expedited.device.expose()[..], self.hex("expedited_sk_device"));
        let only = keys::cryptogram_key(crypto, &transcript, &self.persistent(), device_key).unwrap();
        assert_eq!(only, keys.cryptogram);
        let cryptogram = Cryptogram::open(crypto, &only, &array(&self.values["cryptogram"])).unwrap();
        assert_eq!(cryptogram.access_signed, Some(self.signed));
        assert_eq!(cryptogram.revocation_signed, None);
        assert_eq!(cryptogram.seal(crypto, &only).unwrap()[..], self.hex("cryptogram"));
        let mut opened = self.hex("cryptogram");
        let tag: [u8; 16] = opened.split_off(48).try_into().unwrap();
        crypto.open(&only, &array(&self.values["cryptogram_iv"]), &[], &mut opened, &tag).unwrap();
        assert_eq!(opened, self.hex("cryptogram_plaintext"));
    }

    /// SELECT or Initiate, then AUTH0 and its answer.
    fn auth0(
        &self,
        wire: &mut Wire,
        lock: &mut Rust,
        phone: &mut Rust,
        fast: bool,
    ) -> (reader::Auth0Done<Rust>, initiator::Auth0Done<Rust>) {
        let (mut buf, mut out) = (vec![0; 2100], vec![0; 2100]);
        let (opened, waiting) = match self.interface {
            Interface::Ble => {
                let (waiting, len) = initiator::Opened::initiate(self.phone, &mut buf).unwrap();
                let whole = wire.message(false, &buf[..len]);
                let (kind, payload) = message::parse(&whole).unwrap();
                assert_eq!(kind, Kind::Initiate);
                (reader::Opened::from_initiate(payload).unwrap(), waiting)
            }
            Interface::Nfc => {
                let len = reader::select(&self.profile, &mut buf).unwrap();
                let command = wire.command(&buf[..len]);
                let (waiting, len) = Waiting::new(self.phone).select(&command, &mut out).unwrap();
                assert_eq!(out[..len], hex(&self.vectors["keys"]["select_response_expedited"]));
                let response = wire.response(&out[..len]);
                (reader::Opened::from_select(&self.profile, &response).unwrap(), waiting)
            }
        };
        let prepared = Prepared::new(lock).unwrap();
        let policy = UserPolicy::PhoneSetting;
        let (sent, len) = opened.auth0(&self.setup(), prepared, fast, policy, &mut buf).unwrap();
        assert_eq!(buf[..len], self.hex("auth0_command"));
        let command = wire.command(&buf[..len]);
        let trust = self.trust();
        let (phone, len) = waiting.auth0(&mut self.env(phone, &trust), &command, &mut out).unwrap();
        assert_eq!(out[..len], self.hex("auth0_response"));
        (sent.response(lock, &wire.response(&out[..len])).unwrap(), phone)
    }

    /// From the beginning to the authenticated phone.
    fn authenticate(&self, wire: &mut Wire) -> (Deciding, initiator::Secured) {
        let (mut lock, mut phone_crypto) = (self.lock_crypto(), self.phone_crypto());
        let (auth0, phone) = self.auth0(wire, &mut lock, &mut phone_crypto, false);
        let (mut buf, mut out) = (vec![0; 2100], vec![0; 2100]);
        let (sent, len) = auth0.auth1(&self.setup(), &mut self.signer("reader_private"), &mut buf).unwrap();
        assert_eq!(buf[..len], self.hex("auth1_command"));
        let mut command = wire.command(&buf[..len]);
        let trust = self.trust();
        let mut env = self.env(&mut phone_crypto, &trust);
        let Auth0Next::Sign(to_sign) = phone.handle(&mut env, &mut command, &mut out).unwrap() else {
            panic!("AUTH1 leads elsewhere")
        };
        assert_eq!(to_sign.data().as_bytes()[..], self.hex("device_authentication_data"));
        let signature = self.signer("device_private").sign(to_sign.data().as_bytes()).unwrap();
        assert_eq!(signature.as_bytes()[..], self.hex("device_signature_rfc6979"));
        let (phone, len) = to_sign.signed(&phone_crypto, &signature, &mut out).unwrap();
        assert_eq!(out[..len], self.hex("auth1_response"));
        let mut response = wire.response(&out[..len]);
        let deciding = sent.response(&mut lock, &mut response).unwrap();
        assert_eq!(deciding.peer().device_key, self.phone.device_key);
        assert_eq!(deciding.peer().access_signed, Some(self.signed));
        (deciding, phone)
    }

    fn select_step_up(
        &self,
        wire: &mut Wire,
        deciding: Deciding,
        phone: initiator::Secured,
    ) -> (Deciding, initiator::Secured) {
        let (mut buf, mut out) = (vec![0; 2100], vec![0; 2100]);
        let (sent, len) = deciding.select_step_up(&mut buf).unwrap();
        let mut command = wire.command(&buf[..len]);
        let SecuredNext::StepUpSelected { state, response } = phone.handle(&rust(&[]), &mut command, &mut out).unwrap()
        else {
            panic!("SELECT leads elsewhere")
        };
        (sent.response(&wire.response(&out[..response])).unwrap(), state)
    }

    /// ENVELOPE and its answer.
    fn documents(
        &self,
        wire: &mut Wire,
        deciding: Deciding,
        phone: initiator::Secured,
    ) -> (Deciding, initiator::Secured) {
        let crypto = rust(&[]);
        let (mut buf, mut out) = (vec![0; 2100], vec![0; 2100]);
        let (sent, len) = deciding.envelope(&crypto, &self.hex("device_request_plaintext"), &mut buf).unwrap();
        assert_eq!(buf[..len], self.hex("envelope_command"));
        let mut command = wire.command(&buf[..len]);
        let SecuredNext::Documents { state, request } = phone.handle(&crypto, &mut command, &mut out).unwrap() else {
            panic!("ENVELOPE leads elsewhere")
        };
        assert_eq!(request, self.hex("device_request_plaintext"));
        let (phone, len) = state.respond(&crypto, &self.hex("device_response_plaintext"), &mut out).unwrap();
        let unchained = self.hex("envelope_response_unchained");
        let (response, status) = out[..len].split_at(len - 2);
        assert_eq!(response, unchained.strip_suffix(&[0x90, 0]).unwrap_or(&unchained));
        assert_eq!(status, [0x90, 0]);
        let mut response = wire.response(&out[..len]);
        let (deciding, documents) = sent.response(&crypto, &mut response).unwrap();
        assert_eq!(documents, self.hex("device_response_plaintext"));
        (deciding, phone)
    }

    /// The verdict and its answer; returns what the phone read.
    fn verdict(&self, wire: &mut Wire, deciding: Deciding, phone: initiator::Secured) -> Verdict {
        let crypto = rust(&[]);
        let (mut buf, mut out) = (vec![0; 2100], vec![0; 2100]);
        let verdict = Verdict::parse(&self.hex("exchange_command_plaintext")).unwrap();
        let mut encoded = [0; 256];
        let len = verdict.encode(&mut encoded).unwrap();
        assert_eq!(encoded[..len], self.hex("exchange_command_plaintext"));
        let (sent, len) = deciding.verdict(&crypto, &verdict, &mut buf).unwrap();
        assert_eq!(buf[..len], self.hex("exchange_command"));
        let mut command = wire.command(&buf[..len]);
        let SecuredNext::Exchange { state, request } = phone.handle(&crypto, &mut command, &mut out).unwrap() else {
            panic!("EXCHANGE leads elsewhere")
        };
        let Request::Verdict(read) = request else { panic!("no verdict") };
        assert_eq!(read, verdict);
        let (_, len) = state.respond(&crypto, Reply::DONE, &mut out).unwrap();
        assert_eq!(out[..len], self.hex("exchange_response"));
        let mut response = wire.response(&out[..len]);
        assert_eq!(sent.reply(&crypto, &mut response).unwrap().1, Reply::DONE);
        read
    }
}

/// What lies between the two; counts every byte.
struct Wire {
    ble: Option<[(Fragmenter, Reassembler); 2]>,
    chain: PhoneChain<2064>,
    joined: ResponseAssembler<2064>,
    messages: Vec<Vec<u8>>,
    total: usize,
}

impl Wire {
    fn nfc() -> Self {
        let (chain, joined) = (PhoneChain::new(), ResponseAssembler::new());
        Self { ble: None, chain, joined, messages: Vec::new(), total: 0 }
    }

    fn ble(mtu: u16) -> Self {
        Self { ble: Some([0, 1].map(|_| (Fragmenter::new(mtu), Reassembler::new()))), ..Self::nfc() }
    }

    fn command(&mut self, apdu: &[u8]) -> Vec<u8> {
        if self.ble.is_some() {
            return self.apdu(true, Kind::Command, apdu);
        }
        self.total += apdu.len();
        match self.chain.receive(apdu, &mut [0; 300]) {
            Received::Command(command) => command.to_vec(),
            other => panic!("command refused: {other:?}"),
        }
    }

    fn response(&mut self, apdu: &[u8]) -> Vec<u8> {
        if self.ble.is_some() {
            return self.apdu(false, Kind::Response, apdu);
        }
        let mut piece = [0; 300];
        let mut len = self.chain.respond(apdu, &mut piece).unwrap();
        self.joined.clear();
        loop {
            self.total += len;
            match self.joined.push(&piece[..len]).unwrap() {
                Answer::Complete(whole) => return whole.to_vec(),
                Answer::More(get_response) => {
                    self.total += get_response.len();
                    match self.chain.receive(&get_response, &mut piece) {
                        Received::Answered(next) => len = next,
                        other => panic!("GET RESPONSE refused: {other:?}"),
                    }
                }
            }
        }
    }

    fn message(&mut self, to_phone: bool, message: &[u8]) -> Vec<u8> {
        self.total += message.len();
        self.messages.push(message.to_vec());
        let (fragmenter, reassembler) = &mut self.ble.as_mut().unwrap()[usize::from(to_phone)];
        let mut arrived = None;
        for value in fragmenter.split(message) {
            arrived = reassembler.push(&value).unwrap().map(|message| message.to_vec());
        }
        arrived.unwrap()
    }

    fn apdu(&mut self, to_phone: bool, kind: Kind, apdu: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 2048];
        let len = message::encode(&mut out, kind, apdu).unwrap();
        let arrived = self.message(to_phone, &out[..len]);
        let (arrived_kind, payload) = message::parse(&arrived).unwrap();
        assert_eq!(arrived_kind, kind);
        payload.to_vec()
    }
}

fn rust(random: &[&[u8]]) -> Rust {
    RustCrypto::new(FixedRng::new(random))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

#[track_caller]
fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}
