//! What listening for doors costs: many advertisers, heard through the whole core.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cpu_time::ProcessTime;
use keybutton::{
    NearbyListener,
    discovery::Candidate,
    error::KeyError,
    radio::{Advertisement, PeripheralId, Radio, RadioError, RadioEvents, RadioState},
};
use keybutton_protocol::{
    advert::{AdvertFlags, ServiceData},
    crypto::ring::Ring,
    ids::{GroupResolvingKey, LockNumber},
};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    ground::Ground,
    table::{Bar, Row},
};
use crate::{failure::Failure, lock_host::LockFolder, organization::DoorWish, phone::Phone};

const MEMBER: &str = "Ann";

/// Locks in range.
const ADVERTISERS: usize = 50;

/// Those of them that are the member's own.
const OWN: usize = 25;

/// How often each is heard: locks advertise 7 to 10 times a second (docs/PROTOCOL.md section 15).
const EACH: Duration = Duration::from_millis(100);

/// The time everything gets to come to rest.
const SETTLE: Duration = Duration::from_secs(1);

/// Watches the process while a signed-in core lists the doors in range. The service is stopped before.
pub(super) async fn watch(time: Duration) -> Result<Vec<Row>, Failure> {
    let wishes = (0..OWN).map(|number| DoorWish::named(&format!("Door {number}"))).collect();
    let ground = Ground::lay(wishes).await?;
    ground.member(MEMBER).await?;
    let radio = Arc::new(Crowd::new(advertisers(&ground)?));
    let organization = &ground.organization;
    let phone = Phone::with_radio(
        radio.clone(),
        &ground.state.phone(MEMBER)?,
        MEMBER.to_owned(),
        ground.service.url().to_owned(),
        organization.app().clone(),
    )?;
    phone.sign_in(organization.token(MEMBER)?).await?;
    ground.service.stop().await?;
    let (lists, mut listed) = watch::channel(0);
    let nearby = phone.keys().nearby(Arc::new(Listener(lists)))?;
    let all = tokio::time::timeout(SETTLE * 10, listed.wait_for(|doors| *doors == OWN)).await;
    if !all.is_ok_and(|all| all.is_ok()) {
        return Err(Failure::new("bench-failed", "the doors were not heard", "Report this as a defect."));
    }
    tokio::time::sleep(SETTLE).await;
    let (begun, cpu, before) = (Instant::now(), ProcessTime::now(), radio.told());
    tokio::time::sleep(time).await;
    let (cpu, wall, told) = (cpu.elapsed(), begun.elapsed(), radio.told() - before);
    drop(nearby);
    drop(phone);
    Ok(vec![
        Row::new("CPU of the process, share of one processor", cpu.as_secs_f64() / wall.as_secs_f64() * 100.0, "%")
            .bar(Bar::AtMost(2.0))
            .note(format!("over {} s, the synthetic radio included", time.as_secs())),
        Row::new("advertisements heard", told as f64 / wall.as_secs_f64(), "1/s")
            .bar(Bar::AtLeast(0.9 * ADVERTISERS as f64 / EACH.as_secs_f64()))
            .note(format!("{OWN} of the {ADVERTISERS} advertisers are the member's doors")),
        Row::new("CPU for each advertisement", cpu.as_secs_f64() / told.max(1) as f64 * 1e6, "us"),
    ])
}

/// The member's own locks with the tags their keys make, then strangers' locks.
fn advertisers(ground: &Ground) -> Result<Vec<Advertisement>, Failure> {
    let unclaimed = || Failure::new("bench-failed", "a lock is not claimed", "Report this as a defect.");
    let crypto = Ring::new();
    let mut all = Vec::with_capacity(ADVERTISERS);
    for number in 0..ADVERTISERS {
        let [hi, lo] = u16::try_from(number).unwrap_or_default().to_be_bytes();
        let random = [0x5A, hi, lo];
        let data = if number < OWN {
            let folder = LockFolder::new(ground.folder(&format!("Door {number}"))?);
            let (config, _) = folder.config()?.ok_or_else(unclaimed)?;
            ServiceData::make(&crypto, &config.group_resolving_key, random, config.number, AdvertFlags::default())
        } else {
            let key = GroupResolvingKey::new([0xA5; 16]);
            ServiceData::make(&crypto, &key, random, LockNumber(u16::from_be_bytes([hi, lo])), AdvertFlags::default())
        };
        all.push(Advertisement {
            peripheral: PeripheralId(format!("hci0/dev_00_00_00_00_{hi:02X}_{lo:02X}")),
            rssi: -70,
            tx_power: Some(4),
            service_data: data.to_bytes().to_vec(),
        });
    }
    Ok(all)
}

/// A radio that hears the same advertisers again and again, each with a strength that wavers.
struct Crowd {
    advertisers: Vec<Advertisement>,
    told: Arc<watch::Sender<u64>>,
    scan: Mutex<Option<AbortHandle>>,
    runtime: Handle,
}

impl Crowd {
    fn new(advertisers: Vec<Advertisement>) -> Self {
        Self { advertisers, told: Arc::new(watch::Sender::new(0)), scan: Mutex::default(), runtime: Handle::current() }
    }

    /// How many advertisements were told since the start.
    fn told(&self) -> u64 {
        *self.told.borrow()
    }

    fn set_scan(&self, scan: Option<AbortHandle>) {
        let before = std::mem::replace(&mut *self.scan.lock().unwrap_or_else(PoisonError::into_inner), scan);
        if let Some(before) = before {
            before.abort();
        }
    }
}

impl Radio for Crowd {
    fn state(&self) -> RadioState {
        RadioState::On
    }

    fn start_scan(&self, events: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        let (mut advertisers, told) = (self.advertisers.clone(), self.told.clone());
        let scan = self.runtime.spawn(async move {
            let mut random = fastrand::Rng::with_seed(1);
            let mut tick = interval(EACH / u32::try_from(advertisers.len()).unwrap_or(1).max(1));
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                for advertiser in &mut advertisers {
                    tick.tick().await;
                    advertiser.rssi = random.i8(-90..-50);
                    events.advertisement(advertiser.clone());
                    told.send_modify(|told| *told += 1);
                }
            }
        });
        self.set_scan(Some(scan.abort_handle()));
        Ok(())
    }

    fn stop_scan(&self) {
        self.set_scan(None);
    }

    fn connect(&self, _: PeripheralId, _: Arc<dyn RadioEvents>) -> Result<(), RadioError> {
        Err(RadioError::OutOfRange)
    }

    fn write(&self, _: PeripheralId, _: Vec<u8>) -> Result<(), RadioError> {
        Err(RadioError::LinkLost)
    }

    fn disconnect(&self, _: PeripheralId) {}
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.set_scan(None);
    }
}

struct Listener(watch::Sender<usize>);

impl NearbyListener for Listener {
    fn on_doors(&self, doors: Vec<Candidate>) {
        self.0.send_replace(doors.len());
    }

    fn on_blocked(&self, _: KeyError) {}
}
