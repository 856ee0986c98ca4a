use keybutton_protocol::frame::Fragmenter;
use proptest::prelude::*;

use super::*;

/// Direction and bytes of each message.
type Messages = Vec<(Way, Vec<u8>)>;

/// The whole transactions of docs/PROTOCOL.md section 25: name of the flow, then direction and bytes of each message.
fn transactions() -> Vec<(String, Messages)> {
    let document = include_str!("../../../../docs/PROTOCOL.md");
    let section = document.split("## 25. Whole transactions").nth(1).unwrap();
    let mut all: Vec<(String, Messages)> = Vec::new();
    for line in section.lines() {
        if let Some(flow) = line.strip_prefix("```text worked:") {
            all.push((flow.to_owned(), Vec::new()));
        } else if line.starts_with("phone: ") || line.starts_with("lock: ") {
            let way = if line.starts_with("phone") { Way::ToLock } else { Way::ToPhone };
            all.last_mut().unwrap().1.push((way, Vec::new()));
        } else if let Some(hex) = line.strip_prefix("  ") {
            let message = &mut all.last_mut().unwrap().1.last_mut().unwrap().1;
            message.extend((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()));
        }
    }
    assert_eq!(all.len(), 4);
    all
}

fn explained(messages: &[(Way, Vec<u8>)], mtu: u16) -> Vec<Value> {
    let mut conversation = Conversation::new();
    let (mut to_lock, mut to_phone) = (Fragmenter::new(mtu), Fragmenter::new(mtu));
    let mut values = Vec::new();
    for (way, message) in messages {
        let fragmenter = if *way == Way::ToLock { &mut to_lock } else { &mut to_phone };
        values.extend(fragmenter.split(message).map(|value| conversation.value(*way, &value)));
    }
    values
}

fn names(flow: &str, mtu: u16) -> Vec<&'static str> {
    let all = transactions();
    let (_, messages) = all.iter().find(|(name, _)| name == flow).unwrap();
    let values = explained(messages, mtu);
    assert!(values.iter().all(|value| value.fault.is_none()));
    values.into_iter().filter_map(|value| value.message).map(|message| message.name).collect()
}

#[test]
fn each_message_has_its_name_whatever_the_mtu() {
    for mtu in [23, 185, 517] {
        assert_eq!(
            names("first-opening", mtu),
            [
                "Initiate",
                "AUTH0",
                "AUTH0 answer",
                "AUTH1",
                "AUTH1 answer",
                "ENVELOPE",
                "ENVELOPE answer",
                "EXCHANGE",
                "EXCHANGE answer"
            ]
        );
        assert_eq!(names("fast", mtu), ["Initiate", "AUTH0", "AUTH0 answer", "EXCHANGE", "EXCHANGE answer"]);
    }
}

#[test]
fn what_is_readable_is_read_and_what_is_sealed_is_said_to_be() {
    let all = transactions();
    let find = |flow: &str, name: &str| {
        let (_, messages) = all.iter().find(|(known, _)| known == flow).unwrap();
        let found = explained(messages, 185).into_iter().filter_map(|value| value.message);
        found.into_iter().find(|message| message.name == name).unwrap()
    };
    let says = |message: &Message, field: &str| {
        message.fields.iter().find(|known| known.name == field).and_then(|field| field.says.clone())
    };
    assert_eq!(says(&find("fast", "Initiate"), "intent").as_deref(), Some("unlock"));
    assert_eq!(says(&find("fast", "AUTH0"), "parameters").as_deref(), Some("asks for the fast phase"));
    assert_eq!(says(&find("known-key", "AUTH0"), "parameters").as_deref(), Some("no fast phase"));
    assert!(find("fast", "EXCHANGE").means.contains("fast phase"));
    assert!(!find("known-key", "EXCHANGE").means.contains("fast phase"));
    let answer = find("first-opening", "AUTH1 answer");
    assert!(answer.sealed && says(&answer, "status word").as_deref() == Some("9000, done"));
    assert!(!find("first-opening", "AUTH1").sealed, "the lock's signature is for everybody to see");
    let signature = find("first-opening", "AUTH1").fields.into_iter().find(|field| field.tag == "9E").unwrap();
    assert_eq!((signature.bytes, signature.says), (64, None));
}

/// Three bytes in a row of any message, written in hexadecimal or as a list of numbers, would be found here.
#[test]
fn no_byte_of_a_transaction_shows() {
    for (flow, messages) in transactions() {
        let values = explained(&messages, 23);
        let shown = [
            values.iter().flat_map(text).collect::<Vec<_>>().join("\n"),
            serde_json::to_string(&values).unwrap(),
            format!("{values:?}"),
        ]
        .concat()
        .to_lowercase();
        for (_, message) in &messages {
            // The header says what kind of message it is, and how long: that is what is told.
            for bytes in message[4..].windows(3).filter(|bytes| bytes.iter().any(|byte| *byte > 9)) {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let list = format!("{}, {}, {}", bytes[0], bytes[1], bytes[2]);
                assert!(!shown.contains(&hex), "{flow}: {hex} shows");
                assert!(!shown.contains(&list), "{flow}: {list} shows");
                assert!(!shown.contains(&list.replace(", ", ",")), "{flow}: {list} shows");
            }
        }
    }
}

#[test]
fn a_broken_link_is_called_broken() {
    let mut conversation = Conversation::new();
    let value = conversation.value(Way::ToLock, &[0xC1, 2, 5, 0, 1, 0]);
    assert_eq!(value.fault.as_deref(), Some("fragment out of sequence"));
    assert!(text(&value).iter().any(|line| line.contains("has to be closed")));
    assert!(conversation.value(Way::ToLock, &[]).fault.is_some());
}

#[test]
fn a_refusal_before_a_channel_is_explained() {
    let mut conversation = Conversation::new();
    let message = |conversation: &mut Conversation, way, bytes: &[u8]| {
        let value = Fragmenter::new(185).split(bytes).next().unwrap();
        conversation.value(way, &value).message.unwrap()
    };
    let event = message(&mut conversation, Way::ToPhone, &[2, 0, 0, 3, 1, 1, 0]);
    assert_eq!((event.name, event.sealed), ("Event", false));
    let mut conversation = Conversation::new();
    let refused = message(&mut conversation, Way::ToLock, &[0, 1, 0, 2, 0x69, 0x82]);
    assert!(
        text(&Value { way: Way::ToLock, bytes: 7, fragment: None, message: Some(refused), fault: None })
            .iter()
            .any(|line| line.contains("6982, not recognised"))
    );
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_shows(
        values in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..64)), 0..40),
    ) {
        let mut conversation = Conversation::new();
        for (to_lock, value) in &values {
            let explained = conversation.value(if *to_lock { Way::ToLock } else { Way::ToPhone }, value);
            prop_assert_eq!(explained.bytes, value.len());
            prop_assert!(!text(&explained).is_empty());
        }
    }

    #[test]
    fn any_message_of_any_kind_is_told_by_name_and_length(
        to_lock: bool,
        kind in 0u8..4,
        id in 0u8..6,
        payload in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let whole = [&[kind, id, len[0], len[1]], &payload[..]].concat();
        let way = if to_lock { Way::ToLock } else { Way::ToPhone };
        let told = explained(&[(way, whole.clone())], 517).pop().unwrap().message.unwrap();
        prop_assert_eq!(told.bytes, whole.len());
        prop_assert!(!told.name.is_empty() && !told.means.is_empty());
    }
}
