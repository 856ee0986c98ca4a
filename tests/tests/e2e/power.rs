//! The power goes: `keybutton lock` is killed (SIGKILL) at random moments of presses and started again on what it wrote.

use std::{
    fmt,
    process::{ExitStatus, Stdio},
};

use keybutton::{Outcome, PressOutcome};
use keybutton_desktop::phone::Phone;
use keybutton_protocol::ids::UnlockId;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::world::{Door, World, opened, outcome_of, patiently, press_and_settle, refused_by_lock};

/// How often the power goes.
const CUTS: u32 = 6;

/// Repeats a run: the seed it printed.
const SEED: &str = "KEYBUTTON_POWER_SEED";

/// What a lock says shortly before the power goes.
const MOMENTS: [&str; 10] = [
    "a phone has connected",
    "verdict granted",
    "* granted",
    "bolt withdrawn",
    "bolt in place",
    "audit handed",
    "audit received",
    "clock:",
    "revocations taken",
    "the phone has gone",
];

/// How many presses Ben has.
const USES: u32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_power_goes_the_lock_keeps_what_it_knew_and_moves_once() {
    let seed = std::env::var(SEED).ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("to repeat this run: {SEED}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let (world, mut door, group, ann) = World::with_ann().await;
    let limited = world.special_group("Trial", &[&door], json!({ "restrictions": { "use_limit": USES } })).await;
    world.member("Ben", &[&limited]).await;
    let cid_member = world.member("Cid", &[&group]).await;
    let (ben, cid) = (world.signed_in("Ben").await, world.signed_in("Cid").await);
    for phone in [&ben, &cid] {
        phone.set_online(false);
    }
    door.hand_over(&world).await;
    let mut lock = Process::start(&world, &door).await;
    opened(&press_and_settle(&cid, &door).await);
    // The next visit of Ann's phone tells the lock.
    world.take(&cid_member, &group).await;
    ann.refresh().await.unwrap();

    let mut known = Known::default();
    for cut in 0..CUTS {
        let who = if random.u32(..4) == 0 { &ben } else { &ann };
        let moment = random.choice(MOMENTS).filter(|_| random.bool());
        let most = 1 << random.u32(..16);
        let more = random.u32(..most);
        println!("cut {cut}: at {moment:?} and {more} turns");
        let mut pressing = who.press(door.options()).unwrap();
        let settled = pressing.press().settled().clone();
        patiently(async {
            tokio::select! {
                () = lock.says(moment) => {}
                _ = settled.done() => {}
            }
        })
        .await;
        for _ in 0..more {
            tokio::task::yield_now().await;
        }
        known.revoked |= lock.count("revocations taken") > 0;
        lock.kill().await;
        world.left(&door.name).await;
        lock = Process::start(&world, &door).await;

        // The press meets the lock again, or the member asks again: it is the same press all the time.
        let mut outcome = patiently(pressing.outcome()).await.unwrap();
        while let Outcome::Unconfirmed(_) = outcome.outcome {
            outcome = match who.retry(outcome.press) {
                Ok(pressing) => outcome_of(pressing).await,
                Err(_) => press_and_settle(who, &door).await,
            };
        }
        // Verdicts are forgotten with the power (docs/PROTOCOL.md section 16): once before, and once now, at most.
        let moved = lock.rests().await;
        assert!(moved <= 1, "one press moved the bolt {moved} times after the power was back:\n{lock}");
        known.learn(who, &ben, &outcome);

        let next = press_and_settle(&ann, &door).await;
        assert!(!opened(&next).replayed, "a new press is a new wish");
        assert_eq!(lock.rests().await, moved + 1, "{lock}");
        known.learn(&ann, &ben, &next);
        if known.revoked || lock.count("revocations taken") > 0 {
            known.revoked = true;
            refused_by_lock(&press_and_settle(&cid, &door).await, "revoked");
        }
    }

    assert!(known.revoked, "Ann's phone has been here more than once");
    while known.ben_opened <= USES {
        let outcome = press_and_settle(&ben, &door).await;
        known.learn(&ben, &ben, &outcome);
        if let Outcome::Refused(_) = outcome.outcome {
            refused_by_lock(&outcome, "use-limit");
            break;
        }
    }
    assert!(known.ben_opened <= USES, "Ben opened {} times", known.ben_opened);

    // Whatever a phone was told, the lock has on record, in a chain that the service accepts.
    ben.set_online(true);
    let _ = patiently(ben.refresh()).await;
    opened(&press_and_settle(&ann, &door).await);
    for press in known.presses {
        assert_eq!(world.press(press).await.witness, "lock", "{press:?}");
    }
    lock.kill().await;
}

/// What the lock has said to somebody, and must not forget.
#[derive(Default)]
struct Known {
    revoked: bool,
    ben_opened: u32,
    presses: Vec<UnlockId>,
    audit_number: u32,
}

impl Known {
    fn learn(&mut self, who: &Phone, ben: &Phone, outcome: &PressOutcome) {
        let is_ben = std::ptr::eq(who, ben);
        match &outcome.outcome {
            Outcome::Opened(report) => {
                self.ben_opened += u32::from(is_ben);
                self.presses.push(outcome.press);
                assert!(
                    report.audit_number >= self.audit_number,
                    "{} after {}",
                    report.audit_number,
                    self.audit_number
                );
                self.audit_number = report.audit_number;
            }
            Outcome::Refused(_) if is_ben => refused_by_lock(outcome, "use-limit"),
            other => panic!("not opened: {other:?} {:?}", outcome.metrics),
        }
    }
}

/// A lock in a process of its own.
struct Process {
    child: Child,
    said: watch::Receiver<Vec<String>>,
}

impl Process {
    async fn start(world: &World, door: &Door) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybutton-under-test"));
        for name in ["KEYBUTTON_STATE", "KEYBUTTON_AIR", "KEYBUTTON_SERVICE", "KEYBUTTON_TOKEN", "KEYBUTTON_LOG"] {
            command.env_remove(name);
        }
        command.args(["lock", &door.name, "--state"]).arg(world.state.path());
        command.args(["--air", &world.air_address(), "--service", "http://127.0.0.1:1"]);
        // As quick as the other doors of these tests.
        command.args(["--advertising-interval", "20ms", "--connection-interval", "7.5ms", "--setup-events", "2"]);
        // A phone notices soon that the lock is gone.
        command.args(["--supervision-timeout", "500ms"]);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|said| said.push(line));
            }
        });
        let mut process = Self { child, said };
        process.wait(|said| said.iter().any(|line| line.starts_with("running"))).await;
        process
    }

    async fn kill(&mut self) -> ExitStatus {
        self.child.start_kill().unwrap();
        let status = self.child.wait().await.unwrap();
        assert_eq!(status.code(), None, "it ended by itself:\n{self}");
        status
    }

    fn count(&self, text: &str) -> usize {
        self.said.borrow().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until it says something once more; returns at once for nothing.
    async fn says(&self, text: Option<&str>) {
        let Some(text) = text else { return };
        let before = self.count(text);
        let count = |said: &Vec<String>| said.iter().filter(|line| line.contains(text)).count();
        // One that has ended says nothing more, and the press settles.
        let _ = self.said.clone().wait_for(|said| count(said) > before).await;
    }

    /// Waits until the bolt has followed every verdict and is back in its place; tells how often it was withdrawn.
    async fn rests(&mut self) -> usize {
        self.wait(|said| {
            let count = |text: &str| said.iter().filter(|line| line.contains(text)).count();
            let granted = count("verdict granted") - count("nothing moves");
            let (withdrawn, back) = (count("bolt withdrawn"), count("bolt in place"));
            granted == withdrawn && withdrawn == back
        })
        .await;
        self.count("bolt withdrawn")
    }

    async fn wait(&mut self, mut is_it: impl FnMut(&[String]) -> bool) {
        if patiently(self.said.wait_for(|said| is_it(said))).await.is_err() {
            panic!("the lock has ended:\n{self}");
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said.borrow().join("\n"))
    }
}
