//! A phone made of the bare primitives: honest by default, and able to do everything wrong that a test wants.

use keybutton_protocol::{
    a5::{A5, PressInfo},
    apdu::{self, Command, Ins},
    buf::Buf,
    channel::{Channel, Cryptogram, Role},
    crypto::{Crypto, Signer, rustcrypto::RustSigner},
    document::session,
    exchange::{Reply, Request, SyncKind},
    ids::{Intent, Interface, Kpersistent, PublicKey, ReaderId, TransactionId, UnixTime, UnlockId},
    keys::{self, AuthenticationData, Kdh, Transcript, Usage},
    profile::{AID_EXPEDITED, AID_STEP_UP},
    signalling::Signalling,
    tdate,
    verdict::Verdict,
};

use super::{
    document::device_response,
    keys::{LockCrypto, seeded_crypto},
    site::{Member, NOW, Site},
    tlv::{find, tlv},
};

/// Changes a response before it is sent; gets the command's INS.
pub type Tamper = Box<dyn FnMut(Ins, &mut Vec<u8>)>;

/// Changes the plaintext of an AUTH1 answer before it is sealed.
pub type TamperIdentity = Box<dyn FnMut(&mut Vec<u8>)>;

/// A phone that answers a lock, command by command.
pub struct RawPhone {
    crypto: LockCrypto,
    /// The key it signs with.
    pub signer: RustSigner,
    /// The device key it claims to have, tag 5A.
    pub claims: PublicKey,
    /// What it signs for.
    pub usage: Usage,
    /// The x coordinate of the trust anchor it holds.
    pub anchor_x: [u8; 32],
    /// The A5 template it derives its keys with.
    pub a5: Vec<u8>,
    /// The A5 template it sends, where that is another one.
    pub a5_sent: Option<Vec<u8>>,
    /// The documents it shows, whatever it is asked for.
    pub documents: Vec<Vec<u8>>,
    /// The whole DeviceResponse it answers with, in place of [`RawPhone::documents`].
    pub device_response: Option<Vec<u8>>,
    /// The `signed` time of the access document it announces.
    pub access_signed: Option<UnixTime>,
    /// The `signed` time of the revocation document it announces.
    pub revocation_signed: Option<UnixTime>,
    /// What it shares with the lock.
    pub kpersistent: Option<Kpersistent>,
    /// The cryptogram it sends even when it is not asked for one.
    pub cryptogram: Option<Vec<u8>>,
    /// The value of tag 42 it derives its keys with, where that is not the one received.
    pub policy: Option<u8>,
    /// What it hands over when asked.
    pub objects: Vec<(SyncKind, Vec<u8>)>,
    /// Changes responses.
    pub tamper: Option<Tamper>,
    /// Changes the plaintext of the AUTH1 answer.
    pub tamper_identity: Option<TamperIdentity>,
    /// What it has seen of the running transaction.
    pub seen: Seen,
    session: Option<Session>,
}

/// What a phone has seen of a transaction.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The commands, in order.
    pub commands: Vec<Vec<u8>>,
    /// The INS of the commands, in order.
    pub instructions: Vec<u8>,
    /// Its own answers, in order.
    pub responses: Vec<Vec<u8>>,
    /// The DeviceRequest, opened.
    pub device_request: Option<Vec<u8>>,
    /// The plaintexts of the EXCHANGEs.
    pub exchanges: Vec<Vec<u8>>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// The audit envelopes taken over.
    pub envelopes: Vec<Vec<u8>>,
    /// What the two agreed on for the next time.
    pub kpersistent: Option<Kpersistent>,
    /// An EXCHANGE or ENVELOPE did not open.
    pub unauthentic: bool,
}

struct Session {
    interface: Interface,
    data: AuthenticationData,
    expedited: Channel,
    fast: Option<Channel>,
    step_up: Channel,
    stepped_up: bool,
    authenticated: bool,
    kpersistent: Kpersistent,
}

impl RawPhone {
    /// A member's phone at a site, with the default document, about to press.
    pub fn new(site: &Site, member: &Member, seed: u64) -> Self {
        let mut crypto = seeded_crypto(seed);
        let mut id = [0; 16];
        crypto.random(&mut id).expect("test randomness does not fail");
        Self {
            crypto,
            signer: member.signer(),
            claims: member.key,
            usage: Usage::Phone,
            anchor_x: site.ca().public_key().x(),
            a5: press_a5(UnlockId(id), Intent::Unlock),
            a5_sent: None,
            documents: vec![site.document(member)],
            device_response: None,
            access_signed: Some(UnixTime(NOW.0 - 3_600)),
            revocation_signed: None,
            kpersistent: None,
            cryptogram: None,
            policy: None,
            objects: Vec::new(),
            tamper: None,
            tamper_identity: None,
            seen: Seen::default(),
            session: None,
        }
    }

    /// Presses again, with a new unlock id. Keeps the secret of the last transaction, as a phone does after a grant.
    pub fn press(&mut self, intent: Intent) -> UnlockId {
        let mut id = [0; 16];
        self.crypto.random(&mut id).expect("test randomness does not fail");
        self.press_as(UnlockId(id), intent);
        UnlockId(id)
    }

