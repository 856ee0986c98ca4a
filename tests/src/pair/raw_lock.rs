//! A lock made of the bare primitives: honest by default, and able to do everything wrong that a test wants.

use keybutton_protocol::{
    apdu::{self, Ins},
    buf::Buf,
    channel::{CRYPTOGRAM_LEN, Channel, Cryptogram, Role},
    crypto::{Crypto, Signer, rustcrypto::RustSigner},
    document::{
        DocType,
        request::{DocRequest, write_device_request},
        session::{self, Form},
    },
    ids::{AeadKey, Interface, Kpersistent, PublicKey, ReaderId, Signature, TransactionId, UnlockId},
    keys::{self, AuthenticationData, Kdh, Transcript, Usage},
    verdict::{AuditHead, Reason, Report, Verdict},
};

use super::{
    keys::{LockCrypto, seeded_crypto},
    raw_phone::{seal, split},
    site::Site,
    tlv::{find, tlv},
};

/// A lock that leads a phone through a transaction, command by command.
pub struct RawLock {
    /// Its crypto back end.
    pub crypto: LockCrypto,
    /// The key it signs with.
    pub signer: RustSigner,
    /// Who it says it is.
    pub reader: ReaderId,
    /// The x coordinate of the trust anchor it derives with.
    pub anchor_x: [u8; 32],
    /// The certificate in AUTH1.
    pub certificate: Option<Vec<u8>>,
    /// What it signs for.
    pub usage: Usage,
    /// Tag 41 of AUTH0: 1 asks for the fast phase.
    pub parameters: u8,
    /// Tag 42 of AUTH0.
    pub policy: u8,
    /// Tag 5C of AUTH0.
    pub version: [u8; 2],
    /// Tag 87 of AUTH0, where it is not the fresh key.
    pub ephemeral: Option<PublicKey>,
    /// Tag 4C of AUTH0, where it is not fresh.
    pub transaction: Option<TransactionId>,
    /// The key that seals towards the phone on the expedited channel, once AUTH1 is sent.
    pub reader_key: Option<AeadKey>,
    session: Option<Session>,
}

struct Session {
    own: Option<<LockCrypto as Crypto>::Ephemeral>,
    transcript: Transcript,
    kdh: Option<Kdh>,
    expedited: Option<Channel>,
    step_up: Option<Channel>,
    stepped_up: bool,
    form: Form,
}

/// What a phone answered to AUTH0.
#[derive(Clone, Debug)]
pub struct Auth0Answer {
    /// Its ephemeral key.
    pub ephemeral: PublicKey,
    /// Its cryptogram.
    pub cryptogram: Option<Vec<u8>>,
}

/// What a phone said of itself in AUTH1.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its device key.
    pub key: PublicKey,
    /// Its signature.
    pub signature: Signature,
    /// Whether the signature is right.
    pub verified: bool,
    /// The whole plaintext.
    pub plaintext: Vec<u8>,
    /// What the two may agree on for the next time.
    pub kpersistent: Kpersistent,
}

impl RawLock {
    /// An honest lock of a site.
    pub fn new(site: &Site, number: u16, seed: u64) -> Self {
        Self {
            crypto: seeded_crypto(seed),
            signer: site.reader_key(number),
            reader: site.reader_id(number),
            anchor_x: site.ca().public_key().x(),
            certificate: Some(site.certificate(number)),
            usage: Usage::Lock,
            parameters: 0,
            policy: 1,
            version: [1, 0],
            ephemeral: None,
            transaction: None,
            reader_key: None,
            session: None,
        }
    }

    /// AUTH0, to a phone that sent this A5 template.
    pub fn auth0(&mut self, interface: Interface, a5: &[u8]) -> Vec<u8> {
        let (own, public) = self.crypto.generate_ephemeral().expect("test randomness does not fail");
        let mut transaction = [0; 16];
        self.crypto.random(&mut transaction).expect("test randomness does not fail");
        let transaction = self.transaction.unwrap_or(TransactionId(transaction));
        let lock_ephemeral = self.ephemeral.unwrap_or(public);
        let mut data = tlv(0x41, &[self.parameters]);
        data.extend(tlv(0x42, &[self.policy]));
        data.extend(tlv(0x5C, &self.version));
        data.extend(tlv(0x87, &lock_ephemeral.0));
        data.extend(tlv(0x4C, &transaction.0));
        data.extend(tlv(0x4D, &self.reader.0));
        let transcript = Transcript {
            anchor_x: self.anchor_x,
            reader: self.reader,
            interface,
            version: [1, 0],
            lock_ephemeral,
            device_ephemeral: PublicKey([4; 65]),
            transaction,
            parameters: self.parameters,
            policy: self.policy,
            a5: Buf::from_slice(a5).expect("fits"),
            extensions: Buf::new(),
        };
        let form = match interface {
            Interface::Nfc => Form::Wrapped,
            Interface::Ble => Form::Bare,
        };
        self.session = Some(Session {
            own: Some(own),
            transcript,
            kdh: None,
            expedited: None,
            step_up: None,
            stepped_up: false,
            form,
        });
        command(Ins::Auth0, &data)
    }

