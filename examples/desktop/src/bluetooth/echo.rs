//! A service that answers, without a lock behind it.

use std::{
    future::{Ready, ready},
    pin::Pin,
};

use bluer::{
    Session,
    gatt::local::{
        Application, ApplicationHandle, Characteristic, CharacteristicNotifier, CharacteristicNotify,
        CharacteristicNotifyMethod, CharacteristicWrite, CharacteristicWriteMethod, ReqError, ReqResult, Service,
    },
};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

use super::ECHO;
use crate::failure::Failure;

/// A service on an adapter that notifies what was written to it, until it is dropped. Beside a lock's it shows what the same
/// stack and link take when there is nothing to think about.
#[derive(Debug)]
pub struct Echo {
    _session: Session,
    _application: ApplicationHandle,
    answering: JoinHandle<()>,
}

enum Input {
    Subscribed(CharacteristicNotifier),
    Wrote(Vec<u8>),
}

type Answer<T> = Pin<Box<Ready<T>>>;

impl Echo {
    /// Puts the service on an adapter.
    pub async fn start(adapter: &str) -> Result<Self, Failure> {
        let session = Session::new().await.map_err(failed)?;
        let adapter = session.adapter(adapter).map_err(failed)?;
        adapter.set_powered(true).await.map_err(failed)?;
        let (inputs, to_do) = mpsc::unbounded_channel();
        let application = adapter.serve_gatt_application(application(&inputs)).await.map_err(failed)?;
        Ok(Self { _session: session, _application: application, answering: tokio::spawn(answer(to_do)) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer(mut inputs: mpsc::UnboundedReceiver<Input>) {
    let mut listener = None;
    while let Some(input) = inputs.recv().await {
        match input {
            Input::Subscribed(notifier) => listener = Some(notifier),
            Input::Wrote(value) => {
                if let Some(notifier) = &mut listener {
                    // Who has left is not answered.
                    let _ = notifier.notify(value).await;
                }
            }
        }
    }
}

fn application(inputs: &mpsc::UnboundedSender<Input>) -> Application {
    let [service, to_peer, from_peer] = ECHO.map(Uuid::from_u128);
    let (wrote, subscribed) = (inputs.clone(), inputs.clone());
    let write = CharacteristicWrite {
        write: true,
        write_without_response: true,
        method: CharacteristicWriteMethod::Fun(Box::new(move |value, _| {
            let taken = wrote.send(Input::Wrote(value)).map_err(|_| ReqError::Failed);
            Box::pin(ready(taken)) as Answer<ReqResult<()>>
        })),
        ..CharacteristicWrite::default()
    };
    let notify = CharacteristicNotify {
        notify: true,
        method: CharacteristicNotifyMethod::Fun(Box::new(move |notifier| {
            // The echo may be ending.
            let _ = subscribed.send(Input::Subscribed(notifier));
            Box::pin(ready(())) as Answer<()>
        })),
        ..CharacteristicNotify::default()
    };
    Application {
        services: vec![Service {
            uuid: service,
            primary: true,
            characteristics: vec![
                Characteristic { uuid: to_peer, write: Some(write), ..Characteristic::default() },
                Characteristic { uuid: from_peer, notify: Some(notify), ..Characteristic::default() },
            ],
            ..Service::default()
        }],
        ..Application::default()
    }
}

fn failed(error: bluer::Error) -> Failure {
    Failure::new(
        "no-echo",
        format_args!("the service that echoes can't be offered: {error}"),
        "Look at `keybutton doctor --bluetooth`.",
    )
}
