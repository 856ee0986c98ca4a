//! The one writer: commits what has come in meanwhile together, without waiting for more.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError, Unit};

/// The most units of one transaction.
const BATCH: usize = 256;

/// The most units that wait; beyond that callers wait to hand theirs over.
const QUEUE: usize = 4096;

type Job = (Unit, oneshot::Sender<Result<(), StoreError>>);

/// A handle to the writer. While one transaction is being committed, the units of the next gather in its queue.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer on the current Tokio runtime. It ends when the last handle is dropped.
    pub fn start(store: Arc<dyn Store>) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while queue.recv_many(&mut batch, BATCH).await > 0 {
                let (units, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
                match store.commit(&units).await {
                    Ok(results) => answers.into_iter().zip(results).for_each(|(answer, result)| {
                        // A caller that has gone away has no use for the result.
                        let _ = answer.send(result);
                    }),
                    Err(error) => answers.into_iter().for_each(|answer| {
                        let _ = answer.send(Err(error.clone()));
                    }),
                }
            }
        });
        Self { jobs }
    }

    /// Commits a unit; returns once it is durable as far as the store's setting goes.
    pub async fn commit(&self, unit: Unit) -> Result<(), StoreError> {
        let (answer, result) = oneshot::channel();
        let stopped = || StoreError::Database("the writer has stopped".to_owned());
        self.jobs.send((unit, answer)).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }
}
