//! What a test wants of the air itself: who is in range, and where a link is cut.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::line::Line;

/// The air between bumble's controllers. They are called like the adapters in this machine.
pub struct Air {
    line: Line,
    last: AtomicU64,
    asked: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
}

impl Air {
    /// Reaches the air; `None` where the controllers are not bumble's.
    pub fn reach() -> Option<Self> {
        let asked = Arc::<Mutex<HashMap<u64, oneshot::Sender<Value>>>>::default();
        let line = Line::open("control", {
            let asked = asked.clone();
            move |answer| {
                let asker = asked.lock().unwrap().remove(&answer["id"].as_u64().unwrap()).unwrap();
                // Who asked may have stopped waiting.
                let _ = asker.send(answer);
            }
        })?;
        Some(Self { line, last: AtomicU64::new(0), asked })
    }

    /// Takes a controller out of everybody's range, or brings it back. Its links die of it.
    pub async fn set_heard(&self, controller: &str, heard: bool) {
        self.ask(json!({ "do": "heard", "radio": controller, "heard": heard })).await;
    }

    /// Takes a controller out of range in place of the value that comes after so many on its next link, in whichever
    /// direction.
    pub async fn cut_after(&self, controller: &str, values: u64) {
        self.ask(json!({ "do": "cut", "radio": controller, "after": values })).await;
    }

    /// Waits until a controller is out of range.
    pub async fn out_of_range(&self, controller: &str) {
        self.ask(json!({ "do": "unheard", "radio": controller })).await;
    }

    /// Waits until a controller has no link.
    pub async fn unlinked(&self, controller: &str) {
        self.ask(json!({ "do": "unlinked", "radio": controller })).await;
    }

    async fn ask(&self, mut request: Value) {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        self.asked.lock().unwrap().insert(id, asker);
        request["id"] = id.into();
        self.line.order(&request);
        let answer = answer.await.unwrap();
        assert_eq!(answer["error"], Value::Null, "{request}");
    }
}
