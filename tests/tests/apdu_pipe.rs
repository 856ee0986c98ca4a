//! Taps over a byte pipe, both sides in one process: the published file as it is, the sizes and fixed bytes of its
//! transactions, what a reset forgets, what a lock refuses, and what a peer can do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::VecDeque, io, time::Instant};

use keybutton_desktop::apdu::{
    Arrived, KeyFile, LineError, LockOutput, Note, Pipe, Run, TapLock, TapPhone, Taps, Told, Word, serve_lock,
    serve_phone,
};
use keybutton_lock::{Event, Failure, Path, Uptime, env::BoltCommand};
use keybutton_protocol::{
    crypto::{Crypto, Signer, rustcrypto::RustSigner},
    ids::{Intent, PublicKey, Signature, UnixTime},
    initiator::InitiatorError,
    keys::AuthenticationData,
    profile::{CertificateCarrier, SaltAnchor},
    verdict::Reason,
};
use keybutton_tests::{
    external::{hex, json, unhex},
    pair::{
        cbor::Value,
        document::RevokedSpec,
        keys::crypto,
        site::{Member, NOW, Site},
    },
};
use serde_json::{Value as Json, json};

const CONTROL_FLOW: &str = "803c000006410100420100";
const AUTH1: Option<CertificateCarrier> = Some(CertificateCarrier::Auth1);

/// A lock and a phone at one table.
struct Table {
    lock: TapLock,
    phone: TapPhone,
    now: UnixTime,
}

/// What one tap was like.
#[derive(Default, Debug)]
struct Seen {
    commands: Vec<Vec<u8>>,
    responses: Vec<Vec<u8>>,
    events: Vec<Event>,
    bolts: usize,
    closed: bool,
    told: Vec<Told>,
}

impl Table {
    fn new(file: &Json, interop: bool, carrier: Option<CertificateCarrier>, now: UnixTime) -> Self {
        let anchor = if interop { SaltAnchor::Subject } else { SaltAnchor::Ca };
        let lock = TapLock::new(parse(file).provision(interop, carrier, now).unwrap()).unwrap();
        let phone = TapPhone::new(parse(file).identity().unwrap(), interop, anchor, Intent::Unlock);
        Self { lock, phone, now }
    }

    fn tap(&mut self, at: u64) -> Seen {
        let outputs = self.lock.tap(Uptime(at));
        self.carry(outputs, at, |_, response| response)
    }

    /// Carries APDUs until the lock is silent; `meddle` sees each response with its number.
    fn carry(&mut self, outputs: Vec<LockOutput>, at: u64, meddle: impl Fn(usize, Vec<u8>) -> Vec<u8>) -> Seen {
        let mut seen = Seen::default();
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            match output {
                LockOutput::Command(command) => {
                    let reply = self.phone.command(&command, self.now);
                    let response = meddle(seen.commands.len(), reply.response);
                    outputs.extend(self.lock.response(Uptime(at), &response));
                    seen.told.extend(reply.told);
                    seen.commands.push(command);
                    seen.responses.push(response);
                }
                LockOutput::Close => {
                    seen.closed = true;
                    self.phone.close();
                }
                LockOutput::Bolt(command) => seen.bolts += usize::from(matches!(command, BoltCommand::Open(_))),
                LockOutput::Happened(event) => seen.events.push(event),
            }
        }
        seen
    }
}

impl Seen {
    #[track_caller]
    fn verdict(&self) -> (Reason, Path, bool) {
        let verdict = self.events.iter().find_map(|event| match event {
            Event::Verdict { reason, path, repeated, .. } => Some((*reason, *path, *repeated)),
            _ => None,
        });
        verdict.unwrap_or_else(|| panic!("no verdict: {self:?}"))
    }

    fn failure(&self) -> Option<Failure> {
        self.events.iter().find_map(|event| match event {
            Event::Failed { failure, .. } => Some(*failure),
            _ => None,
        })
    }

