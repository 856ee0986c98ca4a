//! A lock made of the other half of the transaction: it remembers phones and verdicts, and counts its moves.

use std::collections::{HashMap, VecDeque};

use keybutton_protocol::{
    apdu::{Answer, CommandPieces, ResponseAssembler},
    crypto::ring::{Ring, RingSigner},
    document::{DeviceResponse, DocRequest, DocType, Expected, request::write_device_request, verify},
    exchange::SyncKind,
    ids::{Kpersistent, PublicKey, ReaderId, UnlockId},
    message::{self, Kind, MAX_MESSAGE},
    profile::{Profile, UserPolicy},
    reader::{
        self, Auth0Sent, Auth1Sent, Decided, Deciding, EnvelopeSent, ExchangeSent, Opened, Prepared, Setup,
        StepUpSelectSent,
    },
    verdict::{AuditHead, Reason, Report, Verdict},
};

use crate::keyring::fixture::World;

pub(crate) struct Lock {
    pub(crate) reader: ReaderId,
    /// Asks for the fast phase.
    pub(crate) fast: bool,
    /// Asks for documents unless it knows the phone.
    pub(crate) step_up: bool,
    pub(crate) policy: UserPolicy,
    pub(crate) reason: Reason,
    /// What it answers with, if not the press's own id.
    pub(crate) unlock_id: Option<UnlockId>,
    /// Asks for the time before its verdict.
    pub(crate) asks_time: bool,
    /// What it wants after its verdict.
    pub(crate) wants: VecDeque<Want>,
    pub(crate) moved: u32,
    pub(crate) got: Vec<Option<Vec<u8>>>,
    crypto: Ring,
    profile: Profile,
    key: RingSigner,
    certificate: Vec<u8>,
    anchor: PublicKey,
    issuer: PublicKey,
    known: Vec<(Kpersistent, PublicKey)>,
    verdicts: HashMap<UnlockId, Verdict>,
    step: Step,
}

#[derive(Clone, Debug)]
pub(crate) enum Want {
    Ask(SyncKind),
    HandOver(Vec<u8>),
}

#[allow(clippy::large_enum_variant)] // a test's lock
enum Step {
    Idle,
    Selected,
    Auth0(Auth0Sent<Ring>),
    Auth1(Auth1Sent<Ring>),
    SelectedAgain(StepUpSelectSent),
    Envelope(EnvelopeSent),
    Time(ExchangeSent<Deciding>),
    Verdict(ExchangeSent<Decided>),
    Sync(ExchangeSent<Decided>, Want),
}

impl Lock {
    pub(crate) fn new(world: &mut World, number: u16) -> Self {
        let (key, certificate) = world.lock_key(number);
        Self {
            reader: world.reader(number),
            fast: true,
            step_up: true,
            policy: UserPolicy::PhoneSetting,
            reason: Reason::Granted,
            unlock_id: None,
            asks_time: false,
            wants: VecDeque::new(),
            moved: 0,
            got: Vec::new(),
            crypto: Ring::new(),
            profile: Profile::PRODUCT,
            key,
            certificate,
            anchor: world.ca_key(),
            issuer: world.issuer_key(),
            known: Vec::new(),
            verdicts: HashMap::new(),
            step: Step::Idle,
        }
    }

    /// A new link.
    pub(crate) fn reset(&mut self) {
        self.step = Step::Idle;
    }

    /// Takes a whole message from the phone; returns the lock's next one. `None`: the lock is done and hangs up.
    pub(crate) fn message(&mut self, message: &mut [u8]) -> Option<Vec<u8>> {
        let (kind, payload) = message::parse_mut(message).unwrap();
        let command = match kind {
            Kind::Initiate => self.opened(Opened::from_initiate(payload).unwrap()),
            Kind::Response => self.response(payload),
            Kind::Command | Kind::Event | Kind::StatusChanged | Kind::Completed | Kind::Other { .. } => {
                panic!("a phone does not send {kind:?}")
            }
        };
        command.map(|command| match command {
            Word::Command(command) => {
                let mut out = [0; MAX_MESSAGE];
                let len = message::encode(&mut out, Kind::Command, &command).unwrap();
                out[..len].to_vec()
            }
            Word::Farewell(message) => message,
        })
    }

