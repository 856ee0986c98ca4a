//! A running service with an operator, a Branded App and members, as tests need them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keybutton_protocol::{
    api::{
        Bytes, ClaimLock, Device, DoorId, EnrolDevice, EnrolmentChallenge, IssueKeys, KeyBundle, LockProvision,
        Problem, Rights, SiteId, SiteKeys,
    },
    crypto::{
        Signer,
        ring::{Ring, RingSigner},
    },
    document::{AccessData, Document, Expected, RevocationEntry, verify},
    ids::{Intent, PublicKey, ReaderId, UnixTime},
    keys::AuthenticationData,
};
use keybutton_service::{Service, Settings, clock::Clock};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// Thursday, 28 May 2026, 20:26:40 UTC.
pub const NOW: u32 = 1_780_000_000;

/// A running service.
pub struct World {
    pub url: String,
    pub http: reqwest::Client,
    pub service: Service,
    time: Arc<AtomicU32>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<std::io::Result<()>>>,
}

/// An organization with everything a member needs to open a door.
pub struct Tenant {
    pub operator_key: String,
    pub app: String,
    pub kid: String,
    pub signer: Vec<u8>,
    pub integration: String,
    pub site: SiteId,
}

/// A member with a phone.
pub struct Phone {
    pub member: String,
    pub subject: String,
    pub key: RingSigner,
    pub device: Device,
}

/// A claimed lock.
pub struct TestLock {
    pub door: DoorId,
    pub key: RingSigner,
    pub provision: LockProvision,
}

/// An answer: status and body.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: String,
    pub body: String,
}