    fn instructions(&self) -> Vec<u8> {
        self.commands.iter().map(|command| command[1]).collect()
    }
}

fn parse(file: &Json) -> KeyFile {
    KeyFile::parse(&file.to_string(), "file").unwrap()
}

/// A key file for a lock of `site` and the phone of `member`.
fn file(site: &Site, member: &Member) -> Json {
    let hex = |bytes: &[u8]| Json::from(Word::Apdu(bytes.to_vec()).to_string());
    let reader = site.reader_key(7);
    json!({
        "keys": {
            "reader_private": hex(&reader.expose()[..]),
            "reader_public": hex(&reader.public_key().0),
            "site_ca_public": hex(&site.ca().public_key().0),
            "issuer_public": hex(&site.issuer().public_key().0),
            "device_private": hex(&member.signer().expose()[..]),
            "group_identifier": hex(&site.group.0),
            "group_sub_identifier": hex(&site.sub(7).0),
        },
        "certificate_profile0000": { "compressed": hex(&site.certificate(7)) },
        "access_document": { "document": hex(&site.document(member)) },
    })
}

fn own() -> Json {
    file(&Site::new("north"), &Member::new("ada"))
}

fn worked() -> Option<(Json, UnixTime)> {
    let vectors = json("worked-transactions.json")?;
    let now = UnixTime(vectors["keys"]["now_unix"].as_u64().unwrap() as u32);
    Some((vectors, now))
}

#[test]
fn the_published_file_makes_lock_and_phone() {
    let Some((vectors, now)) = worked() else { return };
    for (interop, carrier) in
        [(false, AUTH1), (true, None), (true, Some(CertificateCarrier::LoadCert)), (true, AUTH1), (false, None)]
    {
        let mut table = Table::new(&vectors, interop, carrier, now);
        if carrier == Some(CertificateCarrier::LoadCert) {
            // Locks of ours have the CA's key in the salts.
            table.phone = TapPhone::new(parse(&vectors).identity().unwrap(), interop, SaltAnchor::Ca, Intent::Unlock);
        }
        let first = table.tap(0);
        assert_eq!(first.verdict(), (Reason::Granted, Path::StepUp, false), "{interop} {carrier:?}");
        assert_eq!((first.closed, first.bolts, first.failure()), (true, 1, None));
        assert!(first.events.contains(&Event::RevocationApplied), "its revocation document is taken too");
        let again = table.tap(3_000);
        assert_eq!(again.verdict(), (Reason::Granted, Path::Fast, false));
        assert_eq!(again.bolts, 1);
        assert!(matches!(again.told.last(), Some(Told::Verdict { verdict, fast: true }) if verdict.is_granted()));
    }
}

