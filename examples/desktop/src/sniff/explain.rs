//! What messages mean (docs/PROTOCOL.md sections 4 to 11, 16 and 19).

use keybutton_protocol::{
    apdu::{Command, Ins, StatusWord},
    message::{self, Event, EventError, Kind},
};

use super::{Context, Field, Message, Way, fields};

/// Explains a whole message.
pub(super) fn message(way: Way, whole: &[u8], values: u32, context: &mut Context) -> Message {
    let bytes = whole.len();
    let Ok((kind, payload)) = message::parse(whole) else {
        return Message { name: "malformed", bytes, values, ..unreadable("breaks the rules of messages") };
    };
    // From the verdict on, everything but APDUs is sealed.
    let sealed_notification = context.exchanges > 0;
    let told = match (way, kind) {
        (Way::ToPhone, Kind::Command) => command(payload, context),
        (Way::ToLock, Kind::Response) => response(payload, context),
        (Way::ToLock, Kind::Initiate) => initiate(payload),
        (_, Kind::Event) if !sealed_notification => event(payload),
        (_, Kind::Event | Kind::StatusChanged | Kind::Completed | Kind::Initiate) if sealed_notification => Message {
            fields: vec![sealed("notification", payload.len())],
            ..whole_sealed(name_of(kind), "news between phone and lock, readable by these two only")
        },
        (Way::ToPhone, Kind::StatusChanged | Kind::Completed) => Message {
            fields: vec![fields::plain("00", "source or capabilities, and the bolt's state", payload.len().max(2) - 2)],
            ..readable(name_of(kind), "the lock says how the bolt stands; not sealed, so not to be relied on")
        },
        (_, kind) => Message {
            fields: vec![fields::plain("", "payload", payload.len())],
            ..readable(name_of(kind), "unexpected here: the transaction does not have it in this direction")
        },
    };
    Message { bytes, values, ..told }
}

fn initiate(payload: &[u8]) -> Message {
    let a5 = message::attribute(payload, 0).unwrap_or_default();
    Message {
        fields: fields::a5(a5),
        ..readable(
            "Initiate",
            "the phone begins: what it can, and what is wanted; every key will depend on these bytes",
        )
    }
}

fn event(payload: &[u8]) -> Message {
    let says = match Event::parse(payload) {
        Ok(Event::Busy) => "busy",
        Ok(Event::Error(EventError::Unknown)) => "error, not said which",
        Ok(Event::Error(EventError::Resource)) => "error, out of resources",
        Ok(Event::Error(EventError::Parameters)) => "error, wrong parameters",
        Ok(Event::Error(EventError::Other(_))) => "error, unknown code",
        Err(_) => "malformed",
    };
    let means =
        if says == "busy" { "wait: the sender has its hands full" } else { "the session is over, nothing was decided" };
    Message { fields: vec![fields::said("", "event", payload.len(), says)], ..readable("Event", means) }
}

fn command(apdu: &[u8], context: &mut Context) -> Message {
    let Ok(command) = Command::parse(apdu) else {
        return Message { ..unreadable("not a command: the phone ends the session") };
    };
    let ins = Ins::from_byte(command.ins);
    context.command = ins;
    let data = command.data;
    match ins {
        Some(Ins::Select) => Message {
            fields: vec![fields::plain("", "application identifier", data.len())],
            ..readable("SELECT", "chooses the application, as on a tap")
        },
        Some(Ins::Auth0) => {
            context.fast = fields::asks_fast(data);
            let means = if context.fast {
                "the lock begins with a fresh key, and asks whether they have met (fast phase); proves nothing yet"
            } else {
                "the lock begins with a fresh key; proves nothing yet"
            };
            Message { fields: fields::auth0(data), ..readable("AUTH0", means) }
        }
        Some(Ins::LoadCert) => Message {
            fields: vec![fields::plain("30", "reader certificate", data.len())],
            ..readable("LOAD CERT", "whose lock it is, signed by the site; counts once AUTH1 proves the key in it")
        },
        Some(Ins::Auth1) => {
            context.auth1 = true;
            Message {
                fields: fields::auth1(data),
                ..readable(
                    "AUTH1",
                    "the lock's signature over both fresh keys: proves to the phone that it is this lock of the site, \
                     here and now; only after checking it does the phone say who it is",
                )
            }
        }
        Some(Ins::Envelope) => Message {
            fields: vec![sealed("request for documents", data.len())],
            ..whole_sealed("ENVELOPE", "the lock does not know this key, or not any more, and asks for its documents")
        },
        Some(Ins::Exchange) => exchange(data, context),
        Some(Ins::ControlFlow) => Message {
            fields: fields::control_flow(data),
            ..readable("CONTROL FLOW", "the lock gives up before a channel was there; nothing was decided")
        },
        Some(Ins::GetResponse) => readable("GET RESPONSE", "asks for the rest of a long answer"),
        None => Message { fields: vec![fields::plain("", "data", data.len())], ..unreadable("an unknown command") },
    }
}

