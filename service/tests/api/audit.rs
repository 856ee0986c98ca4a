use keybutton_protocol::{
    api::{AccessRefusal, AuditAcknowledged, Decision, ReportPress, UploadAudit},
    audit::{Checkpoint, Head, RECORD_LEN, Record, RecordType, seal, write_plaintext},
    crypto::ring::{Ring, RingSigner},
    document::credential_id,
    ids::{CredentialId, Interface, PublicKey, UnixTime, UnlockId},
    token::AckToken,
    verdict::Reason,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{NOW, Phone, Reply, Tenant, TestLock, World};

/// A lock's audit as the lock keeps it.
struct Chain {
    records: Vec<[u8; RECORD_LEN]>,
    heads: Vec<Head>,
}

impl Chain {
    fn new(lock: &TestLock) -> Self {
        Self { records: Vec::new(), heads: vec![Head::genesis(&Ring::new(), &lock.reader_id())] }
    }

    fn add(
        &mut self,
        record_type: RecordType,
        reason: Reason,
        credential: CredentialId,
        access_id: &[u8],
        press: [u8; 16],
    ) {
        let head = *self.heads.last().unwrap();
        let mut padded = [0; 16];
        padded[..access_id.len()].copy_from_slice(access_id);
        let record = Record {
            record_type,
            reason: reason.code(),
            status: 0,
            number: head.number + 1,
            time: UnixTime(NOW + 5),
            clock_state: 2,
            interface: Some(Interface::Ble),
            battery: 80,
            flags: 0,
            credential,
            access_id: padded,
            unlock_id: UnlockId(press),
            previous: head.hash,
        };
        let bytes = record.to_bytes();
        self.heads.push(head.follow(&Ring::new(), &bytes).unwrap().1);
        self.records.push(bytes);
    }

    fn verdict(&mut self, reason: Reason, phone: &Phone, access_id: &[u8], press: [u8; 16]) {
        self.add(RecordType::Verdict, reason, credential_id(&Ring::new(), &phone.public_key()), access_id, press);
    }

    fn plain(&mut self, record_type: RecordType) {
        self.add(record_type, Reason::Granted, CredentialId([0; 16]), &[], [0; 16]);
    }

    /// Seals the records with these numbers, signed by `key`.
    fn seal(&self, lock: &TestLock, numbers: std::ops::RangeInclusive<usize>, key: &RingSigner) -> UploadAudit {
        let reader = lock.reader_id();
        let head = self.heads[*numbers.end()];
        let time = UnixTime(NOW + 9);
        let checkpoint = Checkpoint { reader, head, time };
        let signature = key.sign_shared(&checkpoint.to_bytes()).unwrap();
        let mut out = [0; 2048];
        let records = &self.records[*numbers.start() - 1..*numbers.end()];
        let len = write_plaintext(&signature, time, records.iter(), &mut out[65..]).unwrap();
        let audit_key = PublicKey::from_slice(&lock.provision.audit_key.0).unwrap();
        let len = seal(&mut Ring::new(), &audit_key, &reader, len, &mut out).unwrap();
        UploadAudit { reader_id: reader.0.into(), envelope: out[..len].into() }
    }
}

async fn upload(world: &World, tenant: &Tenant, envelope: &UploadAudit) -> Reply {
    world.call(tenant, "ada", Method::POST, "/v1/audit", envelope).await
}

async fn acknowledged(world: &World, tenant: &Tenant, lock: &TestLock, envelope: &UploadAudit) -> AckToken {
    let answer: AuditAcknowledged = upload(world, tenant, envelope).await.json();
    assert_eq!(answer.ack.sub_id, lock.provision.sub_id);
    let (_, ack) = AckToken::open(&Ring::new(), &answer.ack.token.0, |kid| lock.issuer(&kid.0)).unwrap();
    assert_eq!((ack.number, ack.reader), (answer.number, lock.reader_id()));
    ack
}

async fn setup() -> (World, Tenant, TestLock, Phone) {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let phone = world.phone(&tenant, "ada", &[&lock.door]).await;
    (world, tenant, lock, phone)
}

#[tokio::test]
async fn an_envelope_is_stored_once_and_acknowledged() {
    let (world, tenant, lock, phone) = setup().await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    let mut chain = Chain::new(&lock);
    chain.plain(RecordType::Start);
    chain.verdict(Reason::Granted, &phone, &site.access_id.0, [1; 16]);
    chain.verdict(Reason::OutsideSchedule, &phone, &site.access_id.0, [2; 16]);
    let envelope = chain.seal(&lock, 1..=3, &lock.key);
    for _ in 0..2 {
        let ack = acknowledged(&world, &tenant, &lock, &envelope).await;
        assert_eq!((ack.number, ack.hash, ack.time.0), (3, chain.heads[3].hash, NOW));
    }
    let events: Value = world.operate(&tenant, Method::GET, "events?kind=lock-verdict", Value::Null).await.json();
    let events = events.as_array().unwrap();
    assert_eq!(events.len(), 2, "the second time changed nothing");
    assert_eq!(events[0]["data"]["reason"], "outside-schedule");
    assert_eq!((&events[1]["data"]["outcome"], &events[1]["member"]), (&json!("opened"), &json!(phone.member)));
    // Every phone of the site carries the newest token back.
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    assert_eq!(site.ack_tokens.len(), 1);
    let (_, carried) = AckToken::open(&Ring::new(), &site.ack_tokens[0].token.0, |kid| lock.issuer(&kid.0)).unwrap();
    assert_eq!(carried.number, 3);
}

#[tokio::test]
async fn envelopes_may_overlap_and_come_out_of_order() {
    let (world, tenant, lock, _) = setup().await;
    let mut chain = Chain::new(&lock);
    (0..9).for_each(|_| chain.plain(RecordType::Door));
    let envelope = |numbers| chain.seal(&lock, numbers, &lock.key);
    assert_eq!(acknowledged(&world, &tenant, &lock, &envelope(1..=2)).await.number, 2);
    // The middle is still under way: what comes after it is kept, but not acknowledged.
    assert_eq!(acknowledged(&world, &tenant, &lock, &envelope(6..=7)).await.number, 2);
    assert_eq!(acknowledged(&world, &tenant, &lock, &envelope(2..=6)).await.number, 7);
    assert_eq!(acknowledged(&world, &tenant, &lock, &envelope(8..=9)).await.number, 9);
}

#[tokio::test]
async fn records_a_lock_reports_lost_are_passed_over() {
    let (world, tenant, lock, _) = setup().await;
    let mut chain = Chain::new(&lock);
    (0..5).for_each(|_| chain.plain(RecordType::Door));
    chain.plain(RecordType::Lost);
    assert_eq!(acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 1..=1, &lock.key)).await.number, 1);
    assert_eq!(acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 4..=6, &lock.key)).await.number, 6);
    let lost: Value = world.operate(&tenant, Method::GET, "events?kind=audit-lost", Value::Null).await.json();
    assert_eq!((&lost[0]["data"]["from"], &lost[0]["data"]["until"]), (&json!(2), &json!(3)));
}