impl Reply {
    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert!(self.status.is_success(), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The problem's code; the answer has to be a problem in every respect.
    pub fn problem(&self) -> String {
        let problem: Problem = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        assert_eq!(problem.status, self.status.as_u16(), "{self:?}");
        assert_eq!(problem.kind, format!("https://keybutton.dev/problems/{}", problem.code));
        assert!(!problem.title.is_empty() && !problem.remedy.is_empty());
        problem.code
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(Settings::memory()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let time = Arc::new(AtomicU32::new(NOW));
        let clock = time.clone();
        let settings = Settings { clock: Clock::new(move || clock.load(Ordering::SeqCst)), ..settings };
        let service = Service::open(settings).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(service.clone().serve(listener, async {
            let _ = stopped.await;
        }));
        let http = reqwest::Client::builder().build().unwrap();
        Self { url, http, service, time, stop: Some(stop), served: Some(served) }
    }

    /// Stops the service and waits until it has finished.
    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        drop(std::mem::replace(&mut self.http, reqwest::Client::new()));
        self.served.take().unwrap().await.unwrap().unwrap();
    }

    pub fn now(&self) -> u32 {
        self.time.load(Ordering::SeqCst)
    }

    pub fn advance(&self, seconds: u32) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let status = response.status();
        let content_type = response.headers().get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
        Reply { status, content_type, body: response.text().await.unwrap() }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// An operator's call.
    pub async fn operate(&self, tenant: &Tenant, method: Method, path: &str, body: Value) -> Reply {
        let request = self.request(method, &format!("/v1/operator/{path}")).bearer_auth(&tenant.operator_key);
        self.send(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// A member's call.
    pub async fn call(
        &self,
        tenant: &Tenant,
        subject: &str,
        method: Method,
        path: &str,
        body: impl Serialize,
    ) -> Reply {
        let body = serde_json::to_value(body).unwrap();
        let request =
            self.request(method, path).bearer_auth(self.token(tenant, subject)).header("Keybutton-App", &tenant.app);
        self.send(if body.is_null() { request } else { request.json(&body) }).await
    }

    pub fn token(&self, tenant: &Tenant, subject: &str) -> String {
        let claims = json!({ "sub": subject, "iss": "https://issuer", "aud": "doors", "exp": self.now() + 3600 });
        let header = Header { kid: Some(tenant.kid.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &EncodingKey::from_ec_der(&tenant.signer)).unwrap()
    }

    /// An organization with the module on, an app, an integration and a site in Berlin.
    pub async fn tenant(&self, name: &str) -> Tenant {
        let made = self.service.bootstrap_organization(name).await.unwrap();
        let signer = RingSigner::generate_pkcs8().unwrap().to_vec();
        let mut tenant = Tenant {
            operator_key: made.operator_key,
            app: format!("app.{name}"),
            kid: format!("kid-{name}"),
            signer,
            integration: String::new(),
            site: SiteId(String::new()),
        };
        self.operate(&tenant, Method::PATCH, "organization", json!({ "module_enabled": true })).await.json::<Value>();
        self.operate(&tenant, Method::PUT, &format!("apps/{}", tenant.app), tenant.app_body(true))
            .await
            .json::<Value>();
        let body = json!({ "kind": "native", "name": "doors" });
        let integration: Value = self.operate(&tenant, Method::POST, "integrations", body).await.json();
        tenant.integration = integration["id"].as_str().unwrap().to_owned();
        let body = json!({ "name": "House", "zone": "Europe/Berlin" });
        let site: Value = self.operate(&tenant, Method::POST, "sites", body).await.json();
        tenant.site = SiteId(site["id"].as_str().unwrap().to_owned());
        tenant
    }

    pub async fn door(&self, tenant: &Tenant, name: &str, policy: Value) -> DoorId {
        let body = json!({ "site": tenant.site, "name": name, "policy": policy });
        let door: Value = self.operate(tenant, Method::POST, "doors", body).await.json();
        DoorId(door["id"].as_str().unwrap().to_owned())
    }

    /// Claims a lock for a door.
    pub async fn claim(&self, tenant: &Tenant, door: &DoorId) -> TestLock {
        let code: Value =
            self.operate(tenant, Method::POST, &format!("doors/{door}/claim-code"), Value::Null).await.json();
        let code = code["claim_code"].as_str().unwrap();
        let key = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap();
        let provision = self.send(self.request(Method::POST, "/v1/locks/claim").json(&claim(code, &key))).await.json();
        TestLock { door: door.clone(), key, provision }
    }

    /// A door with a lock.
    pub async fn locked_door(&self, tenant: &Tenant, name: &str) -> TestLock {
        let door = self.door(tenant, name, json!({})).await;
        self.claim(tenant, &door).await
    }

    pub async fn group(&self, tenant: &Tenant, body: Value) -> String {
        let mut full = json!({ "name": "group" });
        full.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let group: Value = self.operate(tenant, Method::POST, "groups", full).await.json();
        group["id"].as_str().unwrap().to_owned()
    }

    pub async fn member(&self, tenant: &Tenant, subject: &str) -> String {
        let body = json!({ "name": subject, "subject": subject });
        let member: Value = self.operate(tenant, Method::POST, "members", body).await.json();
        member["id"].as_str().unwrap().to_owned()
    }

    pub async fn grant(&self, tenant: &Tenant, member: &str, group: &str) {
        let path = format!("members/{member}/groups/{group}");
        self.operate(tenant, Method::PUT, &path, json!({})).await.json::<Value>();
    }

    /// Enrols a fresh phone of an existing member.
    pub async fn enrol(&self, tenant: &Tenant, member: &str, subject: &str) -> Phone {
        let key = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap();
        let reply = self.try_enrol(tenant, subject, &key).await;
        Phone { member: member.to_owned(), subject: subject.to_owned(), key, device: reply.json() }
    }

    pub async fn try_enrol(&self, tenant: &Tenant, subject: &str, key: &RingSigner) -> Reply {
        let challenge: EnrolmentChallenge =
            self.call(tenant, subject, Method::POST, "/v1/devices/challenge", Value::Null).await.json();
        self.call(tenant, subject, Method::POST, "/v1/devices", enrolment(&challenge.nonce.0, key)).await
    }

    /// A member who holds a group of the given doors, with a phone.
    pub async fn phone(&self, tenant: &Tenant, subject: &str, doors: &[&DoorId]) -> Phone {
        let group = self.group(tenant, json!({ "doors": doors })).await;
        let member = self.member(tenant, subject).await;
        self.grant(tenant, &member, &group).await;
        self.enrol(tenant, &member, subject).await
    }

    pub async fn keys(&self, tenant: &Tenant, phone: &Phone) -> Reply {
        let request = IssueKeys { device: phone.device.id.clone() };
        self.call(tenant, &phone.subject, Method::POST, "/v1/keys", request).await
    }

    pub async fn bundle(&self, tenant: &Tenant, phone: &Phone) -> KeyBundle {
        self.keys(tenant, phone).await.json()
    }

    pub async fn rights(&self, tenant: &Tenant, phone: &Phone) -> Rights {
        let path = format!("/v1/me?device={}", phone.device.id);
        self.call(tenant, &phone.subject, Method::GET, &path, Value::Null).await.json()
    }
}

impl Tenant {
    pub fn app_body(&self, enabled: bool) -> Value {
        let point = RingSigner::from_pkcs8(&self.signer).unwrap().public_key();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid,
            "x": Bytes::from(point.x()), "y": Bytes::from(point.y()),
        });
        json!({
            "name": "app", "enabled": enabled, "issuer": "https://issuer", "audience": "doors", "jwks": { "keys": [jwk] },
        })
    }
}

impl Phone {
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }
}

impl TestLock {
    pub fn reader_id(&self) -> ReaderId {
        let bytes: Vec<u8> = [&self.provision.group_id.0[..], &self.provision.sub_id.0].concat();
        ReaderId::from_slice(&bytes).unwrap()
    }

