//! What locks and phones say about presses: audit envelopes and press reports.

use axum::http::HeaderMap;
use keybutton_protocol::{
    api::{AckToken, AuditAcknowledged, Bytes, ReportPress, UploadAudit},
    audit::{Envelope, Head, RECORD_LEN, Record, RecordType, genesis, verify_chain},
    crypto::ring::Ring,
    ids::{Interface, ReaderId, UnixTime},
    token,
    verdict::Reason,
};
use serde_json::json;

use super::{MemberCall, Service, calls::Hold, sign::key_label};
use crate::{
    events,
    problem::{Answer, Code, Problem},
    random,
    store::{Ack, AuditRecord, Change, Device, Lock, Press, PressFilter, Purpose, SiteState, Unit},
};

/// How many stored records one acknowledgement walks over.
const WALK: u32 = 4096;

const OUTCOMES: [&str; 3] = ["opened", "refused", "unconfirmed"];

/// Records of an envelope that are genuine, decoded and as they are stored.
type Genuine = Vec<(Record, AuditRecord)>;

impl Service {
    /// `POST /v1/audit`: stores what a lock's envelope says and answers with an ACK token. The same envelope again changes
    /// nothing and is answered the same way.
    pub(crate) async fn upload_audit(&self, headers: &HeaderMap, request: &UploadAudit) -> Answer<AuditAcknowledged> {
        let reader =
            ReaderId::from_slice(&request.reader_id.0).ok_or_else(|| Problem::field("reader_id", "is not 32 bytes"))?;
        let call = self.member_call(headers, Hold::Alone).await?;
        call.member()?;
        let site =
            call.org.state.sites.iter().find(|site| site.site.group_id == reader.group()).ok_or(Code::UnknownLock)?;
        let lock = site.locks.iter().find(|lock| lock.sub_id == reader.sub()).ok_or(Code::UnknownLock)?;
        let key = call.org.state.audit_key.as_ref().ok_or(Code::Internal)?;
        let label = key_label(Purpose::Audit, &call.organization().0, None);
        let plaintext = self.inner.vault.open_audit(&label, &key.handle, &reader, &request.envelope.0)?;
        let envelope = Envelope::parse(&plaintext).map_err(|_| Problem::new(Code::AuditForged))?;
        let acked = self.acked(site, lock).await?;
        let genuine = self.verify(&envelope, reader, lock, &acked).await?;
        let (unit, head) = self.store_audit(&call, lock, &genuine, acked).await?;
        self.acknowledge(&call, site, lock, reader, unit, head).await
    }

    /// The newest record acknowledged so far.
    async fn acked(&self, site: &SiteState, lock: &Lock) -> Answer<Head> {
        let acks = self.store().acks(&site.site.id).await?;
        let number = acks.iter().find(|ack| ack.lock == lock.id).map_or(0, |ack| ack.number);
        let stored = if number == 0 { None } else { self.store().audit(&lock.id, number, 1).await?.into_iter().next() };
        let start = genesis(&Ring::new(), &lock.reader_id(site.site.group_id));
        Ok(stored.map_or(Head { number: 0, hash: start }, |record| Head { number: record.number, hash: record.hash }))
    }

    /// Checks signature and chain, and that nothing contradicts what is stored already.
    async fn verify(&self, envelope: &Envelope<'_>, reader: ReaderId, lock: &Lock, acked: &Head) -> Answer<Genuine> {
        let crypto = Ring::new();
        let forged = || Problem::new(Code::AuditForged);
        let Some(first) = envelope.first_number() else {
            envelope.verify(&crypto, reader, &lock.reader_key, *acked).map_err(|_| forged())?;
            return Ok(Genuine::new());
        };
        // A record ends with the hash of the one before it.
        let before = envelope.records.get(RECORD_LEN - 32..RECORD_LEN).and_then(|hash| hash.try_into().ok());
        let before: [u8; 32] = before.ok_or_else(forged)?;
        let number = first.checked_sub(1).ok_or_else(forged)?;
        let start = Head { number, hash: before };
        envelope.verify(&crypto, reader, &lock.reader_key, start).map_err(|_| forged())?;
        let records: Genuine = verify_chain(&crypto, start, envelope.records)
            .zip(envelope.records.chunks_exact(RECORD_LEN))
            .filter_map(|(step, bytes)| {
                let (record, head) = step.ok()?;
                let press = record.unlock_id.0;
                Some((record, AuditRecord { number: head.number, record: bytes.to_vec(), hash: head.hash, press }))
            })
            .collect();
        if number == 0 && before != genesis(&crypto, &reader) {
            return Err(Code::AuditBroken.into());
        }
        let around = u32::try_from(records.len()).unwrap_or(u32::MAX).saturating_add(2);
        let end = number.saturating_add(around - 1);
        for stored in self.store().audit(&lock.id, number, around).await? {
            let contradicts = if stored.number == number {
                stored.hash != before
            } else if stored.number == end {
                let previous = stored.record.get(RECORD_LEN - 32..).unwrap_or_default();
                records.last().is_some_and(|(_, last)| last.hash != *previous)
            } else {
                records.iter().any(|(_, record)| record.number == stored.number && record.hash != stored.hash)
            };
            if contradicts {
                tracing::warn!(lock = %lock.id, number = stored.number, "audit contradicts what the lock said before");
                return Err(Code::AuditBroken.into());
            }
        }
        Ok(records)
    }