#[tokio::test]
async fn forged_envelopes_are_refused() {
    let (world, tenant, lock, _) = setup().await;
    let other = world.locked_door(&tenant, "Back").await;
    let mut chain = Chain::new(&lock);
    (0..3).for_each(|_| chain.plain(RecordType::Door));
    // Signed by another lock of the same site.
    let by_other = chain.seal(&lock, 1..=3, &other.key);
    assert_eq!(upload(&world, &tenant, &by_other).await.problem(), "audit-forged");
    // A record altered after signing.
    let mut altered = Chain { records: chain.records.clone(), heads: chain.heads.clone() };
    altered.records[1][2] = Reason::Revoked.code();
    assert_eq!(upload(&world, &tenant, &altered.seal(&lock, 1..=3, &lock.key)).await.problem(), "audit-forged");
    // A record left out.
    altered.records = vec![chain.records[0], chain.records[2], chain.records[2]];
    assert_eq!(upload(&world, &tenant, &altered.seal(&lock, 1..=3, &lock.key)).await.problem(), "audit-forged");
    // One bit of the envelope.
    let mut bit = chain.seal(&lock, 1..=3, &lock.key);
    bit.envelope.0[100] ^= 1;
    assert_eq!(upload(&world, &tenant, &bit).await.problem(), "audit-unreadable");
    // Another lock's name on it.
    let renamed = UploadAudit { reader_id: other.reader_id().0.into(), ..chain.seal(&lock, 1..=3, &lock.key) };
    assert_eq!(upload(&world, &tenant, &renamed).await.problem(), "audit-unreadable");
    let unknown = UploadAudit { reader_id: [9; 32].into(), ..chain.seal(&lock, 1..=3, &lock.key) };
    assert_eq!(upload(&world, &tenant, &unknown).await.problem(), "unknown-lock");
    for envelope in [vec![], vec![4; 65], vec![4; 3000]] {
        let bad = UploadAudit { reader_id: lock.reader_id().0.into(), envelope: envelope.into() };
        assert_eq!(upload(&world, &tenant, &bad).await.problem(), "audit-unreadable");
    }
    let events: Value = world.operate(&tenant, Method::GET, "events?kind=lock-door", Value::Null).await.json();
    assert_eq!(events, json!([]));
    assert_eq!(acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 1..=3, &lock.key)).await.number, 3);
}

#[tokio::test]
async fn a_rewritten_history_is_told() {
    let (world, tenant, lock, _) = setup().await;
    let mut chain = Chain::new(&lock);
    (0..4).for_each(|_| chain.plain(RecordType::Door));
    acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 1..=3, &lock.key)).await;
    let mut rewritten = Chain::new(&lock);
    (0..5).for_each(|_| rewritten.plain(RecordType::Start));
    for numbers in [1..=3, 3..=4, 4..=5] {
        assert_eq!(upload(&world, &tenant, &rewritten.seal(&lock, numbers, &lock.key)).await.problem(), "audit-broken");
    }
    assert_eq!(acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 4..=4, &lock.key)).await.number, 4);
}