    /// Takes the answer to AUTH0.
    pub fn auth0_answer(&mut self, response: &[u8]) -> Auth0Answer {
        let (data, status) = split(response);
        assert_eq!(status, 0x9000, "AUTH0 is answered");
        let ephemeral = PublicKey::from_slice(&find(data, 0x86).expect("an ephemeral key")).expect("65 bytes");
        let session = self.session.as_mut().expect("AUTH0 was sent");
        session.transcript.device_ephemeral = ephemeral;
        Auth0Answer { ephemeral, cryptogram: find(data, 0x9D) }
    }

    /// Opens a cryptogram, and goes on by the fast phase if it opens.
    pub fn fast(&mut self, secret: &Kpersistent, device_key: &PublicKey, cryptogram: &[u8]) -> Option<Cryptogram> {
        let session = self.session.as_mut().expect("AUTH0 was sent");
        let block = keys::fast(&self.crypto, &session.transcript, secret, device_key).expect("derives");
        let sealed: &[u8; CRYPTOGRAM_LEN] = cryptogram.try_into().expect("64 bytes");
        let opened = Cryptogram::open(&self.crypto, &block.cryptogram, sealed).ok()?;
        session.expedited = Some(Channel::new(Role::Lock, block.expedited));
        Some(opened)
    }

    /// AUTH1, signed and with the certificate.
    pub fn auth1(&mut self) -> Vec<u8> {
        let signature = self.signature();
        self.auth1_with(&signature)
    }

    /// The signature of AUTH1.
    pub fn signature(&mut self) -> Signature {
        let session = self.session.as_ref().expect("AUTH0 was sent");
        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = &session.transcript;
        let data = match self.usage {
            Usage::Lock => AuthenticationData::for_lock(reader, device_ephemeral, lock_ephemeral, transaction),
            Usage::Phone => AuthenticationData::for_phone(reader, device_ephemeral, lock_ephemeral, transaction),
            Usage::Enrolment => AuthenticationData::for_enrolment(&reader.0),
            Usage::Claim => AuthenticationData::for_claim(&reader.0),
        };
        self.signer.sign(data.as_bytes()).expect("test keys sign")
    }

    /// AUTH1 with any signature.
    pub fn auth1_with(&mut self, signature: &Signature) -> Vec<u8> {
        let mut data = tlv(0x41, &[1]);
        data.extend(tlv(0x9E, &signature.0));
        if let Some(certificate) = &self.certificate {
            data.extend(tlv(0x90, certificate));
        }
        self.derive();
        command(Ins::Auth1, &data)
    }

    fn derive(&mut self) {
        let session = self.session.as_mut().expect("AUTH0 was sent");
        let Some(own) = session.own.take() else { return };
        let z = self.crypto.agree(own, &session.transcript.device_ephemeral).expect("a point");
        let kdh = Kdh::derive(&self.crypto, &z, &session.transcript.transaction);
        let standard = keys::standard(&self.crypto, &session.transcript, &kdh).expect("derives");
        self.reader_key = Some(standard.expedited.reader.clone());
        session.expedited = Some(Channel::new(Role::Lock, standard.expedited));
        session.step_up = Some(Channel::new(Role::Lock, standard.step_up));
        session.kdh = Some(kdh);
    }

