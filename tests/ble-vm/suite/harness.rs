//! The harness's own looks at Bluetooth, as somebody at a door with a laptop would use them.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use keybutton_desktop::{
    bench::{At, BluetoothOptions, html, measure_bluetooth},
    doctor::{self, Result as Found, Row},
    sniff::{
        Way,
        capture::{Follower, News, Reader, RecordError},
    },
};

use crate::world::{World, opened, patiently};

/// How long a record is waited for at its begin.
const LOOK: Duration = Duration::from_millis(50);

/// What a fast press is made of.
const FAST_PRESS: [&str; 5] = ["Initiate", "AUTH0", "AUTH0 answer", "EXCHANGE", "EXCHANGE answer"];

pub async fn at_a_door(world: &mut World) {
    doctor(world).await;
    monitor(world).await;
    bench(world).await;
}

/// An adapter that is not there: the doctor says which are.
async fn doctor(world: &mut World) {
    let (rows, radio) = doctor::bluetooth(Some("hci9")).await;
    let row = rows.iter().find(|row| row.check == "bluetooth-adapter").unwrap();
    assert_eq!(row.code.as_deref(), Some("unknown-bluetooth-adapter"), "{row:?}");
    assert!(row.message.as_ref().unwrap().contains(world.bob.adapter) && radio.is_none(), "{row:?}");
}

/// The doctor's word on an adapter that is switched off, with a remedy for that one.
pub async fn doctor_finds_it_off(adapter: &str) {
    let (rows, radio) = doctor::bluetooth(Some(adapter)).await;
    let off = |row: &&Row| row.code.as_deref() == Some("bluetooth-off") && row.result == Found::Failed;
    let row = rows.iter().find(off).unwrap_or_else(|| panic!("{rows:?}"));
    assert!(row.remedy.as_ref().unwrap().contains(adapter) && radio.is_none(), "{row:?}");
}

/// The monitor's record is explained while it is written, as seen from the phone's adapter and from the lock's.
async fn monitor(world: &mut World) {
    // They know each other from here on, at the latest.
    opened(&world.ann.press(&world.front).await);
    world.ann.unlinked().await;
    let mut monitor = Monitor::start();
    patiently(async {
        while !monitor.has_begun() {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
    opened(&world.ann.press(&world.front).await);
    world.ann.unlinked().await;
    let news = monitor.stop();
    for (adapter, whose) in [(2, true), (0, false)] {
        let link = news.iter().find_map(|news| match news {
            News::Began { link, adapter: at, phone, .. } if *at == adapter && *phone == Some(whose) => Some(*link),
            _ => None,
        });
        let link = link.unwrap_or_else(|| panic!("no link on hci{adapter}: {news:?}"));
        let values = || {
            news.iter().filter_map(move |news| match news {
                News::Value { link: on, value } if *on == link => Some(value),
                _ => None,
            })
        };
        assert!(values().all(|value| value.fault.is_none()), "{news:?}");
        assert!(values().any(|value| value.way == Way::ToPhone), "{news:?}");
        let names: Vec<_> = values().filter_map(|value| value.message.as_ref()).map(|message| message.name).collect();
        // What comes after is the lock's own affair.
        assert!(names.starts_with(&FAST_PRESS), "hci{adapter}: {names:?}");
        assert!(news.contains(&News::Ended { link }), "{news:?}");
    }
}

/// Figures and pictures of presses at a door that is there.
async fn bench(world: &mut World) {
    let before = world.front.openings().await;
    let options = BluetoothOptions { adapter: Some(world.ann.adapter.to_owned()), presses: 1 };
    let at = At::Door(&world.ann.phone, world.ann.radio().clone(), world.front.id.clone());
    let report = patiently(measure_bluetooth(&options, at, |_| {})).await.unwrap();
    assert_eq!(world.front.openings().await, before + 2, "one to meet the lock, one that is measured");
    // Whether bars are reached is for a quiet machine to say.
    for what in ["write to notify, round trip: p50", "bare connect, write, notify: p50", "fast press: p50"] {
        assert!(report.rows.iter().any(|row| row.what == what && row.value > 0.0), "{what}: {:?}", report.rows);
    }
    let page = html::page(&report, "keybutton bench", "today").unwrap();
    assert_eq!(page.matches("<svg").count(), 3);
}

/// btmon, and who reads along.
struct Monitor {
    btmon: Child,
    reader: Option<JoinHandle<Vec<News>>>,
    records: Arc<AtomicUsize>,
}

impl Monitor {
    /// Starts it the way the help of `keybutton sniff` says.
    fn start() -> Self {
        let mut btmon = Command::new("sh")
            .args(["-c", "exec btmon -w /dev/fd/3 3>&1 >/dev/null"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = btmon.stdout.take().unwrap();
        let records = Arc::<AtomicUsize>::default();
        let count = records.clone();
        let reader = std::thread::spawn(move || {
            let mut reader = Reader::new(pipe).unwrap();
            let mut follower = Follower::new(reader.datalink());
            let mut news = Vec::new();
            loop {
                match reader.next_record() {
                    Ok(Some(record)) => news.extend(follower.take(&record)),
                    Ok(None) | Err(RecordError::CutShort) => return news,
                    Err(error) => panic!("{error}"),
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { btmon, reader: Some(reader), records }
    }

    /// It tells what adapters there are before anything else.
    fn has_begun(&self) -> bool {
        self.records.load(Ordering::Relaxed) > 0
    }

    fn stop(&mut self) -> Vec<News> {
        self.btmon.kill().unwrap();
        self.btmon.wait().unwrap();
        self.reader.take().unwrap().join().unwrap()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.btmon.kill();
        let _ = self.btmon.wait();
    }
}
