use proptest::prelude::*;

use super::*;
use crate::testing::crypto;

fn keys() -> ChannelKeys {
    ChannelKeys { reader: AeadKey::new([1; 32]), device: AeadKey::new([2; 32]) }
}

fn pair() -> (Channel, Channel) {
    (Channel::new(Role::Lock, keys()), Channel::new(Role::Phone, keys()))
}

#[test]
fn a_counter_beyond_65535_is_refused() {
    let (mut channel, _) = pair();
    let mut record = [0; 17];
    for _ in 0..MAX_COUNTER {
        channel.seal(&crypto(0), &[], &mut record, 1).unwrap();
    }
    assert_eq!(channel.seal(&crypto(0), &[], &mut record, 1), Err(ChannelError::Exhausted));
}

#[test]
fn a_channel_that_failed_to_open_is_dead() {
    let (mut lock, mut phone) = pair();
    let mut record = [7; 20];
    assert_eq!(lock.seal(&crypto(0), &[], &mut record, 0), Err(ChannelError::Empty));
    lock.seal(&crypto(0), &[], &mut record, 4).unwrap();
    assert_eq!(phone.open(&crypto(0), &[], &mut [0; 16]).unwrap_err(), ChannelError::Unauthentic);
    assert_eq!(phone.open(&crypto(0), &[], &mut record).unwrap_err(), ChannelError::Closed);
    assert_eq!(phone.seal(&crypto(0), &[], &mut [0; 20], 4), Err(ChannelError::Closed));
}

#[test]
fn reordered_replayed_and_reflected_records_do_not_open() {
    let record = |lock: &mut Channel| {
        let mut record = [7; 20];
        lock.seal(&crypto(0), &[], &mut record, 4).unwrap();
        record
    };
    let (mut lock, mut phone) = pair();
    let (_first, mut second) = (record(&mut lock), record(&mut lock));
    assert_eq!(phone.open(&crypto(0), &[], &mut second).unwrap_err(), ChannelError::Unauthentic);

    let (mut lock, mut phone) = pair();
    let mut first = record(&mut lock);
    let mut again = first;
    assert_eq!(phone.open(&crypto(0), &[], &mut first).unwrap(), [7; 4]);
    assert_eq!(phone.open(&crypto(0), &[], &mut again).unwrap_err(), ChannelError::Unauthentic);

    let (mut lock, _) = pair();
    let mut own = record(&mut lock);
    assert_eq!(lock.open(&crypto(0), &[], &mut own).unwrap_err(), ChannelError::Unauthentic);
}

#[test]
fn ble_messages_bind_their_header() {
    let (mut lock, mut phone) = (BleChannel::new(Role::Lock, keys()), BleChannel::new(Role::Phone, keys()));
    let mut out = [0; 64];
    let len = lock.seal(&crypto(0), Kind::StatusChanged, &[0, 2, 0, 1], &mut out).unwrap();
    assert_eq!(out[..4], [2, 2, 0, 20]);
    let mut altered = out;
    altered[1] = 3;
    let mut other = BleChannel::new(Role::Phone, keys());
    assert_eq!(other.open(&crypto(0), &mut altered[..len]).unwrap_err(), ChannelError::Unauthentic);
    let (kind, payload) = phone.open(&crypto(0), &mut out[..len]).unwrap();
    assert_eq!((kind, &*payload), (Kind::StatusChanged, &[0, 2, 0, 1][..]));
}

proptest! {
    #[test]
    fn records_open_on_the_other_side(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..80), 1..5)) {
        let (mut lock, mut phone) = pair();
        for text in texts {
            let mut record = text.clone();
            record.resize(text.len() + TAG_LEN, 0);
            prop_assert_eq!(lock.seal(&crypto(0), &[1], &mut record, text.len()), Ok(record.len()));
            prop_assert_eq!(&*phone.open(&crypto(0), &[1], &mut record).unwrap(), &text[..]);
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), key: [u8; 32]) {
        let (_, mut phone) = pair();
        prop_assert!(phone.open(&crypto(0), &[], &mut bytes).is_err());
        prop_assert!(BleChannel::new(Role::Phone, keys()).open(&crypto(0), &mut bytes).is_err());
        if let Ok(sealed) = bytes[..].try_into() {
            prop_assert!(Cryptogram::open(&crypto(0), &AeadKey::new(key), sealed).is_err());
        }
    }

    #[test]
    fn cryptograms_read_back(bitmap: u16, access in proptest::option::of(any::<u32>()), revocation in proptest::option::of(any::<u32>())) {
        let text = Cryptogram {
            signalling: Signalling(bitmap),
            access_signed: access.map(UnixTime),
            revocation_signed: revocation.map(UnixTime),
        };
        let sealed = text.seal(&crypto(0), &AeadKey::new([1; 32])).unwrap();
        prop_assert_eq!(Cryptogram::open(&crypto(0), &AeadKey::new([1; 32]), &sealed), Ok(text));
        prop_assert!(Cryptogram::open(&crypto(0), &AeadKey::new([2; 32]), &sealed).is_err());
    }
}