#[test]
fn sizes_and_fixed_bytes_are_those_of_the_worked_transactions() {
    let Some((mut vectors, now)) = worked() else { return };
    // Transaction A was made with the access document alone.
    vectors.as_object_mut().unwrap().remove("revocation_document");
    let mut table = Table::new(&vectors, true, None, now);
    let tap = table.tap(0);
    let (a, keys) = (&vectors["A_nfc_standard_stepup_no_cert"], &vectors["keys"]);
    let of = |name: &str| hex(&a[name]);

    let [select, auth0, auth1, select_step_up, envelope, get_response, exchange] = &tap.commands[..] else {
        panic!("{tap:?}")
    };
    assert_eq!(*select, unhex("00a4040009a000000909acce550100"));
    assert_eq!(tap.responses[0], hex(&keys["select_response_expedited"]));
    // All of AUTH0 but the ephemeral key and the transaction identifier is given.
    let expected = of("auth0_command");
    assert_eq!((auth0.len(), &auth0[..17]), (expected.len(), &expected[..17]));
    assert_eq!(auth0[auth0.len() - 35..], expected[expected.len() - 35..]);
    assert_eq!(tap.responses[1].len(), of("auth0_response").len());
    let expected = of("auth1_command");
    assert_eq!((auth1.len(), &auth1[..10]), (expected.len(), &expected[..10]));
    assert_eq!(tap.responses[2].len(), of("auth1_response").len());
    assert_eq!(*select_step_up, unhex("00a4040009a000000909acce550200"));
    let expected = of("envelope_command");
    assert_eq!((envelope.len(), &envelope[..15]), (expected.len(), &expected[..15]));
    let joined = tap.responses[4].len() - 2 + tap.responses[5].len();
    assert_eq!(joined, a["envelope_response_length"].as_u64().unwrap() as usize);
    assert_eq!((get_response[1], tap.responses[4][256]), (0xC0, 0x61));
    assert_eq!(exchange.len(), of("exchange_command").len());
    assert_eq!(tap.responses[6].len(), of("exchange_response").len());

    // The lock has signed what both have said, with the reader key of the file.
    let x = |bytes: &[u8]| PublicKey::from_slice(&bytes[..65]).unwrap();
    let signed = AuthenticationData::for_lock(
        &keybutton_protocol::ids::ReaderId(hex(&keys["reader_identifier"]).try_into().unwrap()),
        &x(&tap.responses[1][2..]),
        &x(&auth0[17..]),
        &keybutton_protocol::ids::TransactionId(auth0[84..100].try_into().unwrap()),
    );
    let signature = Signature::from_slice(&auth1[10..74]).unwrap();
    let reader = PublicKey::from_slice(&hex(&keys["reader_public"])).unwrap();
    crypto().verify(&reader, signed.as_bytes(), &signature).unwrap();

    let fast = table.tap(3_000);
    let d = &vectors["D_nfc_fast_after_A"];
    let [_, auth0, exchange] = &fast.commands[..] else { panic!("{fast:?}") };
    assert_eq!(auth0[..10], hex(&d["auth0_command"])[..10]);
    assert_eq!(fast.responses[1].len(), hex(&d["auth0_response"]).len());
    assert_eq!(exchange.len(), hex(&d["exchange_command"]).len());
    assert_eq!(fast.responses[2].len(), hex(&d["exchange_response"]).len());
}

#[test]
fn what_a_worked_transaction_said_opens_nothing_today() {
    let Some((vectors, now)) = worked() else { return };
    let a = &vectors["A_nfc_standard_stepup_no_cert"];
    let mut table = Table::new(&vectors, true, None, now);

    let outputs = table.lock.tap(Uptime(0));
    let recorded = |number: usize, own: Vec<u8>| match number {
        1 => hex(&a["auth0_response"]),
        2 => hex(&a["auth1_response"]),
        _ => own,
    };
    let seen = table.carry(outputs, 0, recorded);
    assert_eq!((seen.failure(), seen.bolts, seen.closed), (Some(Failure::Unauthentic), 0, true));
    assert_eq!(*seen.commands.last().unwrap(), unhex(CONTROL_FLOW));

    // A lock's recorded half leads to no signature of the phone.
    let ask = |phone: &mut TapPhone, command: &str| phone.command(&unhex(command), now).response;
    let phone = &mut table.phone;
    assert_eq!(ask(phone, "00a4040009a000000909acce550100"), hex(&vectors["keys"]["select_response_expedited"]));
    assert_eq!(ask(phone, a["auth0_command"].as_str().unwrap()).len(), 69);
    assert_eq!(ask(phone, a["auth1_command"].as_str().unwrap()), unhex("6982"));
}

#[test]
fn a_lock_decides_by_its_own_time_and_list() {
    let Some((vectors, now)) = worked() else { return };
    for (time, reason) in [(now.0 + 11 * 3_600, Reason::OutsideSchedule), (now.0 + 8 * 86_400, Reason::Expired)] {
        let seen = Table::new(&vectors, false, AUTH1, UnixTime(time)).tap(0);
        assert_eq!((seen.verdict().0, seen.bolts), (reason, 0));
        let Some(Told::Verdict { verdict, .. }) = seen.told.last() else { panic!("{seen:?}") };
        assert!(!verdict.is_granted());
        assert_eq!(verdict.report.unwrap().reason.known(), Some(reason));
    }
}

