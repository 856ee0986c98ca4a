//! Measures `POST /v1/keys`: keys a second at full load, and the delay at half of that and at half the bar of 2,000 keys a
//! second, with the client on the same machine.
//!
//! `cargo bench -p keybutton-service` runs it for 10 s each way; `KEYBUTTON_BENCH_SECONDS` changes that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keybutton_protocol::{
    api::{Bytes, ClaimLock, Device, EnrolDevice, EnrolmentChallenge},
    crypto::{Signer, ring::RingSigner},
    keys::AuthenticationData,
};
use keybutton_service::{Service, Settings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Keys a second that are to be sustained on two cores.
const BAR: f64 = 2000.0;
const MEMBERS: usize = 500;
const CONNECTIONS: usize = 32;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // `cargo test --benches` only wants to see that it runs.
    let test = std::env::args().any(|argument| argument == "--test") || !std::env::args().any(|a| a == "--bench");
    let seconds = std::env::var("KEYBUTTON_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let span = Duration::from_millis(if test { 200 } else { seconds.unwrap_or(10) * 1000 });
    let folder = tempfile::tempdir()?;
    let service = Service::open(Settings::file(folder.path().join("bench.db"))).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(service.clone().serve(listener, std::future::pending()));
    let (requests, operator_key) = prepare(&service, &address, if test { 8 } else { MEMBERS }).await?;
    let requests = Arc::new(requests);

    let full = load(&address, &requests, span, None).await?;
    println!("{:<13} {:>7.0} keys/s   {full}", "full load", full.rate());
    for (name, rate) in [("half load", full.rate() / 2.0), ("half the bar", BAR / 2.0)] {
        let report = load(&address, &requests, span, Some(rate)).await?;
        println!("{name:<13} {:>7.0} keys/s   {report}", report.rate());
    }
    let began = Instant::now();
    let off =
        reqwest::Client::new().patch(format!("http://{address}/v1/operator/organization")).bearer_auth(operator_key);
    off.json(&json!({ "module_enabled": false })).send().await?.error_for_status()?;
    println!(
        "{:<13} {:>7} keys revoked in {:.0} ms",
        "module off",
        requests.len(),
        began.elapsed().as_secs_f64() * 1000.0
    );
    Ok(())
}

/// Delays of one run, in microseconds.
struct Report {
    delays: Vec<u64>,
    took: Duration,
}

impl Report {
    fn rate(&self) -> f64 {
        self.delays.len() as f64 / self.took.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> f64 {
        let at = (self.delays.len() * percent / 100).min(self.delays.len().saturating_sub(1));
        self.delays.get(at).map_or(0.0, |delay| *delay as f64 / 1000.0)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2} ms   p99 {:.2} ms", self.percentile(50), self.percentile(99))
    }
}

/// Sends requests over [`CONNECTIONS`] connections: one after the other on each, or at a steady rate in all. With a rate
/// the delay counts from the moment the request was due, so that a stall is not hidden by waiting for it.
async fn load(
    address: &str,
    requests: &Arc<Vec<Vec<u8>>>,
    span: Duration,
    rate: Option<f64>,
) -> Result<Report, Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let failed = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (next, failed, requests) = (next.clone(), failed.clone(), requests.clone());
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        tasks.push(tokio::spawn(async move {
            let mut delays = Vec::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = rate.map(|rate| start + Duration::from_secs_f64(number as f64 / rate));
                if due.unwrap_or_else(Instant::now).duration_since(start) >= span {
                    return Ok::<_, Failure>(delays);
                }
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
                let began = due.unwrap_or_else(Instant::now);
                stream.write_all(&requests[number % requests.len()]).await?;
                if !read_answer(&mut stream, &mut buffer).await? {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                delays.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
        }));
    }
    let mut delays = Vec::new();
    for task in tasks {
        delays.extend(task.await??);
    }
    let took = start.elapsed();
    delays.sort_unstable();
    match failed.load(Ordering::Relaxed) {
        0 => Ok(Report { delays, took }),
        failed => Err(format!("{failed} requests were refused").into()),
    }
}