    /// By tap: runs the whole transaction, passing pieces through `phone`. Returns what the field saw last.
    pub(crate) fn tap(&mut self, mut phone: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
        let mut out = [0; 64];
        let len = reader::select(&self.profile, &mut out).unwrap();
        self.step = Step::Selected;
        let mut command = out[..len].to_vec();
        loop {
            let mut pieces = CommandPieces::new(&command, None).unwrap();
            let mut piece = [0; 300];
            let mut answer = Vec::new();
            while let Some(len) = pieces.next(&mut piece).unwrap() {
                let Some(answered) = phone(&piece[..len]) else { return };
                answer = answered;
            }
            let mut joined = ResponseAssembler::<2_050>::new();
            let mut response = loop {
                match joined.push(&answer).unwrap() {
                    Answer::More(get_response) => {
                        let Some(answered) = phone(&get_response) else { return };
                        answer = answered;
                    }
                    Answer::Complete(response) => break response.to_vec(),
                }
            };
            match self.response(&mut response) {
                Some(Word::Command(next)) => command = next,
                Some(Word::Farewell(_)) | None => return,
            }
        }
    }

    fn opened(&mut self, opened: Opened) -> Option<Word> {
        let prepared = Prepared::new(&mut self.crypto).unwrap();
        let setup = Setup {
            profile: &self.profile,
            reader: self.reader,
            anchor: self.anchor,
            certificate: Some(&self.certificate),
        };
        let mut out = [0; MAX_MESSAGE];
        let (sent, len) = opened.auth0(&setup, prepared, self.fast, self.policy, &mut out).unwrap();
        self.step = Step::Auth0(sent);
        Some(Word::Command(out[..len].to_vec()))
    }