#[test]
fn what_a_reset_forgets_and_what_not() {
    let (site, member) = (Site::new("north"), Member::new("ada"));
    let mut table = Table::new(&file(&site, &member), false, AUTH1, NOW);
    assert_eq!(table.tap(0).verdict(), (Reason::Granted, Path::StepUp, false));
    // Within two seconds a tap is not another one.
    let seen = table.tap(1_000);
    assert_eq!((seen.verdict(), seen.bolts), ((Reason::Granted, Path::Fast, true), 0));
    assert_eq!(seen.commands[1][7], 1, "the fast phase is asked for");

    table.lock.reset(Uptime(1_100)).unwrap();
    let seen = table.tap(1_200);
    assert_eq!((seen.verdict(), seen.bolts), ((Reason::Granted, Path::StepUp, false), 1));
    assert_eq!(seen.commands[1][7], 0, "nobody is known");

    // In the middle of a session nothing is said, and the next one is whole.
    let outputs = table.lock.tap(Uptime(5_000));
    assert_eq!(outputs.len(), 1);
    table.lock.reset(Uptime(5_100)).unwrap();
    assert!(!table.lock.is_in_session());
    assert_eq!(table.tap(5_200).verdict(), (Reason::Granted, Path::StepUp, false));

    // Revocations stay.
    let mut revoking = file(&site, &member);
    let document = site.revocation(3, &[RevokedSpec::key(&member.key)]);
    revoking["revocation_document"] = json!({ "document": Word::Apdu(document).to_string() });
    let with = |file: &Json| TapPhone::new(parse(file).identity().unwrap(), false, SaltAnchor::Ca, Intent::Unlock);
    table.phone = with(&revoking);
    assert_eq!(table.tap(9_000).verdict().0, Reason::Revoked);
    table.lock.reset(Uptime(9_100)).unwrap();
    table.phone = with(&file(&site, &member));
    let seen = table.tap(9_200);
    assert_eq!((seen.verdict().0, seen.bolts), (Reason::Revoked, 0));
}

#[test]
fn every_step_can_be_the_last() {
    let whole = Table::new(&own(), false, AUTH1, NOW).tap(0).commands.len();
    for step in 0..whole {
        let mut table = Table::new(&own(), false, AUTH1, NOW);
        let mut outputs = table.lock.tap(Uptime(0));
        for _ in 0..step {
            let command = outputs.iter().find_map(|output| match output {
                LockOutput::Command(command) => Some(command.clone()),
                _ => None,
            });
            let reply = table.phone.command(&command.unwrap(), NOW);
            outputs = table.lock.response(Uptime(0), &reply.response);
        }
        let lost = table.lock.lost(Uptime(10));
        assert_eq!(lost.contains(&LockOutput::Close), step < whole, "{step}");
        let decided = step == whole - 1;
        let cut = lost
            .iter()
            .any(|output| matches!(output, LockOutput::Happened(Event::Failed { failure: Failure::LinkLost, .. })));
        assert_eq!(cut, !decided, "{step}");
        table.phone.close();
        let after = table.tap(2_500);
        assert_eq!(after.verdict().0, Reason::Granted, "{step}: {after:?}");
    }
}

#[test]
fn a_silent_phone_is_not_waited_for() {
    let mut table = Table::new(&own(), false, AUTH1, NOW);
    assert_eq!(table.lock.tap(Uptime(0)).len(), 1);
    assert_eq!(table.lock.next_deadline(), Some(Uptime(5_000)));
    assert!(table.lock.deadline(Uptime(4_999)).is_empty());
    let outputs = table.lock.deadline(Uptime(5_000));
    assert!(outputs.contains(&LockOutput::Close) && !table.lock.is_in_session());
    assert!(table.lock.response(Uptime(5_001), &[0x90, 0]).iter().all(|o| !matches!(o, LockOutput::Command(_))));
}

