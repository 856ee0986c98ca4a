//! Key issue under load: a real service over HTTP, with clients that cost as little as they can.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use keybutton_protocol::api::IssueKeys;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    ground::{DEVICES_EACH, Ground},
    pair::PurePhone,
    table::{Bar, Row, percentile},
};
use crate::{failure::Failure, organization::DoorWish};

/// Members and devices that ask for keys.
const MEMBERS: usize = 8;

/// Connections that are open at once.
const CONNECTIONS: usize = 32;

/// The sustained rate to reach, and the rate at which latency is judged: half of it.
const RATE: f64 = 2_000.0;
const JUDGED_RATE: f64 = RATE / 2.0;

/// Loads the service twice: as fast as it goes, then at the judged rate.
pub(super) async fn load(time: Duration) -> Result<Vec<Row>, Failure> {
    let ground = Ground::lay(vec![DoorWish::named("Front door")]).await?;
    let requests = Arc::new(requests(&ground).await?);
    let address = address(ground.service.url())?;
    let warm_up = time.min(Duration::from_secs(1));
    run(address, requests.clone(), warm_up, None).await?;
    let full = run(address, requests.clone(), time, None).await?;
    let mut judged = run(address, requests, time, Some(JUDGED_RATE)).await?;
    ground.service.stop().await?;
    let rate = |latencies: &[f64]| latencies.len() as f64 / time.as_secs_f64();
    Ok(vec![
        Row::new("keys issued at full load", rate(&full), "1/s")
            .bar(Bar::AtLeast(RATE))
            .note(format!("{CONNECTIONS} connections, {} devices", MEMBERS * DEVICES_EACH)),
        Row::new("keys issued at the judged load", rate(&judged), "1/s"),
        Row::new("latency at the judged load, p50", percentile(&mut judged, 0.5), "ms"),
        Row::new("latency at the judged load, p99", percentile(&mut judged, 0.99), "ms")
            .bar(Bar::AtMost(25.0))
            .note("from the moment the request was due"),
    ])
}

/// One ready-made request for each device.
async fn requests(ground: &Ground) -> Result<Vec<Vec<u8>>, Failure> {
    let mut requests = Vec::new();
    for number in 0..MEMBERS {
        let name = format!("Member {number}");
        let member = ground.member(&name).await?;
        for _ in 0..DEVICES_EACH {
            let phone = PurePhone::new()?;
            let device = ground.enrol(&member, &phone).await?;
            let body = serde_json::to_string(&IssueKeys { device })
                .map_err(|error| Failure::new("bench-failed", error, "Report this as a defect."))?;
            requests.push(
                format!(
                    "POST /v1/keys HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nkeybutton-app: {}\r\n\
                     content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    ground.organization.token(&name)?,
                    ground.organization.app(),
                    body.len()
                )
                .into_bytes(),
            );
        }
    }
    Ok(requests)
}

/// Runs the clients on a thread of their own; returns the latencies in milliseconds.
async fn run(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    time: Duration,
    rate: Option<f64>,
) -> Result<Vec<f64>, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let result = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(&error))
            .and_then(|runtime| runtime.block_on(clients(address, &requests, time, rate)));
        // The bench may have been given up.
        let _ = sender.send(result);
    });
    receiver.await.map_err(|error| failed(&error))?
}

async fn clients(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    time: Duration,
    rate: Option<f64>,
) -> Result<Vec<f64>, Failure> {
    let begin = Instant::now();
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..CONNECTIONS {
        let (requests, latencies) = (requests.clone(), latencies.clone());
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut buffer = Vec::new();
            for turn in 0_u32.. {
                // At a given rate each connection has its own moments, evenly spread over all of them.
                let due = match rate {
                    Some(rate) => {
                        let number = f64::from(turn) * CONNECTIONS as f64 + client as f64;
                        begin + Duration::from_secs_f64(number / rate)
                    }
                    None => Instant::now(),
                };
                if due >= begin + time || begin.elapsed() >= time {
                    break;
                }
                tokio::time::sleep_until(due.into()).await;
                let number = (turn as usize * CONNECTIONS + client) % requests.len().max(1);
                if let Some(request) = requests.get(number) {
                    exchange(&mut stream, request, &mut buffer).await?;
                }
                let took = due.elapsed().as_secs_f64() * 1e3;
                latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
            }
            std::io::Result::Ok(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    }
    let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *latencies))
}

/// Sends one request and reads its whole answer, which has to be a success.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<()> {
    stream.write_all(request).await?;
    buffer.clear();
    let mut needed = usize::MAX;
    while buffer.len() < needed {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if needed == usize::MAX
            && let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n")
        {
            needed = head + 4 + content_length(buffer.get(..head).unwrap_or_default())?;
        }
    }
    Ok(())
}

fn content_length(head: &[u8]) -> std::io::Result<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let wrong = || std::io::Error::other(format!("unexpected answer: {}", head.lines().next().unwrap_or_default()));
    if !head.starts_with("http/1.1 200") {
        return Err(wrong());
    }
    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).ok_or_else(wrong)
}

fn address(url: &str) -> Result<SocketAddr, Failure> {
    url.trim_start_matches("http://").parse().map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new("bench-failed", format_args!("the load on the service failed: {error}"), "Report this as a defect.")
}
