//! The scene's director: changes knobs, moves participants, cuts links, reads what happened.

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    AirError, Participant,
    broker::{Endpoint, Stream},
    knobs::{Knobs, Manner, Position},
    wire::{self, ControlReply, ControlRequest, FromBroker, ToBroker},
};

/// Controls an air. Calls are answered in order; each has taken effect when it returns.
#[derive(Debug)]
pub struct AirControl {
    stream: Mutex<Stream>,
}

impl AirControl {
    /// Joins the air as its director.
    pub async fn join(endpoint: &Endpoint) -> Result<Self, AirError> {
        let stream = endpoint.join(Role::Control, &Participant::named("")).await?;
        Ok(Self { stream: Mutex::new(stream) })
    }

    /// Sets every knob of a participant, for its present and its later links; a cut is for later ones only.
    pub async fn set_knobs(&self, name: &str, knobs: Knobs) -> Result<(), AirError> {
        self.done(ControlRequest::SetKnobs { name: name.to_owned(), knobs: Box::new(knobs) }).await
    }

    /// Moves a participant.
    pub async fn move_to(&self, name: &str, position: Position) -> Result<(), AirError> {
        self.done(ControlRequest::Move { name: name.to_owned(), position }).await
    }

    /// Switches a participant's radio on or off.
    pub async fn set_radio(&self, name: &str, on: bool) -> Result<(), AirError> {
        self.done(ControlRequest::Radio { name: name.to_owned(), on }).await
    }

    /// Cuts every link a participant has now.
    pub async fn cut(&self, name: &str, manner: Manner) -> Result<(), AirError> {
        self.done(ControlRequest::Cut { name: name.to_owned(), manner }).await
    }

    /// Lists who is on the air.
    pub async fn participants(&self) -> Result<Vec<ParticipantReport>, AirError> {
        match self.ask(ControlRequest::Participants).await? {
            ControlReply::Participants(list) => Ok(list),
            other => Err(unexpected(other)),
        }
    }

    /// Takes the reports of the links since the last call (at most the newest 256), oldest first.
    pub async fn take_links(&self) -> Result<Vec<LinkReport>, AirError> {
        match self.ask(ControlRequest::TakeLinks).await? {
            ControlReply::Links(list) => Ok(list),
            other => Err(unexpected(other)),
        }
    }

    async fn done(&self, request: ControlRequest) -> Result<(), AirError> {
        match self.ask(request).await? {
            ControlReply::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, request: ControlRequest) -> Result<ControlReply, AirError> {
        let mut stream = self.stream.lock().await;
        wire::send(&mut stream.writer, &ToBroker::Control(request)).await?;
        match wire::receive(&mut stream.reader).await? {
            FromBroker::Control(reply) => Ok(reply),
            _ => Err(AirError::UnexpectedAnswer),
        }
    }
}

fn unexpected(reply: ControlReply) -> AirError {
    match reply {
        ControlReply::Unknown { name } => AirError::UnknownParticipant(name),
        ControlReply::Done | ControlReply::Participants(_) | ControlReply::Links(_) => AirError::UnexpectedAnswer,
    }
}

/// What a participant of the air is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Scans and connects.
    Phone,
    /// Advertises and accepts links.
    Lock,
    /// Runs the scene; has no radio.
    Control,
}

/// A participant as the director sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ParticipantReport {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Where it stands.
    pub position: Position,
    /// How its radio and its links behave.
    pub knobs: Knobs,
    /// Its radio is on.
    pub radio: bool,
    /// How many links it has.
    pub links: u32,
}

/// What went over one link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkReport {
    /// The phone's name.
    pub phone: String,
    /// The lock's name.
    pub lock: String,
    /// From the wish to connect to a subscribed link, microseconds.
    pub setup_us: u64,
    /// How long values were on their way, microseconds (two at the same time count once).
    pub in_flight_us: u64,
    /// ATT values to the lock.
    pub values_to_lock: u32,
    /// ATT values to the phone.
    pub values_to_phone: u32,
    /// Bytes of the values to the lock.
    pub bytes_to_lock: u64,
    /// Bytes of the values to the phone.
    pub bytes_to_phone: u64,
    /// How many times the lock spoke and the phone answered.
    pub round_trips: u32,
    /// The link is gone.
    pub ended: bool,
}
