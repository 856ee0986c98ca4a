//! `keybutton stage`: a stage for whoever tests an app.
//!
//! One JSON object a line on standard input, one on standard output for each, in order; the first line out introduces
//! the stage (`service_url`, `air`, `app`, `doors`, `members`). Every answer has `ok`; one that is not has `code`,
//! `error` and `remedy`, and the stage is as it was. It ends when standard input does.

use std::{io, path::PathBuf, thread};

use clap::Args;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::{
    failure::Failure,
    stage::{Answer, Command, Plan, Stage},
};

/// The form of what is said; raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Options of `keybutton stage`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "The first line out says where service and air are, and which doors and members there are.\n\
    Then each line in is a command, such as {\"do\":\"session\",\"member\":\"Ann\"}, answered by one line with \"ok\".\n\
    {\"do\":\"help\"} lists the commands. It ends when standard input does; without --state nothing stays.")]
pub struct StageArgs {
    /// Where the simulated randomness of the air starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command until standard input ends.
pub async fn run(args: StageArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    let mut stage = Stage::set(&Plan::testing(), state, args.seed, &mut |_| {}).await?;
    let mut introduction = stage.introduction();
    introduction.insert("version".to_owned(), VERSION.into());
    say(introduction);
    let mut lines = lines_of_stdin();
    while let Some(line) = lines.recv().await {
        say(answer(&mut stage, &line).await);
    }
    stage.clear().await
}

/// Standard input, read on a thread of its own: nothing has to wait for a line that never comes.
fn lines_of_stdin() -> mpsc::UnboundedReceiver<String> {
    let (lines, read) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    read
}

async fn answer(stage: &mut Stage, line: &str) -> Answer {
    let result = match serde_json::from_str::<Command>(line) {
        Ok(command) => stage.obey(command).await,
        Err(error) => Err(Failure::new("invalid-command", error, "Ask for the commands with {\"do\":\"help\"}.")),
    };
    let (ok, rest) = match result {
        Ok(rest) => (true, rest),
        Err(failure) => (false, refusal(&failure)),
    };
    Map::from_iter([("ok".to_owned(), Value::Bool(ok))].into_iter().chain(rest))
}

fn refusal(failure: &Failure) -> Answer {
    [("code", &failure.code), ("error", &failure.message), ("remedy", &failure.remedy)]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), json!(text)))
        .collect()
}

fn say(object: Answer) {
    println!("{}", Value::Object(object));
}