#[test]
fn a_certificate_that_was_loaded_is_told_apart() {
    let load = Some(CertificateCarrier::LoadCert);
    let mut table = Table::new(&own(), true, load, NOW);
    // The phone of the interop setting puts the subject's key into the salts, as a reader with LOAD CERT does.
    let seen = table.tap(0);
    assert_eq!(seen.instructions()[..4], [0xA4, 0x80, 0xD1, 0x81]);
    assert_eq!(seen.failure(), Some(Failure::Unauthentic));
    table.phone = TapPhone::new(parse(&own()).identity().unwrap(), true, SaltAnchor::Ca, Intent::Unlock);
    assert_eq!(table.tap(10).verdict(), (Reason::Granted, Path::StepUp, false));
    assert_eq!(table.tap(3_000).verdict(), (Reason::Granted, Path::Fast, false));
}

#[test]
fn an_issuer_with_a_certificate_is_for_others_only() {
    let Some((vectors, _)) = worked() else { return };
    let (site, member) = (Site::new("north"), Member::new("ada"));
    // The certificate of the published file names its reader key: here it is an issuer's.
    let private = hex(&vectors["keys"]["reader_private"]).try_into().unwrap();
    let mut issuer = RustSigner::from_bytes(&private).unwrap();
    let chain = Value::bytes(&hex(&vectors["certificate_profile0000"]["x509_der"]));
    let mut spec = site.access(&member, &site.access_spec(&member));
    spec.unprotected = vec![(Value::Uint(33), chain)];
    let mut file = file(&site, &member);
    file["keys"]["issuer_public"] = vectors["keys"]["site_ca_public"].clone();
    file["access_document"]["document"] = Word::Apdu(spec.sign(&mut issuer).encode()).to_string().into();
    for (interop, expected) in [(true, Reason::Granted), (false, Reason::NotTrusted)] {
        let mut table = Table::new(&file, interop, None, NOW);
        assert_eq!(table.tap(0).verdict().0, expected);
        if interop {
            assert_eq!(table.tap(3_000).verdict(), (Reason::Granted, Path::Fast, false));
        }
    }
    // Another key's certificate proves nothing.
    file["keys"]["issuer_public"] = vectors["keys"]["issuer_public"].clone();
    let lock = parse(&file).provision(true, None, NOW).unwrap();
    assert!(parse(&file).identity().is_err());
    file["keys"]["issuer_public"] = vectors["keys"]["site_ca_public"].clone();
    let mut table = Table::new(&file, true, None, NOW);
    table.lock = TapLock::new(lock).unwrap();
    assert_eq!(table.tap(0).verdict().0, Reason::NotTrusted);
}

#[test]
fn strangers_get_no_signature_and_no_reason() {
    let mut theirs = file(&Site::new("south"), &Member::new("ada"));
    let mut table = Table::new(&own(), false, AUTH1, NOW);
    table.phone = TapPhone::new(parse(&theirs).identity().unwrap(), false, SaltAnchor::Ca, Intent::Unlock);
    let seen = table.tap(0);
    assert_eq!(seen.instructions(), [0xA4, 0x80, 0x81, 0x3C]);
    assert_eq!((seen.responses[2].clone(), seen.failure()), (unhex("6982"), Some(Failure::Rejected)));
    assert_eq!(seen.told.last(), Some(&Told::Ended(InitiatorError::UnknownGroup)));

    // A phone of the site without a document proves itself, and is told that it is not known.
    theirs = own();
    theirs.as_object_mut().unwrap().remove("access_document");
    table.phone = TapPhone::new(parse(&theirs).identity().unwrap(), false, SaltAnchor::Ca, Intent::Unlock);
    let seen = table.tap(10);
    assert_eq!((seen.verdict().0, seen.bolts), (Reason::KeyUnknown, 0));

    // The two settings do not know each other's application.
    table.phone = TapPhone::new(parse(&own()).identity().unwrap(), true, SaltAnchor::Ca, Intent::Unlock);
    let seen = table.tap(20);
    assert_eq!((seen.responses[0].clone(), seen.failure()), (unhex("6a82"), Some(Failure::Rejected)));
}

