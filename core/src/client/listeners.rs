//! Call-backs to the host: in order, one at a time, on their own task, surviving their panics.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{outcome::PressOutcome, pending::guarded, press::PressListener, unlock::Phase};

#[derive(Debug)]
pub(super) enum News {
    Phase(Phase),
    Outcome(Box<PressOutcome>),
}

/// The press's end of its listener.
pub(super) struct Teller {
    news: mpsc::UnboundedSender<News>,
    listener: Arc<dyn PressListener>,
}

/// The listener's end, to be run as a task. What is left when the task is dropped is told then.
pub(super) struct Telling {
    news: mpsc::UnboundedReceiver<News>,
    listener: Arc<dyn PressListener>,
}

pub(super) fn teller(listener: Arc<dyn PressListener>) -> (Teller, Telling) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Teller { news: sender, listener: listener.clone() }, Telling { news: receiver, listener })
}

impl Teller {
    pub(super) fn tell(&self, news: News) {
        // Its task is gone when the core is being dropped: then this thread tells.
        if let Err(mpsc::error::SendError(news)) = self.news.send(news) {
            tell(&*self.listener, news);
        }
    }
}

impl Telling {
    pub(super) async fn run(mut self) {
        while let Some(news) = self.news.recv().await {
            tell(&*self.listener, news);
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.news.close();
        while let Ok(news) = self.news.try_recv() {
            tell(&*self.listener, news);
        }
    }
}

fn tell(listener: &dyn PressListener, news: News) {
    guarded(|| match news {
        News::Phase(phase) => listener.on_phase(phase),
        News::Outcome(outcome) => listener.on_outcome(*outcome),
    });
}