    /// Takes the answer to AUTH1.
    pub fn auth1_answer(&mut self, response: &[u8]) -> Identity {
        let (data, status) = split(response);
        assert_eq!(status, 0x9000, "AUTH1 is answered");
        let session = self.session.as_mut().expect("AUTH0 was sent");
        let mut sealed = data.to_vec();
        let expedited = session.expedited.as_mut().expect("AUTH1 was sent");
        let plaintext = expedited.open(&self.crypto, &[], &mut sealed).expect("the answer opens").to_vec();
        let key = PublicKey::from_slice(&find(&plaintext, 0x5A).expect("a key")).expect("65 bytes");
        let signature = Signature::from_slice(&find(&plaintext, 0x9E).expect("a signature")).expect("64 bytes");
        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = &session.transcript;
        let met = AuthenticationData::for_phone(reader, device_ephemeral, lock_ephemeral, transaction);
        let verified = self.crypto.verify(&key, met.as_bytes(), &signature).is_ok();
        let kdh = session.kdh.as_ref().expect("AUTH1 was sent");
        let kpersistent = keys::persistent(&self.crypto, &session.transcript, kdh, &key).expect("derives");
        Identity { key, signature, verified, plaintext, kpersistent }
    }

    /// ENVELOPE that asks for these elements of access documents.
    pub fn envelope(&mut self, elements: &[&str]) -> Vec<u8> {
        let mut request = [0; 512];
        let asked = [DocRequest { doc_type: DocType::Access, elements }];
        let len = write_device_request(&asked, &mut request).expect("there is room");
        self.envelope_of(&request[..len])
    }

    /// ENVELOPE with any content.
    pub fn envelope_of(&mut self, request: &[u8]) -> Vec<u8> {
        let session = self.session.as_mut().expect("AUTH0 was sent");
        session.stepped_up = true;
        let channel = session.step_up.as_mut().expect("AUTH1 was sent");
        let sealed = seal(&self.crypto, channel, request);
        command(Ins::Envelope, &wrapped(session.form, &sealed))
    }

    /// Takes the answer to ENVELOPE: the DeviceResponse.
    pub fn envelope_answer(&mut self, response: &[u8]) -> Vec<u8> {
        let (data, status) = split(response);
        assert_eq!(status, 0x9000, "ENVELOPE is answered");
        let session = self.session.as_mut().expect("AUTH0 was sent");
        let (form, sealed) = session::unwrap(data).expect("wrapped as asked");
        assert_eq!(form, session.form);
        let mut sealed = sealed.to_vec();
        let channel = session.step_up.as_mut().expect("AUTH1 was sent");
        channel.open(&self.crypto, &[], &mut sealed).expect("the answer opens").to_vec()
    }

    /// EXCHANGE with this plaintext, on the channel that is due.
    pub fn exchange(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let sealed = self.sealed(plaintext);
        command(Ins::Exchange, &sealed)
    }

    /// A record sealed on the channel that is due.
    pub fn sealed(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let session = self.session.as_mut().expect("AUTH0 was sent");
        let channel = if session.stepped_up { &mut session.step_up } else { &mut session.expedited };
        seal(&self.crypto, channel.as_mut().expect("authenticated"), plaintext)
    }

    /// Takes the answer to EXCHANGE.
    pub fn exchange_answer(&mut self, response: &[u8]) -> Vec<u8> {
        let (data, status) = split(response);
        assert_eq!(status, 0x9000, "EXCHANGE is answered");
        let session = self.session.as_mut().expect("AUTH0 was sent");
        let channel = if session.stepped_up { &mut session.step_up } else { &mut session.expedited };
        let mut sealed = data.to_vec();
        let opened = channel.as_mut().expect("authenticated").open(&self.crypto, &[], &mut sealed);
        opened.expect("the answer opens").to_vec()
    }
}

/// A command APDU.
pub fn command(ins: Ins, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; data.len() + 16];
    let len = apdu::command(&mut out, ins, data).expect("there is room");
    out.truncate(len);
    out
}

fn wrapped(form: Form, sealed: &[u8]) -> Vec<u8> {
    let mut out = vec![0; sealed.len() + session::OVERHEAD_MAX];
    let len = session::wrap(form, sealed, &mut out).expect("there is room");
    out.truncate(len);
    out
}

/// The plaintext of a verdict for a press.
pub fn verdict(reason: Reason, id: UnlockId) -> Vec<u8> {
    let mut report = Report::new(reason, id, AuditHead { number: 1, hash: [7; 32] });
    if reason == Reason::Granted {
        report.time_open = 50;
    }
    verdict_of(&Verdict::of_report(report, false))
}

/// The plaintext of any verdict.
pub fn verdict_of(verdict: &Verdict) -> Vec<u8> {
    let mut out = vec![0; 300];
    let len = verdict.encode(&mut out).expect("there is room");
    out.truncate(len);
    out
}