/// Reads one answer; says whether it was a success.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<bool, Failure> {
    let mut len = 0;
    loop {
        len += match stream.read(&mut buffer[len..]).await? {
            0 => return Err("the service closed the connection".into()),
            read => read,
        };
        let Some(head) = buffer[..len].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no content length")?;
        if len >= head + 4 + length.trim().parse::<usize>()? {
            return Ok(text.starts_with("http/1.1 200"));
        }
    }
}

/// An organization with members, each with a phone; one ready-made request for each.
/// Also returns the operator key.
async fn prepare(service: &Service, address: &str, members: usize) -> Result<(Vec<Vec<u8>>, String), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let key = service.bootstrap_organization("Bench").await?.operator_key;
    let operate = async |method: reqwest::Method, path: &str, body: Value| -> Result<Value, Failure> {
        let request = http.request(method, format!("http://{address}/v1/operator/{path}")).bearer_auth(&key);
        let request = if body.is_null() { request } else { request.json(&body) };
        Ok(request.send().await?.error_for_status()?.json().await?)
    };
    let signer = RingSigner::generate_pkcs8()?.to_vec();
    let point = RingSigner::from_pkcs8(&signer)?.public_key();
    let jwk =
        json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": Bytes::from(point.x()), "y": Bytes::from(point.y()) });
    let app = json!({
        "name": "app", "enabled": true, "issuer": "https://issuer", "audience": "doors", "jwks": { "keys": [jwk] },
    });
    use reqwest::Method;
    operate(Method::PATCH, "organization", json!({ "module_enabled": true })).await?;
    operate(Method::PUT, "apps/app", app).await?;
    operate(Method::POST, "integrations", json!({ "kind": "native", "name": "doors" })).await?;
    let site = operate(Method::POST, "sites", json!({ "name": "House", "zone": "Europe/Berlin" })).await?;
    let door = operate(Method::POST, "doors", json!({ "site": site["id"], "name": "Front" })).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a field is missing");
    let path = format!("doors/{}/claim-code", text(&door["id"])?);
    let code = text(&operate(Method::POST, &path, Value::Null).await?["claim_code"])?;
    let lock = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8()?)?;
    let hash = ring::digest::digest(&ring::digest::SHA256, code.as_bytes());
    let proof = lock.sign_shared(AuthenticationData::for_claim(hash.as_ref().try_into()?).as_bytes())?;
    let claim = ClaimLock { claim_code: code, reader_key: lock.public_key().0.into(), proof: proof.0.into() };
    http.post(format!("http://{address}/v1/locks/claim")).json(&claim).send().await?.error_for_status()?;
    let schedule = json!({ "weekly": [{ "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "from": "07:00", "until": "22:00" }] });
    let group = json!({ "name": "Members", "doors": [door["id"]], "schedule": schedule });
    let group = text(&operate(Method::POST, "groups", group).await?["id"])?;

    let mut requests = Vec::with_capacity(members);
    for n in 0..members {
        let subject = format!("member-{n}");
        let member = operate(Method::POST, "members", json!({ "name": subject, "subject": subject })).await?;
        let path = format!("members/{}/groups/{group}", text(&member["id"])?);
        operate(Method::PUT, &path, json!({})).await?;
        let expires = keybutton_service::clock::Clock::system().now() + 3600;
        let claims = json!({ "sub": subject, "iss": "https://issuer", "aud": "doors", "exp": expires });
        let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::ES256) };
        let token = encode(&header, &claims, &EncodingKey::from_ec_der(&signer))?;
        let call = |path: &str| {
            http.post(format!("http://{address}/v1/{path}")).bearer_auth(&token).header("Keybutton-App", "app")
        };
        let challenge: EnrolmentChallenge = call("devices/challenge").send().await?.error_for_status()?.json().await?;
        let key = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8()?)?;
        let data = AuthenticationData::for_enrolment(challenge.nonce.0.as_slice().try_into()?);
        let enrolment = EnrolDevice {
            nonce: challenge.nonce,
            device_key: key.public_key().0.into(),
            proof: key.sign_shared(data.as_bytes())?.0.into(),
            name: "phone".into(),
            platform: "ios".into(),
        };
        let device: Device = call("devices").json(&enrolment).send().await?.error_for_status()?.json().await?;
        let body = json!({ "device": device.id }).to_string();
        requests.push(
            format!(
                "POST /v1/keys HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nkeybutton-app: app\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        );
    }
    Ok((requests, key))
}