    /// Presses with this unlock id.
    pub fn press_as(&mut self, id: UnlockId, intent: Intent) {
        self.a5 = press_a5(id, intent);
        self.again();
    }

    /// Starts the next transaction of the same press.
    pub fn again(&mut self) {
        if let Some(key) = self.seen.kpersistent.take() {
            self.kpersistent = Some(key);
        }
        self.seen = Seen::default();
        self.session = None;
    }

    /// A phone of a third party: no unlock id, no intent.
    pub fn plain(&mut self) {
        self.a5 = A5::build(None, None).expect("fits").bytes().to_vec();
    }

    /// The A5 template as it goes out.
    pub fn a5_on_air(&self) -> &[u8] {
        self.a5_sent.as_deref().unwrap_or(&self.a5)
    }

    /// Answers a command; `None` to CONTROL FLOW, which has no answer.
    pub fn answer(&mut self, interface: Interface, command: &[u8]) -> Option<Vec<u8>> {
        let parsed = Command::parse(command).expect("the lock sends well-formed commands");
        let ins = parsed.meaning().expect("the lock sends known commands");
        self.seen.commands.push(command.to_vec());
        self.seen.instructions.push(parsed.ins);
        let mut response = match ins {
            Ins::Select => self.select(parsed.data),
            Ins::Auth0 => self.auth0(interface, parsed.data),
            Ins::LoadCert => vec![0x90, 0x00],
            Ins::Auth1 => self.auth1(),
            Ins::Envelope => self.envelope(parsed.data),
            Ins::Exchange => self.exchange(parsed.data),
            Ins::ControlFlow => return None,
            Ins::GetResponse => panic!("pieces are put together below"),
        };
        if let Some(tamper) = &mut self.tamper {
            tamper(ins, &mut response);
        }
        self.seen.responses.push(response.clone());
        Some(response)
    }

    fn select(&mut self, aid: &[u8]) -> Vec<u8> {
        assert!(aid == AID_EXPEDITED || aid == AID_STEP_UP, "the product's own application identifiers");
        let mut fci = tlv(0x84, aid);
        // The template of the step-up application enters no key: it says nothing of the press.
        match aid == AID_STEP_UP {
            true => fci.extend(tlv(0xA5, &[0x80, 0x02, 0x00, 0x00, 0x5C, 0x02, 0x01, 0x00])),
            false => fci.extend(self.a5_on_air()),
        }
        ok(tlv(0x6F, &fci))
    }

    fn auth0(&mut self, interface: Interface, data: &[u8]) -> Vec<u8> {
        let field = |tag| find(data, tag).expect("AUTH0 is complete");
        let array = |tag: u16| -> [u8; 1] { field(tag).try_into().expect("one byte") };
        let ([parameters], [policy]) = (array(0x41), array(0x42));
        let lock_ephemeral = PublicKey::from_slice(&field(0x87)).expect("65 bytes");
        let transaction = TransactionId::from_slice(&field(0x4C)).expect("16 bytes");
        let reader = ReaderId::from_slice(&field(0x4D)).expect("32 bytes");
        let (own, public) = self.crypto.generate_ephemeral().expect("test randomness does not fail");
        let transcript = Transcript {
            anchor_x: self.anchor_x,
            reader,
            interface,
            version: [1, 0],
            lock_ephemeral,
            device_ephemeral: public,
            transaction,
            parameters,
            policy: self.policy.unwrap_or(policy),
            a5: Buf::from_slice(&self.a5).expect("fits"),
            extensions: Buf::new(),
        };
        let z = self.crypto.agree(own, &lock_ephemeral).expect("the lock's ephemeral is a point");
        let kdh = Kdh::derive(&self.crypto, &z, &transaction);
        let standard = keys::standard(&self.crypto, &transcript, &kdh).expect("derives");
        let kpersistent = keys::persistent(&self.crypto, &transcript, &kdh, &self.claims).expect("derives");
        let data = match self.usage {
            Usage::Lock => AuthenticationData::for_lock(&reader, &public, &lock_ephemeral, &transaction),
            Usage::Phone => AuthenticationData::for_phone(&reader, &public, &lock_ephemeral, &transaction),
            Usage::Enrolment => AuthenticationData::for_enrolment(&reader.0),
            Usage::Claim => AuthenticationData::for_claim(&reader.0),
        };
        let mut response = tlv(0x86, &public.0);
        let mut fast = None;
        if parameters & 1 == 1 {
            let mut sealed = vec![0; 64];
            self.crypto.random(&mut sealed).expect("test randomness does not fail");
            if let Some(secret) = &self.kpersistent {
                let block = keys::fast(&self.crypto, &transcript, secret, &self.claims).expect("derives");
                let cryptogram = Cryptogram {
                    signalling: self.signalling(interface),
                    access_signed: self.access_signed,
                    revocation_signed: self.revocation_signed,
                };
                sealed = cryptogram.seal(&self.crypto, &block.cryptogram).expect("seals").to_vec();
                fast = Some(Channel::new(Role::Phone, block.expedited));
            }
            response.extend(tlv(0x9D, &sealed));
        } else if let Some(unasked) = &self.cryptogram {
            response.extend(tlv(0x9D, unasked));
        }
        self.session = Some(Session {
            interface,
            data,
            expedited: Channel::new(Role::Phone, standard.expedited),
            fast,
            step_up: Channel::new(Role::Phone, standard.step_up),
            stepped_up: false,
            authenticated: false,
            kpersistent,
        });
        ok(response)
    }