#[test]
fn a_phone_answers_each_line_once_whatever_it_is() {
    let mut phone = Table::new(&own(), false, AUTH1, NOW).phone;
    let mut told = Vec::new();
    let mut lines = Script::new([
        word("80810000"),
        Arrived::Garbage(2, LineError::Odd(3)),
        word("00a4040008f04b455942544e0100"),
        word("ff"),
        word("00c0000000"),
        word("00a4040008f04b455942544e0100"),
        Arrived::Word(Word::Close),
        word("8080000001aa"),
        Arrived::Word(Word::Reset),
        word("00a4040008f04b455942544e0200"),
    ]);
    serve_phone(&mut phone, &mut lines, || NOW, &mut |note| told.push(note)).unwrap();
    let sent: Vec<_> = lines.sent.iter().map(|word| word[word.len() - 4..].to_owned()).collect();
    assert_eq!(sent, ["6985", "6700", "9000", "6700", "6985", "9000", "6985", "6a82"]);
    assert!(told.contains(&Note::Garbage(2, LineError::Odd(3))));

    // The stream ends in the middle of a session, or of a line.
    let mut lines = Script::new([word("00a4040008f04b455942544e0100")]);
    let cut = serve_phone(&mut phone, &mut lines, || NOW, &mut |_| {}).unwrap_err();
    assert_eq!(cut.code, "apdu-session-cut");
    phone.close();
    let mut lines = Script::new([Arrived::Garbage(1, LineError::Cut)]);
    assert_eq!(serve_phone(&mut phone, &mut lines, || NOW, &mut |_| {}).unwrap_err().code, "apdu-session-cut");
    assert!(lines.sent.is_empty());
}

#[test]
fn a_lock_outlives_what_a_peer_does_wrong() {
    let mut lock = Table::new(&own(), false, AUTH1, NOW).lock;
    let mut told = Vec::new();
    let mut lines = Script::new([
        Arrived::Garbage(1, LineError::NotHex(1)),
        word("9000"),
        Arrived::Word(Word::Tap),
        word("6a82"),
        word("9000"),
        Arrived::Word(Word::Reset),
        Arrived::Word(Word::Reset),
        Arrived::Word(Word::Close),
        Arrived::Word(Word::Close),
    ]);
    let select = "00a4040008f04b455942544e0100";
    serve_lock(&mut lock, &mut lines, &mut Run::new(Taps::AsAsked), &mut |note| told.push(note)).unwrap();
    assert_eq!(lines.sent, [select, "close", select, CONTROL_FLOW, "close", select, select, "close"]);
    assert!(told.contains(&Note::Stray));

    let mut lines = Script::new([]);
    let mut run = Run::new(Taps::AsAsked);
    let cut = serve_lock(&mut lock, &mut lines, &mut run, &mut |_| {}).unwrap_err();
    assert_eq!((cut.code.as_str(), &lines.sent[..]), ("apdu-session-cut", &[select.to_owned()][..]));

    // As many taps as it was told to begin.
    let mut run = Run::new(Taps::Left(2));
    let mut lines = Script::new([Arrived::Word(Word::Close), Arrived::Word(Word::Close), word("9000")]);
    serve_lock(&mut lock, &mut lines, &mut run, &mut |_| {}).unwrap();
    assert_eq!(lines.sent, [select, "close", select, "close"]);
    assert!(run.is_over());
}

