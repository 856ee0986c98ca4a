//! What a signed-in core costs while nobody uses it.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use keybutton::radio::air::{Broker, BrokerOptions, Participant};

use super::{
    ground::Ground,
    table::{Bar, Row},
};
use crate::{
    failure::Failure,
    organization::DoorWish,
    phone::{Phone, PhoneOptions},
};

const MEMBER: &str = "Ann";

/// The time everything gets to come to rest.
const SETTLE: Duration = Duration::from_secs(1);

/// Watches the process with a signed-in core on an air that it does not use. The service is stopped before.
pub(super) async fn watch(time: Duration) -> Result<Vec<Row>, Failure> {
    let ground = Ground::lay(vec![DoorWish::named("Front door")]).await?;
    let broker = Broker::local(BrokerOptions::default());
    ground.member(MEMBER).await?;
    let phone = Phone::start(PhoneOptions {
        folder: ground.state.phone(MEMBER)?,
        endpoint: broker.endpoint().clone(),
        participant: Participant::named(MEMBER),
        service: ground.service.url().to_owned(),
        app: ground.organization.app().clone(),
    })
    .await?;
    phone.sign_in(ground.organization.token(MEMBER)?).await?;
    ground.service.stop().await?;
    tokio::time::sleep(SETTLE).await;
    let (begun, cpu) = (Instant::now(), ProcessTime::now());
    tokio::time::sleep(time).await;
    let share = cpu.elapsed().as_secs_f64() / begun.elapsed().as_secs_f64();
    drop(phone);
    Ok(vec![
        Row::new("CPU of the process, share of one processor", share * 100.0, "%")
            .bar(Bar::AtMost(0.05))
            .note(format!("over {} s", time.as_secs())),
    ])
}
