//! `keybutton nearby`: the doors in range.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use keybutton::{client::NearbyListener, discovery::Candidate, error::KeyError};
use tokio::sync::mpsc;

use super::{
    knobs::{KnobArgs, time},
    stopped,
};
use crate::{
    console::{Paint, paint},
    failure::Failure,
    session::PhoneArgs,
};

/// Strengths are shown in steps of this.
const STEP_DB: i16 = 6;

/// Options of `keybutton nearby`.
#[derive(Clone, Debug, Args)]
pub struct NearbyArgs {
    /// Stop after this time [default: at Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    #[command(flatten)]
    phone: PhoneArgs,
    #[command(flatten)]
    knobs: KnobArgs,
}

/// Runs the command.
pub async fn run(args: NearbyArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    let phone = args.phone.start(state, args.knobs.apply(Default::default())).await?;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let _nearby = phone.keys().nearby(Arc::new(Listener(sender)))?;
    let end = async {
        match args.duration {
            Some(duration) => {
                tokio::time::sleep(duration).await;
                Ok(())
            }
            None => stopped().await,
        }
    };
    tokio::pin!(end);
    let mut shown = None;
    loop {
        tokio::select! {
            result = &mut end => return result,
            Some(news) = heard.recv() => {
                let text = text(news);
                if shown.as_ref() != Some(&text) {
                    println!("{text}\n");
                    shown = Some(text);
                }
            }
        }
    }
}

/// The list; strengths are rounded, so that a list that says the same is the same.
fn text(news: Result<Vec<Candidate>, KeyError>) -> String {
    match news {
        Ok(doors) if doors.is_empty() => "no door is in range".to_owned(),
        Ok(doors) => {
            let lines = doors.iter().map(|door| {
                let mark = if door.opens { paint(Paint::Green, "opens") } else { paint(Paint::Red, "no key") };
                let busy = if door.busy { ", busy" } else { "" };
                let battery = if door.battery_low { ", battery low" } else { "" };
                let strength = (door.strength_db + STEP_DB / 2).div_euclid(STEP_DB) * STEP_DB;
                format!("{:24} about {strength:>4} dB  {mark}{busy}{battery}", door.name)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(error) => {
            let failure = Failure::from(error);
            format!("{}  {}", paint(Paint::Amber, &failure.to_string()), failure.remedy)
        }
    }
}

struct Listener(mpsc::UnboundedSender<Result<Vec<Candidate>, KeyError>>);

impl NearbyListener for Listener {
    fn on_doors(&self, doors: Vec<Candidate>) {
        // The command may be ending.
        let _ = self.0.send(Ok(doors));
    }

    fn on_blocked(&self, error: KeyError) {
        let _ = self.0.send(Err(error));
    }
}