#[test]
fn no_secret_is_shown() {
    let file = own();
    let secrets: Vec<&str> =
        ["reader_private", "device_private"].iter().map(|name| file["keys"][name].as_str().unwrap()).collect();
    let key_file = parse(&file);
    let shown = format!(
        "{key_file:?} {:?} {:?} {:?}",
        key_file.provision(false, AUTH1, NOW).unwrap(),
        key_file.identity().unwrap(),
        Table::new(&file, false, AUTH1, NOW).lock
    );
    let mut messages = vec![shown];
    for (name, wrong) in [
        ("reader_private", Json::from(format!("{}0", secrets[0]))),
        ("reader_private", Json::from(format!("{}00", secrets[0]))),
        ("reader_private", Json::from(format!("x{}", secrets[0]))),
        ("reader_private", json!([secrets[0]])),
        ("reader_private", json!({ "key": secrets[0] })),
        ("group_identifier", Json::from(secrets[0])),
        ("reader_public", Json::from(secrets[0])),
        ("issuer_kid", Json::from(secrets[0])),
    ] {
        let mut file = file.clone();
        file["keys"][name] = wrong;
        let failure = KeyFile::parse(&file.to_string(), "file").and_then(|file| file.provision(false, AUTH1, NOW));
        let failure = failure.err().unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(failure.code, "key-file-unusable");
        messages.push(format!("{failure:?} {failure}"));
    }
    for message in messages {
        for secret in &secrets {
            // Any eight bytes of one would be too much.
            let leaked = (0..secret.len() - 16).any(|at| message.contains(&secret[at..at + 16]));
            assert!(!leaked, "{message}");
        }
    }
}

#[test]
fn a_file_that_does_not_fit_says_where() {
    type Change = fn(&mut Json);
    let cases: [(&str, Change); 7] = [
        ("`reader_private` is missing", |file| drop(file["keys"]["reader_private"].take())),
        ("`issuer_public` is missing", |file| drop(file["keys"]["issuer_public"].take())),
        ("`group_identifier` has 15 bytes instead of 16", |file| {
            file["keys"]["group_identifier"] = "00".repeat(15).into();
        }),
        ("`site_ca_public` is no point of P-256", |file| {
            file["keys"]["site_ca_public"] = format!("04{}", "11".repeat(64)).into();
        }),
        ("`elements`", |file| file["elements"] = json!(["lobby"])),
        ("`access_document` has neither", |file| file["access_document"] = json!({})),
        ("`access_document` does not decode", |file| file["access_document"]["document"] = "a0".into()),
    ];
    for (message, change) in cases {
        let mut file = own();
        change(&mut file);
        let failure = parse(&file).provision(false, AUTH1, NOW).expect_err(message);
        assert!(failure.message.contains(message), "{failure}");
    }
    let mut file = own();
    let other = Site::new("south");
    file["access_document"]["document"] = Word::Apdu(other.document(&Member::new("ada"))).to_string().into();
    let failure = parse(&file).identity().unwrap_err();
    assert!(failure.message.contains("`access_document` does not verify"), "{failure}");

    let failure = KeyFile::parse("{\n\"keys\": 5}", "keys.json").unwrap_err();
    assert_eq!(failure.message, "keys.json: line 2, column 9: a value of another kind than expected");
    assert!(KeyFile::parse("{", "keys.json").unwrap_err().message.contains("not JSON"));
    // The fields of `keys` may stand at the top.
    let mut flat = own()["keys"].clone();
    flat["elements"] = json!(["site", "z0003"]);
    assert!(parse(&flat).provision(true, None, NOW).is_ok());
}

/// Says a list of lines, then closes; keeps what was sent.
struct Script {
    lines: VecDeque<Arrived>,
    sent: Vec<String>,
}

impl Script {
    fn new(lines: impl Into<VecDeque<Arrived>>) -> Self {
        Self { lines: lines.into(), sent: Vec::new() }
    }
}

impl Pipe for Script {
    fn send(&mut self, word: &Word) -> io::Result<()> {
        self.sent.push(word.to_string());
        Ok(())
    }

    fn receive(&mut self, _: Option<Instant>) -> Option<Arrived> {
        Some(self.lines.pop_front().unwrap_or(Arrived::Ended))
    }
}

fn word(hex: &str) -> Arrived {
    Arrived::Word(Word::Apdu(unhex(hex)))
}