#[tokio::test]
async fn an_envelope_without_records_confirms_the_head() {
    let (world, tenant, lock, _) = setup().await;
    let mut chain = Chain::new(&lock);
    chain.plain(RecordType::Start);
    acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 1..=1, &lock.key)).await;
    let nothing = std::ops::RangeInclusive::new(2, 1);
    assert_eq!(acknowledged(&world, &tenant, &lock, &chain.seal(&lock, nothing, &lock.key)).await.number, 1);
}

#[tokio::test]
async fn a_press_is_joined_with_the_locks_word_as_the_truth() {
    let (world, tenant, lock, phone) = setup().await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    let report = |press: [u8; 16], outcome: &str| ReportPress {
        press: press.into(),
        device: phone.device.id.clone(),
        door: Some(lock.door.clone()),
        outcome: outcome.into(),
        code: (outcome != "opened").then(|| "link-lost".into()),
        started: NOW,
        took_ms: 420,
    };
    let send = async |report: &ReportPress| world.call(&tenant, "ada", Method::POST, "/v1/presses", report).await;
    assert_eq!(send(&report([1; 16], "unconfirmed")).await.status, 204);
    assert_eq!(send(&report([1; 16], "opened")).await.status, 204, "a second report is taken and changes nothing");
    let presses = async || -> Value { world.operate(&tenant, Method::GET, "presses", Value::Null).await.json() };
    let only = presses().await;
    assert_eq!((&only[0]["outcome"], &only[0]["witness"]), (&json!("unconfirmed"), &json!("phone")));
    let mut chain = Chain::new(&lock);
    chain.verdict(Reason::Granted, &phone, &site.access_id.0, [1; 16]);
    acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 1..=1, &lock.key)).await;
    let joined = presses().await;
    assert_eq!(joined.as_array().unwrap().len(), 1);
    assert_eq!((&joined[0]["outcome"], &joined[0]["witness"]), (&json!("opened"), &json!("lock")));
    assert_eq!(joined[0]["phone"]["outcome"], "unconfirmed");
    assert_eq!(joined[0]["member"], json!(phone.member));

    for bad in [
        ReportPress { outcome: "maybe".into(), ..report([2; 16], "opened") },
        ReportPress { code: Some("Not A Code".into()), ..report([2; 16], "refused") },
        ReportPress { press: vec![1; 15].into(), ..report([2; 16], "opened") },
    ] {
        assert_eq!(send(&bad).await.problem(), "bad-request");
    }
    let mut stranger = report([2; 16], "opened");
    stranger.device = keybutton_protocol::api::DeviceId("dev_x".into());
    assert_eq!(send(&stranger).await.problem(), "device-not-enrolled");
    let mut nowhere = report([2; 16], "opened");
    nowhere.door = Some(keybutton_protocol::api::DoorId("dor_x".into()));
    assert_eq!(send(&nowhere).await.problem(), "not-found");
}

#[tokio::test]
async fn uses_counted_by_the_lock_are_taken_off_other_keys() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let lock = world.locked_door(&tenant, "Front").await;
    let restrictions = json!({ "use_limit": 3 });
    let group = world.group(&tenant, json!({ "doors": [lock.door], "restrictions": restrictions })).await;
    let member = world.member(&tenant, "ada").await;
    world.grant(&tenant, &member, &group).await;
    let first = world.enrol(&tenant, &member, "ada").await;
    let second = world.enrol(&tenant, &member, "ada").await;
    let key = world.bundle(&tenant, &first).await.sites.remove(0);
    let mut chain = Chain::new(&lock);
    chain.verdict(Reason::Granted, &first, &key.access_id.0, [1; 16]);
    chain.verdict(Reason::Granted, &first, &key.access_id.0, [2; 16]);
    acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 1..=2, &lock.key)).await;
    let limit = async |phone: &Phone| {
        let site = world.bundle(&tenant, phone).await.sites.remove(0);
        lock.read_key(&site.document, &phone.public_key(), NOW)[0].1.restrictions.use_limit
    };
    // The lock goes on counting under the same identifier; another identifier starts at what is left.
    assert_eq!((limit(&first).await, limit(&second).await), (Some(3), Some(1)));
    let decision = async || world.rights(&tenant, &second).await.doors[0].decision.clone();
    assert!(matches!(decision().await, Decision::Allow { .. }));
    chain.verdict(Reason::Granted, &first, &key.access_id.0, [3; 16]);
    acknowledged(&world, &tenant, &lock, &chain.seal(&lock, 3..=3, &lock.key)).await;
    assert_eq!(decision().await, Decision::Refuse { reason: AccessRefusal::UseLimit });
}
