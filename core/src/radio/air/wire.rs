//! What participants and the broker say to each other: length-prefixed JSON, one message a frame.

use std::io;

use keybutton_protocol::api::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    control::{LinkReport, ParticipantReport, Role},
    knobs::{Knobs, Manner, Position},
};
use crate::radio::RadioError;

/// The broker refuses participants that speak another version.
pub(super) const VERSION: u8 = 1;

/// No message is longer; a longer one ends the connection.
const MAX_FRAME: usize = 64 * 1024;

/// From a participant to the broker.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToBroker {
    /// First of all: who joins.
    Hello { version: u8, role: Role, name: String, position: Position, knobs: Box<Knobs> },
    /// Phone: report advertisements, or no more.
    Scan(bool),
    /// Phone: connect to an address.
    Connect { address: String },
    /// Phone: stop trying to connect.
    GiveUp { address: String },
    /// Lock: advertise this, or nothing.
    Advertise(Option<Payload>),
    /// One ATT value along a link.
    Value { link: u32, value: Bytes },
    /// Drop a link, after the values sent before.
    Close { link: u32 },
    /// Ask or change something about the air.
    Control(ControlRequest),
}

/// From the broker to a participant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FromBroker {
    /// The answer to `Hello`.
    Welcome,
    /// Joining failed; the connection ends.
    Refused { why: String },
    /// Phone: an advertisement was heard.
    Heard { rssi: i8, payload: Payload },
    /// A link is up and subscribed. `address` is the lock's for a phone, the phone's for a lock.
    Connected { link: u32, address: String, mtu: u16 },
    /// Phone: a link did not come up.
    ConnectFailed { address: String, cause: Cause },
    /// One ATT value arrived.
    Value { link: u32, value: Bytes },
    /// A link is gone.
    Closed { link: u32, cause: Cause },
    /// The participant's radio was switched.
    Radio(bool),
    /// The answer to `Control`.
    Control(ControlReply),
}

/// What a lock advertises.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Payload {
    /// The lock's present address.
    pub(super) address: String,
    /// The advertising packet's data.
    pub(super) advertisement: Bytes,
    /// The scan response's data; empty when it was not heard.
    pub(super) scan_response: Bytes,
}

/// Why a link is gone, on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cause {
    Unavailable,
    OutOfRange,
    ConnectFailed,
    LinkLost,
    Closed,
}

impl From<Cause> for RadioError {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Unavailable => Self::Unavailable,
            Cause::OutOfRange => Self::OutOfRange,
            Cause::ConnectFailed => Self::ConnectFailed,
            Cause::LinkLost => Self::LinkLost,
            Cause::Closed => Self::Closed,
        }
    }
}

/// What the scene's director asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ControlRequest {
    SetKnobs { name: String, knobs: Box<Knobs> },
    Move { name: String, position: Position },
    Radio { name: String, on: bool },
    Cut { name: String, manner: Manner },
    Participants,
    TakeLinks,
}

/// What the broker answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ControlReply {
    Done,
    Unknown { name: String },
    Participants(Vec<ParticipantReport>),
    Links(Vec<LinkReport>),
}

/// Sends one message.
pub(super) async fn send<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_FRAME).ok_or_else(too_long)?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame).await
}

/// Receives one message; an error of kind `UnexpectedEof` means the other side has gone.
pub(super) async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let len = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if len > MAX_FRAME {
        return Err(too_long());
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body).await?;
    serde_json::from_slice(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame on the air is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_survive_the_way() {
        let (mut near, mut far) = tokio::io::duplex(256);
        let message = ToBroker::Value { link: 7, value: Bytes::from([1, 2, 3]) };
        send(&mut near, &message).await.unwrap();
        assert_eq!(receive::<ToBroker>(&mut far).await.unwrap(), message);
    }

    #[tokio::test]
    async fn overlong_and_malformed_frames_are_refused() {
        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        assert_eq!(receive::<ToBroker>(&mut far).await.unwrap_err().kind(), io::ErrorKind::InvalidData);

        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(&[0, 0, 0, 2, b'{', b'}']).await.unwrap();
        assert_eq!(receive::<ToBroker>(&mut far).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