fn exchange(data: &[u8], context: &mut Context) -> Message {
    context.exchanges += 1;
    let (what, means) = match (context.exchanges, context.fast && !context.auth1) {
        (1, true) => (
            "verdict",
            "the verdict by the fast phase. Sealed with keys that only a phone which opened here before and this lock \
             can make: proves both to each other",
        ),
        (1, false) => ("verdict", "the verdict. Sealed: only this lock can have said so, and only for this press"),
        (_, _) => (
            "sync",
            "after the verdict, for the lock's sake: it asks for time, revocations or acknowledgements, or hands over \
             its audit",
        ),
    };
    Message { fields: vec![sealed(what, data.len())], ..whole_sealed("EXCHANGE", means) }
}

fn response(apdu: &[u8], context: &Context) -> Message {
    let Some((data, [hi, lo])) = apdu.split_last_chunk::<2>() else {
        return Message { ..unreadable("not an answer: the lock ends the session") };
    };
    let status = u16::from_be_bytes([*hi, *lo]);
    let mut told = match (context.command, status == StatusWord::OK.0) {
        (Some(Ins::Auth0), true) => {
            Message { fields: fields::auth0_answer(data), ..readable("AUTH0 answer", auth0_answer_means(context.fast)) }
        }
        (Some(Ins::Auth1), true) => Message {
            fields: vec![sealed("device key, its signature, what documents there are", data.len())],
            ..whole_sealed(
                "AUTH1 answer",
                "the phone's signature over both fresh keys: proves the device key, to this lock alone",
            )
        },
        (Some(Ins::Envelope), true) => Message {
            fields: vec![sealed("documents", data.len())],
            ..whole_sealed(
                "ENVELOPE answer",
                "the access document, signed by the issuer: proves what this device key may open, and until when",
            )
        },
        (Some(Ins::Exchange), true) => Message {
            fields: vec![sealed("answer", data.len())],
            ..whole_sealed("EXCHANGE answer", exchange_answer_means(context.exchanges))
        },
        (Some(Ins::Select | Ins::LoadCert | Ins::GetResponse | Ins::ControlFlow), true) => {
            Message { fields: vec![fields::plain("", "data", data.len())], ..readable("answer", "the phone goes on") }
        }
        (None, true) => readable("answer", "answers a command that was not heard here"),
        (_, false) => Message {
            fields: vec![fields::plain("", "data", data.len())],
            ..readable("answer", "the phone refuses, and the session is over; nothing was decided")
        },
    };
    told.fields.push(fields::said("", "status word", 2, status_text(status)));
    told
}

const fn auth0_answer_means(fast: bool) -> &'static str {
    if fast {
        "the phone's fresh key and a cryptogram: who holds the key of an earlier opening can read it; to everybody \
         else a real one and a random one look the same"
    } else {
        "the phone's fresh key; the phone has not said who it is"
    }
}

const fn exchange_answer_means(exchanges: u32) -> &'static str {
    if exchanges <= 1 { "the phone has heard the verdict" } else { "what the lock asked for, or nothing" }
}

fn status_text(status: u16) -> &'static str {
    match StatusWord(status) {
        StatusWord::OK => "9000, done",
        StatusWord::GENERIC => "6400, failed",
        StatusWord::WRONG_LENGTH => "6700, wrong length",
        StatusWord::CHAIN_EXPECTED => "6883, the rest of a chain was expected",
        StatusWord::SECURITY => "6982, not recognised or does not open",
        StatusWord::CONDITIONS => "6985, not now, or the user has to authenticate first",
        StatusWord::WRONG_DATA => "6A80, wrong data",
        StatusWord::NOT_FOUND => "6A82, no such application",
        StatusWord::WRONG_PARAMETERS => "6B00, wrong parameters",
        StatusWord::UNKNOWN_INS => "6D00, unknown command",
        StatusWord::UNKNOWN_CLA => "6E00, unknown class",
        _ => "an unknown one",
    }
}

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Command => "command",
        Kind::Response => "response",
        Kind::Event => "Event",
        Kind::StatusChanged => "Status changed",
        Kind::Completed => "Completed",
        Kind::Initiate => "Initiate",
        Kind::Other { .. } => "other",
    }
}

fn sealed(name: &'static str, bytes: usize) -> Field {
    fields::said("", name, bytes, "encrypted")
}

fn readable(name: &'static str, means: &'static str) -> Message {
    Message { name, bytes: 0, values: 0, sealed: false, fields: Vec::new(), means }
}

fn whole_sealed(name: &'static str, means: &'static str) -> Message {
    Message { sealed: true, ..readable(name, means) }
}

fn unreadable(means: &'static str) -> Message {
    readable("unreadable", means)
}