    fn response(&mut self, response: &mut [u8]) -> Option<Word> {
        let mut out = [0; MAX_MESSAGE];
        let setup = Setup {
            profile: &self.profile,
            reader: self.reader,
            anchor: self.anchor,
            certificate: Some(&self.certificate),
        };
        let result = match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Idle => return None,
            Step::Selected => {
                let opened = Opened::from_select(&self.profile, response).unwrap();
                return self.opened(opened);
            }
            Step::Auth0(sent) => sent.response(&self.crypto, response).and_then(|done| {
                let known = self.known.iter().map(|(secret, key)| (secret, key));
                match done.find(&self.crypto, known)? {
                    Some(found) => done.into_fast(&self.crypto, found).map(Next::Decide),
                    None => done
                        .auth1(&setup, &mut self.key, &mut out)
                        .map(|(sent, len)| Next::Wait(Step::Auth1(sent), len)),
                }
            }),
            Step::Auth1(sent) => sent.response(&mut self.crypto, response).and_then(|deciding| {
                if !self.step_up {
                    return Ok(Next::Decide(deciding));
                }
                if deciding.needs_step_up_select() {
                    let (sent, len) = deciding.select_step_up(&mut out)?;
                    return Ok(Next::Wait(Step::SelectedAgain(sent), len));
                }
                self.ask_documents(deciding, &mut out)
            }),
            Step::SelectedAgain(sent) => {
                sent.response(response).and_then(|deciding| self.ask_documents(deciding, &mut out))
            }
            Step::Envelope(sent) => sent.response(&self.crypto, response).map(|(deciding, documents)| {
                let documents = DeviceResponse::parse(documents).unwrap();
                let device_key = deciding.peer().device_key;
                let mut verified = 0;
                for document in documents.documents() {
                    let document = document.unwrap();
                    let expected = match document.doc_type() {
                        "aliro-a" => Expected::Access { device_key: &device_key },
                        _ => Expected::Revocation,
                    };
                    verify(&self.crypto, &document, |_| Some(self.issuer), expected).unwrap();
                    verified += 1;
                }
                if verified == 0 {
                    self.reason = Reason::KeyUnknown;
                }
                Next::Decide(deciding)
            }),
            Step::Time(sent) => sent.reply(&self.crypto, response).map(|(deciding, reply)| {
                self.got.push(reply.object.map(<[u8]>::to_vec));
                Next::Decide(deciding)
            }),
            Step::Verdict(sent) | Step::Sync(sent, Want::Ask(_) | Want::HandOver(_)) => {
                sent.reply(&self.crypto, response).and_then(|(decided, reply)| {
                    assert!(reply.done);
                    if let Some(object) = reply.object {
                        self.got.push(Some(object.to_vec()).filter(|object| !object.is_empty()));
                    }
                    let Some(want) = self.wants.pop_front().filter(|_| decided.can_sync()) else {
                        return Ok(Next::Done);
                    };
                    let (sent, len) = match &want {
                        Want::Ask(kind) => decided.ask(&self.crypto, *kind, &mut out)?,
                        Want::HandOver(envelope) => decided.hand_over(&self.crypto, envelope, &mut out)?,
                    };
                    Ok(Next::Wait(Step::Sync(sent, want), len))
                })
            }
        };
        match result {
            Ok(Next::Done) => None,
            Ok(Next::Wait(step, len)) => {
                self.step = step;
                Some(Word::Command(out[..len].to_vec()))
            }
            Ok(Next::Decide(deciding)) => self.decide(deciding),
            Err(failure) => failure.farewell(&mut out).map(|len| Word::Farewell(out[..len].to_vec())),
        }
    }

    fn ask_documents(&self, deciding: Deciding, out: &mut [u8]) -> Result<Next, reader::Failure> {
        let element = keybutton_protocol::document::ElementName::lock(u16::from_be_bytes([
            self.reader.sub().0[0],
            self.reader.sub().0[1],
        ]));
        let requests = [
            DocRequest { doc_type: DocType::Access, elements: &[element.as_str(), "site"] },
            DocRequest { doc_type: DocType::Revocation, elements: &["r"] },
        ];
        let mut request = [0; 300];
        let len = write_device_request(&requests, &mut request).unwrap();
        let (sent, len) = deciding.envelope(&self.crypto, &request[..len], out)?;
        Ok(Next::Wait(Step::Envelope(sent), len))
    }

    fn decide(&mut self, deciding: Deciding) -> Option<Word> {
        let mut out = [0; MAX_MESSAGE];
        if std::mem::take(&mut self.asks_time) {
            let (sent, len) = deciding.ask(&self.crypto, SyncKind::TimeToken, &mut out).unwrap();
            self.step = Step::Time(sent);
            return Some(Word::Command(out[..len].to_vec()));
        }
        let press = deciding.peer().press.unwrap().unlock_id;
        let verdict = match self.verdicts.get(&press) {
            Some(verdict) => {
                let report = verdict.report.map(|report| Report { detail: 1, ..report });
                Verdict { report, ..*verdict }
            }
            None => {
                let id = self.unlock_id.unwrap_or(press);
                let verdict = Verdict::of_report(Report::new(self.reason, id, AuditHead::default()), false);
                self.verdicts.insert(press, verdict);
                if verdict.is_granted() {
                    self.moved += 1;
                }
                verdict
            }
        };
        if let Some(secret) = deciding.persistent().filter(|_| verdict.is_granted()) {
            let key = deciding.peer().device_key;
            self.known.retain(|(_, known)| *known != key);
            self.known.push((secret.clone(), key));
        }
        let (sent, len) = deciding.verdict(&self.crypto, &verdict, &mut out).unwrap();
        self.step = Step::Verdict(sent);
        Some(Word::Command(out[..len].to_vec()))
    }

    pub(crate) fn certificate_len(&self) -> u32 {
        u32::try_from(self.certificate.len()).unwrap()
    }

    pub(crate) fn forget_phones(&mut self) {
        self.known.clear();
    }
}

enum Word {
    Command(Vec<u8>),
    Farewell(Vec<u8>),
}

#[allow(clippy::large_enum_variant)] // a test's lock
enum Next {
    Wait(Step, usize),
    Decide(Deciding),
    Done,
}