    /// What has to be written for the records that are new, and the head that can be acknowledged then.
    ///
    /// Only an unbroken run is acknowledged: a lock forgets what is, and records in a gap may be on their way by another
    /// phone. A gap that the lock itself reports as lost is passed over.
    async fn store_audit(
        &self,
        call: &MemberCall,
        lock: &Lock,
        genuine: &Genuine,
        acked: Head,
    ) -> Answer<(Unit, Head)> {
        let mut unit = Unit::new();
        let mut known = self.store().audit(&lock.id, acked.number.saturating_add(1), WALK).await?;
        for (record, stored) in genuine {
            if stored.number <= acked.number || known.iter().any(|known| known.number == stored.number) {
                continue;
            }
            unit.push(Change::AddAudit(lock.id.clone(), stored.clone(), call.now));
            unit.extend(self.witness(call, lock, record).await?);
            known.push(stored.clone());
        }
        known.sort_by_key(|record| record.number);
        let lost = genuine.iter().any(|(record, _)| record.record_type == RecordType::Lost);
        let first = genuine.first().map_or(u32::MAX, |(_, record)| record.number);
        let mut head = acked;
        for record in known {
            let next = head.number.saturating_add(1);
            let skipped = lost && record.number >= first && record.number > next;
            if record.number != next && !skipped {
                break;
            }
            if skipped {
                let data = json!({ "from": next, "until": record.number - 1 });
                let actor = format!("lock:{}", lock.id);
                let event = events::by(call.organization(), call.now, "audit-lost", &actor).door(&lock.door);
                unit.push(Change::AddEvent(event.data(&data)));
            }
            head = Head { number: record.number, hash: record.hash };
        }
        Ok((unit, head))
    }

    async fn acknowledge(
        &self,
        call: &MemberCall,
        site: &SiteState,
        lock: &Lock,
        reader: ReaderId,
        mut unit: Unit,
        head: Head,
    ) -> Answer<AuditAcknowledged> {
        let issuer = site.issuer().ok_or(Code::Internal)?;
        let ack = token::AckToken { reader, number: head.number, hash: head.hash, time: UnixTime(call.now) };
        let token = self.ack_token(issuer, &ack)?;
        if head.number > 0 {
            unit.push(Change::PutAck(Ack { lock: lock.id.clone(), number: head.number, token: token.clone() }));
        }
        if !unit.is_empty() {
            self.inner.writer.commit(unit).await?;
            self.forget_acks(&site.site.id);
            // Use counters are part of members.
            self.forget_members(call.organization());
        }
        let ack = AckToken { sub_id: Bytes(lock.sub_id.0.to_vec()), token: Bytes(token) };
        Ok(AuditAcknowledged { number: head.number, ack })
    }

    /// What one record of a lock means for presses, use counters and events.
    async fn witness(&self, call: &MemberCall, lock: &Lock, record: &Record) -> Answer<Unit> {
        let organization = call.organization();
        let credential = &record.credential.0;
        let device = match record.record_type {
            RecordType::Verdict if *credential != [0; 16] => {
                self.store().device_by_credential(organization, credential).await?
            }
            _ => None,
        };
        let account = account(record);
        let mut event = events::by(organization, call.now, kind(record.record_type), &format!("lock:{}", lock.id));
        if let Some(device) = &device {
            event = events::with_device(event.member(&device.member), &device.id);
        }
        let mut unit = vec![Change::AddEvent(event.door(&lock.door).data(&account))];
        if record.record_type != RecordType::Verdict {
            return Ok(unit);
        }
        if record.unlock_id.0 != [0; 16] {
            unit.push(Change::JoinPress(Press {
                organization: organization.clone(),
                press: record.unlock_id.0,
                member: device.as_ref().map(|device| device.member.clone()),
                device: device.as_ref().map(|device| device.id.clone()),
                door: Some(lock.door.clone()),
                reported: None,
                witnessed: Some(account.to_string()),
                at: if record.time.0 == 0 { call.now } else { record.time.0 },
            }));
        }
        unit.extend(count_use(record, device.as_ref(), lock));
        Ok(unit)
    }

