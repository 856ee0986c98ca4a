//! Advertising by the kernel's management interface.
//!
//! BlueZ's D-Bus interface puts everything into the advertising packet, where service UUID and service data do not fit
//! together; what goes into the scan response can't be chosen before BlueZ 5.80, and there only as an experiment. The
//! management interface takes both packets byte by byte.

use std::time::Duration;

use keybutton::radio::air::AdvertisingData;
use tokio::{sync::watch, time::timeout};

use super::management::Management;
use crate::failure::Failure;

/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long the kernel advertises by itself, so that a lock that died does not look alive for long. Seconds.
const LIFE: &str = "120";

/// When to say it again, well before.
const RENEW: Duration = Duration::from_secs(80);

/// The advertising interval, in units of 0.625 ms: 100 to 150 ms, so that a phone finds the door in a moment.
/// Mains-powered locks can afford it (docs/PROTOCOL.md section 15).
const INTERVAL: [&str; 2] = ["0xa0", "0xf0"];

/// Advertises on one adapter, in one of the kernel's advertising instances.
#[derive(Clone, Debug)]
pub(super) struct Advertiser {
    management: Management,
    instance: String,
}

impl Advertiser {
    /// Checks that advertising can be managed.
    pub(super) async fn new(management: Management, instance: u8) -> Result<Self, Failure> {
        management.run(&["advinfo"]).await.map_err(|why| {
            Failure::new(
                "cannot-advertise",
                format_args!("the lock can't advertise: {why}"),
                "Install BlueZ with its tools (Debian: `apt install bluez`), and run the lock as root or with the \
                 capability CAP_NET_ADMIN.",
            )
        })?;
        Ok(Self { management, instance: instance.to_string() })
    }

    /// Keeps the adapter advertising what is wanted, until nobody wants anything any more.
    pub(super) async fn run_to_end(self, mut wanted: watch::Receiver<Option<AdvertisingData>>) {
        loop {
            let data = wanted.borrow_and_update().clone();
            let done = match &data {
                Some(data) => self.advertise(data).await,
                None => self.stop().await,
            };
            let news = match done {
                Ok(()) if data.is_some() => timeout(RENEW, wanted.changed()).await.unwrap_or(Ok(())),
                Ok(()) => wanted.changed().await,
                Err(why) => {
                    tracing::warn!(why, "advertising failed");
                    timeout(AGAIN, wanted.changed()).await.unwrap_or(Ok(()))
                }
            };
            if news.is_err() {
                // A lock that does not answer must not be found.
                let _ = self.stop().await;
                return;
            }
        }
    }

    async fn advertise(&self, data: &AdvertisingData) -> Result<(), String> {
        let [min, max] = INTERVAL;
        self.management.run(&["add-ext-adv-params", "-c", "-t", LIFE, "-r", min, "-x", max, &self.instance]).await?;
        let (packet, response) = (hex(&data.advertisement), hex(&data.scan_response));
        self.management.run(&["add-ext-adv-data", "-d", &packet, "-s", &response, &self.instance]).await
    }

    /// Stops advertising; stopping what does not run is fine.
    async fn stop(&self) -> Result<(), String> {
        match self.management.run(&["rm-adv", &self.instance]).await {
            Err(why) if why.contains("Invalid Parameters") => Ok(()),
            other => other,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