    fn signalling(&self, interface: Interface) -> Signalling {
        Signalling::of_phone(interface, self.access_signed.is_some(), self.revocation_signed.is_some(), true)
    }

    fn auth1(&mut self) -> Vec<u8> {
        let session = self.session.as_ref().expect("AUTH0 comes first");
        let signature = self.signer.sign(session.data.as_bytes()).expect("test keys sign");
        let bitmap = self.signalling(session.interface).0.to_be_bytes();
        let mut plaintext = tlv(0x5A, &self.claims.0);
        plaintext.extend(tlv(0x9E, &signature.0));
        plaintext.extend(tlv(0x5E, &bitmap));
        plaintext.extend(self.access_signed.map(|time| tlv(0x91, &tdate::format(time))).unwrap_or_default());
        plaintext.extend(self.revocation_signed.map(|time| tlv(0x92, &tdate::format(time))).unwrap_or_default());
        if let Some(tamper) = &mut self.tamper_identity {
            tamper(&mut plaintext);
        }
        let session = self.session.as_mut().expect("AUTH0 comes first");
        session.fast = None;
        session.authenticated = true;
        self.seen.kpersistent = Some(session.kpersistent.clone());
        ok(seal(&self.crypto, &mut session.expedited, &plaintext))
    }

    fn envelope(&mut self, data: &[u8]) -> Vec<u8> {
        let session = self.session.as_mut().expect("AUTH0 comes first");
        let (form, sealed) = session::unwrap(data).expect("the lock wraps its request");
        let mut sealed = sealed.to_vec();
        session.stepped_up = true;
        match session.step_up.open(&self.crypto, &[], &mut sealed) {
            Ok(request) => self.seen.device_request = Some(request.to_vec()),
            Err(_) => {
                self.seen.unauthentic = true;
                return vec![0x69, 0x82];
            }
        }
        let shown = self.device_response.clone().unwrap_or_else(|| device_response(&self.documents));
        let sealed = seal(&self.crypto, &mut session.step_up, &shown);
        let mut out = vec![0; sealed.len() + session::OVERHEAD_MAX];
        let len = session::wrap(form, &sealed, &mut out).expect("there is room");
        out.truncate(len);
        ok(out)
    }

    fn exchange(&mut self, data: &[u8]) -> Vec<u8> {
        let session = self.session.as_mut().expect("AUTH0 comes first");
        let channel = match &mut session.fast {
            Some(fast) if !session.authenticated => fast,
            _ if session.stepped_up => &mut session.step_up,
            _ => &mut session.expedited,
        };
        let mut sealed = data.to_vec();
        let Ok(plaintext) = channel.open(&self.crypto, &[], &mut sealed) else {
            self.seen.unauthentic = true;
            return vec![0x69, 0x82];
        };
        let plaintext = plaintext.to_vec();
        self.seen.exchanges.push(plaintext.clone());
        let reply = match Request::parse(&plaintext) {
            Ok(Request::Verdict(verdict)) => {
                self.seen.verdict = Some(verdict);
                Reply::DONE
            }
            Ok(Request::Ask(kind)) => {
                let held = self.objects.iter().find(|(held, _)| *held == kind);
                held.map_or(Reply::NONE, |(_, object)| Reply::object(object))
            }
            Ok(Request::HandOver(envelope)) => {
                self.seen.envelopes.push(envelope.to_vec());
                Reply::DONE
            }
            Ok(Request::Other) | Err(_) => Reply::DONE,
        };
        let mut text = vec![0; reply.encoded_len()];
        reply.encode(&mut text).expect("there is room");
        ok(seal(&self.crypto, channel, &text))
    }
}

/// The A5 template of a press.
pub fn press_a5(id: UnlockId, intent: Intent) -> Vec<u8> {
    A5::build(Some(PressInfo::new(id, intent)), None).expect("fits").bytes().to_vec()
}

/// Data and status word 9000.
pub fn ok(mut data: Vec<u8>) -> Vec<u8> {
    data.extend([0x90, 0x00]);
    data
}

/// Seals a record.
pub fn seal(crypto: &LockCrypto, channel: &mut Channel, plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = plaintext.to_vec();
    buffer.resize(plaintext.len() + 16, 0);
    channel.seal(crypto, &[], &mut buffer, plaintext.len()).expect("seals");
    buffer
}

/// The data and status word of a response.
pub fn split(response: &[u8]) -> (&[u8], u16) {
    let (data, status) = apdu::response(response).expect("a response has a status word");
    (data, status.0)
}