    /// `POST /v1/presses`: keeps a phone's own account of a press. The first account stays.
    pub(crate) async fn report_press(&self, headers: &HeaderMap, report: &ReportPress) -> Answer<()> {
        let press: [u8; 16] =
            report.press.0.as_slice().try_into().map_err(|_| Problem::field("press", "is not 16 bytes"))?;
        if !OUTCOMES.contains(&report.outcome.as_str()) {
            return Err(Problem::field("outcome", "has to be opened, refused or unconfirmed"));
        }
        let code_fits = |code: &String| {
            code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !report.code.as_ref().is_none_or(code_fits) {
            return Err(Problem::field("code", "has to be a kebab-case code of at most 64 characters"));
        }
        let call = self.member_call(headers, Hold::Shared).await?;
        let member = &call.member()?.record;
        let device = self.store().device(call.organization(), &report.device).await?;
        let device = device.filter(|device| device.member == member.member.id).ok_or(Code::DeviceNotEnrolled)?;
        if report.door.as_ref().is_some_and(|door| call.org.door(door).is_none()) {
            return Err(Code::NotFound.into());
        }
        let filter = PressFilter { press: Some(press), limit: 1, ..PressFilter::default() };
        let known = self.store().presses(call.organization(), &filter).await?;
        // Somebody else's press can't be spoken for.
        if known.iter().any(|known| known.member.as_ref().is_some_and(|of| *of != member.member.id)) {
            return Err(Code::Conflict.into());
        }
        if known.iter().any(|known| known.reported.is_some()) {
            return Ok(());
        }
        let account = json!({
            "outcome": report.outcome, "code": report.code, "started": report.started, "took_ms": report.took_ms,
        });
        let mut event = events::by_member(call.organization(), call.now, "press-reported", &member.member.id);
        event = events::with_device(event, &device.id);
        if let Some(door) = &report.door {
            event = event.door(door);
        }
        let data = json!({ "press": random::hex(&press), "account": account });
        let press = Press {
            organization: call.organization().clone(),
            press,
            member: Some(member.member.id.clone()),
            device: Some(device.id.clone()),
            door: report.door.clone(),
            reported: Some(account.to_string()),
            witnessed: None,
            at: call.now,
        };
        let unit = vec![Change::JoinPress(press), Change::AddEvent(event.data(&data))];
        Ok(self.inner.writer.commit(unit).await?)
    }
}

fn kind(record_type: RecordType) -> &'static str {
    match record_type {
        RecordType::Verdict => "lock-verdict",
        RecordType::Door => "lock-door",
        RecordType::Configuration => "lock-configuration",
        RecordType::TimeSet => "lock-time-set",
        RecordType::Revocation => "lock-revocation",
        RecordType::Start => "lock-start",
        RecordType::Lost => "lock-records-lost",
    }
}

/// A record as operators read it.
fn account(record: &Record) -> serde_json::Value {
    let interface = record.interface.map(|interface| match interface {
        Interface::Nfc => "nfc",
        Interface::Ble => "ble",
    });
    let verdict = record.record_type == RecordType::Verdict;
    let reason = Reason::from_code(record.reason);
    let opened = reason == Some(Reason::Granted);
    json!({
        "outcome": verdict.then_some(if opened { "opened" } else { "refused" }),
        "reason": verdict.then(|| reason.map(Reason::name)),
        "number": record.number,
        "lock_time": record.time.0,
        "interface": interface,
        "battery": (record.battery != 0xFF).then_some(record.battery),
        "press": (record.unlock_id.0 != [0; 16]).then(|| random::hex(&record.unlock_id.0)),
    })
}

/// A granted use under one of our access identifiers: 8 bytes, the rest padding.
fn count_use(record: &Record, device: Option<&Device>, lock: &Lock) -> Option<Change> {
    let (id, padding) = record.access_id.split_first_chunk::<8>()?;
    let ours = *id != [0; 8] && padding.iter().all(|byte| *byte == 0);
    let granted = Reason::from_code(record.reason) == Some(Reason::Granted);
    (ours && granted)
        .then(|| device.map(|device| Change::CountUse(*id, device.member.clone(), lock.id.clone())))
        .flatten()
}
