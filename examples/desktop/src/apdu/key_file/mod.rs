//! The JSON file that gives a lock or a phone on the pipe its keys, documents and elements.
//!
//! Names are those of published test transactions: an object `keys` (or its fields at the top), and beside it
//! `access_document`, `revocation_document`, `time_token`, `certificate_profile0000`. What is not known is skipped.

mod values;

use std::{fmt, fs, path::Path};

use keybutton_lock::config::{CERTIFICATE_MAX, DocumentRules, Issuer, LockConfig, Policy};
use keybutton_protocol::{
    buf::Buf,
    crypto::{
        Signer as _,
        ring::{Ring, RingSigner},
    },
    document::{Document, ElementName, Expected, Validity, issuer_kid, list::List},
    ids::{GroupId, GroupResolvingKey, Kid, LockNumber, PublicKey, ReaderId, SubId, UnixTime},
    profile::{CertificateCarrier, Profile},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The longest file that is read, bytes.
const MAX_FILE: u64 = 4 << 20;

/// A file's content, still as text: nothing is read before it is needed.
pub struct KeyFile {
    name: String,
    keys: Keys,
    rest: Rest,
}

/// A text that may be a secret.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct Text(Zeroizing<String>);

#[derive(Deserialize)]
struct Keys {
    reader_private: Option<Text>,
    reader_public: Option<Text>,
    site_ca_public: Option<Text>,
    issuer_public: Option<Text>,
    issuer_kid: Option<Text>,
    device_private: Option<Text>,
    device_public: Option<Text>,
    group_identifier: Option<Text>,
    group_sub_identifier: Option<Text>,
    reader_identifier: Option<Text>,
    group_resolving_key: Option<Text>,
    #[serde(default)]
    access_iteration: u32,
    #[serde(default)]
    revocation_iteration: u32,
}

#[derive(Deserialize)]
struct Rest {
    keys: Option<Keys>,
    certificate_profile0000: Option<Certificate>,
    access_document: Option<Shown>,
    revocation_document: Option<Shown>,
    time_token: Option<Token>,
    elements: Option<Vec<String>>,
    lock_number: Option<u16>,
    advertising: Option<Advertising>,
}

#[derive(Deserialize)]
struct Certificate {
    compressed: Option<Text>,
}

#[derive(Deserialize)]
struct Shown {
    document: Option<Text>,
    device_response: Option<Text>,
}

#[derive(Deserialize)]
struct Token {
    cose_sign1: Option<Text>,
}

#[derive(Deserialize)]
struct Advertising {
    lock_number: Option<u16>,
}

/// What makes a lock.
pub struct Provision {
    /// The provisioning. Its clock starts at [`LockConfig::claimed_at`].
    pub config: LockConfig,
    /// The reader key.
    pub reader_key: Zeroizing<[u8; 32]>,
}

/// What makes a phone.
pub struct Identity {
    /// The device key.
    pub device_key: RingSigner,
    /// The group whose locks the phone knows.
    pub group: GroupId,
    /// The key that signs the group's reader certificates.
    pub site_ca: Option<PublicKey>,
    /// The key by which a lock of the group proves itself without a certificate.
    pub reader_key: Option<PublicKey>,
    /// The access document, and when it was signed.
    pub access_document: Option<(Vec<u8>, UnixTime)>,
    /// The revocation document, and when it was signed.
    pub revocation_document: Option<(Vec<u8>, UnixTime)>,
    /// The time token, and when it expires.
    pub time_token: Option<(Vec<u8>, UnixTime)>,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it can't be read or is not JSON of this form. No message shows any of its values.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let file = |error| Failure { remedy: REMEDY.into(), ..Failure::file(path, &error) };
        let name = path.display().to_string();
        if fs::metadata(path).map_err(file)?.len() > MAX_FILE {
            return Err(unusable(&name, "is longer than a key file can be"));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
        Self::parse(&text, &name)
    }

    /// Reads the text of the file called `name`.
    ///
    /// # Errors
    ///
    /// When it is not JSON of this form.
    pub fn parse(text: &str, name: &str) -> Result<Self, Failure> {
        // Messages of the parser may quote values: only the place is told.
        let place = |error: serde_json::Error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "a value of another kind than expected",
                _ => "not JSON",
            };
            unusable(name, format_args!("line {}, column {}: {what}", error.line(), error.column()))
        };
        let mut rest: Rest = serde_json::from_str(text).map_err(place)?;
        let keys = match rest.keys.take() {
            Some(keys) => keys,
            None => serde_json::from_str(text).map_err(place)?,
        };
        Ok(Self { name: name.to_owned(), keys, rest })
    }

    /// What a lock needs. `carrier` says how its certificate travels; `None` leaves the certificate out.
    ///
    /// # Errors
    ///
    /// When a value that is needed is missing or has the wrong form, or when two that belong together do not fit.
    pub fn provision(
        &self,
        interop: bool,
        carrier: Option<CertificateCarrier>,
        now: UnixTime,
    ) -> Result<Provision, Failure> {
        let keys = &self.keys;
        let reader_key = Zeroizing::new(self.needed::<32>("reader_private", &keys.reader_private)?);
        let own = self.signer("reader_private", &reader_key, "reader_public", &keys.reader_public)?.public_key();
        let certificate = self.rest.certificate_profile0000.as_ref().and_then(|shown| shown.compressed.as_ref());
        let certificate = match certificate.filter(|_| carrier.is_some()) {
            Some(text) => {
                let bytes = self.bytes("certificate_profile0000.compressed", text)?;
                let bytes = Buf::<CERTIFICATE_MAX>::from_slice(&bytes);
                Some(bytes.map_err(|_| self.bad("certificate_profile0000.compressed", "is too long"))?)
            }
            None => None,
        };
        let anchor = match &certificate {
            Some(_) => self.needed_point("site_ca_public", &keys.site_ca_public)?,
            None => own,
        };
        let (kid, issuer) = self.issuer()?;
        let known = Issuer {
            kid,
            key: issuer,
            access_iteration: keys.access_iteration,
            revocation_iteration: keys.revocation_iteration,
        };
        let reader = self.reader_id()?;
        let resolving = self.optional::<16>("group_resolving_key", &keys.group_resolving_key)?;
        let (profile, documents) = if interop {
            (Profile::INTEROP, DocumentRules::INTEROP)
        } else {
            (Profile::PRODUCT, DocumentRules::PRODUCT)
        };
        let config = LockConfig {
            group: reader.group(),
            sub: reader.sub(),
            number: LockNumber(self.lock_number().unwrap_or_default()),
            // Only advertisements need it.
            group_resolving_key: GroupResolvingKey::new(resolving.unwrap_or_default()),
            anchor,
            certificate,
            issuers: List::from_slice(&[known]).unwrap_or_default(),
            elements: self.elements()?,
            audit_key: None,
            claimed_at: now,
            policy: Policy::default(),
            documents,
            profile: Profile { certificate: carrier.unwrap_or(profile.certificate), ..profile },
        };
        Ok(Provision { config, reader_key })
    }

    /// Tells whether the file holds a reader certificate.
    pub fn has_certificate(&self) -> bool {
        self.rest.certificate_profile0000.as_ref().is_some_and(|shown| shown.compressed.is_some())
    }

    /// What a phone needs.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::provision`], and when a document is not signed by the issuer for this device key.
    pub fn identity(&self) -> Result<Identity, Failure> {
        let keys = &self.keys;
        let secret = Zeroizing::new(self.needed::<32>("device_private", &keys.device_private)?);
        let device_key = self.signer("device_private", &secret, "device_public", &keys.device_public)?;
        let device = device_key.public_key();
        let site_ca = self.point("site_ca_public", &keys.site_ca_public)?;
        let reader_key = self.point("reader_public", &keys.reader_public)?;
        if site_ca.is_none() && reader_key.is_none() {
            return Err(
                self.bad("site_ca_public", "is missing, and so is `reader_public`: one of them proves the lock")
            );
        }
        let signed = |(document, validity): (Vec<u8>, Validity)| (document, validity.signed);
        let access = Expected::Access { device_key: &device };
        Ok(Identity {
            group: self.group()?,
            site_ca,
            reader_key,
            access_document: self.document("access_document", &self.rest.access_document, access)?.map(signed),
            revocation_document: self
                .document("revocation_document", &self.rest.revocation_document, Expected::Revocation)?
                .map(signed),
            time_token: self.time_token()?,
            device_key,
        })
    }

    fn issuer(&self) -> Result<(Kid, PublicKey), Failure> {
        let key = self.needed_point("issuer_public", &self.keys.issuer_public)?;
        let kid = self.optional::<8>("issuer_kid", &self.keys.issuer_kid)?;
        Ok((kid.map_or_else(|| issuer_kid(&Ring::new(), &key), Kid), key))
    }

    fn reader_id(&self) -> Result<ReaderId, Failure> {
        let keys = &self.keys;
        let whole = self.optional::<32>("reader_identifier", &keys.reader_identifier)?.map(ReaderId);
        let group = self.optional::<16>("group_identifier", &keys.group_identifier)?.map(GroupId);
        let sub = self.optional::<16>("group_sub_identifier", &keys.group_sub_identifier)?.map(SubId);
        match (whole, group, sub) {
            (Some(whole), group, sub) => {
                let fits = group.is_none_or(|group| group == whole.group()) && sub.is_none_or(|sub| sub == whole.sub());
                if fits { Ok(whole) } else { Err(self.bad("reader_identifier", "is not made of its two parts")) }
            }
            (None, Some(group), Some(sub)) => Ok(ReaderId::new(group, sub)),
            (None, None, _) => Err(self.bad("group_identifier", "is missing")),
            (None, _, None) => Err(self.bad("group_sub_identifier", "is missing")),
        }
    }

    fn group(&self) -> Result<GroupId, Failure> {
        match self.optional::<16>("group_identifier", &self.keys.group_identifier)? {
            Some(group) => Ok(GroupId(group)),
            None => Ok(self.reader_id()?.group()),
        }
    }

    fn lock_number(&self) -> Option<u16> {
        self.rest.lock_number.or_else(|| self.rest.advertising.as_ref()?.lock_number)
    }

    /// The elements that the lock answers to: those named, else its own, those of the access document, and the site.
    fn elements(&self) -> Result<List<ElementName, { keybutton_lock::config::ELEMENTS_MAX }>, Failure> {
        let names = match &self.rest.elements {
            Some(names) => names.clone(),
            None => {
                let mut names: Vec<String> = self
                    .lock_number()
                    .map(|number| ElementName::lock(number).as_str().to_owned())
                    .into_iter()
                    .collect();
                if let Some(bytes) = self.document_bytes("access_document", &self.rest.access_document)? {
                    let document =
                        Document::parse(&bytes).map_err(|_| self.bad("access_document", "does not decode"))?;
                    names.extend(document.items().map(|(_, item)| item.element.to_owned()));
                }
                names.push(ElementName::SITE.as_str().to_owned());
                names
            }
        };
        let mut elements = List::new();
        for (at, name) in names.iter().enumerate() {
            let element = ElementName::parse(name).ok_or_else(|| {
                self.bad("elements", "this lock asks for elements called site, zXXXX or lXXXX (4 hex digits) only")
            })?;
            if !names.iter().take(at).any(|earlier| earlier == name) && !elements.push(element) {
                return Err(self.bad("elements", "are more than a lock asks for"));
            }
        }
        Ok(elements)
    }
}

/// Shows the file's name alone.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Provision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provision").field("config", &self.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("group", &self.group).finish_non_exhaustive()
    }
}

const REMEDY: &str = "Give a JSON file with the names of docs/APDU-PIPE.md.";

fn unusable(name: &str, why: impl fmt::Display) -> Failure {
    Failure::new("key-file-unusable", format_args!("{name}: {why}"), REMEDY)
}