    /// The issuer key under a kid, as the lock was given it.
    pub fn issuer(&self, kid: &[u8]) -> Option<PublicKey> {
        let issuer = self.provision.issuers.iter().find(|issuer| issuer.kid.0 == kid)?;
        PublicKey::from_slice(&issuer.key.0)
    }

    /// Verifies a key as this lock does and returns what the elements it answers to say.
    pub fn read_key(&self, document: &Bytes, device: &PublicKey, now: u32) -> Vec<(String, AccessData)> {
        let document = Document::parse(&document.0).unwrap();
        let expected = Expected::Access { device_key: device };
        let verified = verify(&Ring::new(), &document, |kid| self.issuer(&kid.0), expected).unwrap();
        verified.check_time(Some(UnixTime(now))).unwrap();
        assert!(verified.time_verification_required());
        let elements = self.provision.elements.iter();
        elements.filter_map(|name| Some((name.clone(), verified.access_data(name)?.unwrap()))).collect()
    }

    /// Whether a key opens this lock at a time, by the lock's own rules and iteration.
    pub fn opens(&self, document: &Bytes, device: &PublicKey, now: u32) -> bool {
        let group = self.reader_id().group();
        self.read_key(document, device, now).iter().any(|(_, data)| {
            data.restrictions.site == Some(group)
                && data.rules.decide(Intent::Unlock, Some(UnixTime(now)), None).is_ok()
        })
    }

    /// The entries of a site's Revocation Document, and its iteration, verified as this lock does.
    pub fn read_revocation(&self, site: &SiteKeys, now: u32) -> (u32, Vec<RevocationEntry>) {
        let document = site.revocation_document.as_ref().unwrap();
        let document = Document::parse(&document.0).unwrap();
        let verified = verify(&Ring::new(), &document, |kid| self.issuer(&kid.0), Expected::Revocation).unwrap();
        verified.check_time(Some(UnixTime(now))).unwrap();
        let data = verified.revocation_data().unwrap().unwrap();
        (verified.validity().iteration.unwrap(), data.additions().collect())
    }
}

pub fn claim(code: &str, key: &RingSigner) -> ClaimLock {
    let hash = ring::digest::digest(&ring::digest::SHA256, code.as_bytes());
    let data = AuthenticationData::for_claim(hash.as_ref().try_into().unwrap());
    ClaimLock {
        claim_code: code.to_owned(),
        reader_key: key.public_key().0.into(),
        proof: key.sign_shared(data.as_bytes()).unwrap().0.into(),
    }
}

pub fn enrolment(nonce: &[u8], key: &RingSigner) -> EnrolDevice {
    let data = AuthenticationData::for_enrolment(nonce.try_into().unwrap());
    EnrolDevice {
        nonce: nonce.into(),
        device_key: key.public_key().0.into(),
        proof: key.sign_shared(data.as_bytes()).unwrap().0.into(),
        name: "phone".into(),
        platform: "ios".into(),
    }
}

impl World {
    /// A key request by somebody who isn't a member.
    pub async fn keys_of_nobody(&self, tenant: &Tenant) -> Reply {
        self.call(tenant, "nobody", Method::POST, "/v1/keys", json!({ "device": "dev_x" })).await
    }
}
