use keybutton_protocol::{
    advert::{AdvertFlags, ServiceData},
    ids::{GroupResolvingKey, LockNumber},
};
use proptest::prelude::*;

use super::*;
use crate::keyring::fixture::{NOW, Plan, World, door, resolving_key};

const MS: u64 = 1_000;

struct Street {
    world: World,
    keyring: Keyring,
    discovery: Discovery,
    now: Moment,
}

impl Street {
    fn new() -> Self {
        let mut world = World::new();
        let keyring = world.keyring(&Plan::default());
        Self { keyring, world, discovery: Discovery::new(), now: Moment(0) }
    }

    fn advertisement(&self, lock: u16, rssi: i8, flags: AdvertFlags) -> Advertisement {
        let key = GroupResolvingKey::new(resolving_key(self.world.group));
        let data = ServiceData::make(&self.world.crypto, &key, [1, 2, 3], LockNumber(lock), flags);
        Advertisement {
            peripheral: PeripheralId(format!("p{lock}")),
            rssi,
            tx_power: Some(4),
            service_data: data.to_bytes().to_vec(),
        }
    }

    fn hear(&mut self, heard: &Advertisement) -> bool {
        self.now = self.now.after(20 * MS);
        self.discovery.hear(heard, self.now, &self.keyring, &self.world.crypto)
    }

    fn hear_lock(&mut self, lock: u16, rssi: i8) {
        let heard = self.advertisement(lock, rssi, AdvertFlags::default());
        assert!(self.hear(&heard));
    }

    fn doors(&self) -> Vec<Option<DoorId>> {
        self.discovery.ranked(self.now, &self.keyring).into_iter().map(|candidate| candidate.door).collect()
    }

    fn door(&self, lock: u16) -> Option<DoorId> {
        Some(door(self.world.group, lock))
    }
}

#[test]
fn a_door_is_known_by_its_tag_and_ranked_by_its_signal() {
    let mut street = Street::new();
    street.hear_lock(1, -80);
    street.hear_lock(2, -60);
    street.hear_lock(3, -70);
    assert_eq!(street.doors(), [street.door(2), street.door(3), street.door(1)]);
    let best = &street.discovery.ranked(street.now, &street.keyring)[0];
    assert_eq!((best.strength_db, best.opens, best.name.as_str()), (-64, true, "Door 2"));
}

#[test]
fn strangers_and_locks_being_set_up_are_not_listed() {
    let mut street = Street::new();
    let mut stranger = street.advertisement(1, -40, AdvertFlags::default());
    stranger.service_data[5] ^= 1;
    assert!(!street.hear(&stranger));
    stranger.service_data = ServiceData::setup([9; 8]).to_bytes().to_vec();
    assert!(!street.hear(&stranger));
    stranger.service_data.pop();
    assert!(!street.hear(&stranger));
    assert!(street.doors().is_empty());
}

#[test]
fn an_unknown_number_is_another_lock_of_the_site() {
    let mut street = Street::new();
    street.hear_lock(77, -50);
    let listed = street.discovery.ranked(street.now, &street.keyring);
    assert_eq!((listed[0].door.as_ref(), listed[0].name.as_str()), (None, "Harbour"));
    assert_eq!(street.discovery.pick(street.now, &street.keyring), Pick::Nothing);
}

#[test]
fn one_odd_packet_does_not_move_a_door() {
    let mut street = Street::new();
    for rssi in [-60, -61, -20, -59, -60] {
        street.hear_lock(1, rssi);
    }
    assert_eq!(street.discovery.ranked(street.now, &street.keyring)[0].strength_db, -64);
}

#[test]
fn within_six_decibels_the_member_is_asked() {
    let mut street = Street::new();
    street.hear_lock(1, -60);
    street.hear_lock(2, -66);
    let Pick::One(one) = street.discovery.pick(street.now, &street.keyring) else { panic!("6 dB are clear") };
    assert_eq!(one.door, street.door(1));
    let mut street = Street::new();
    street.hear_lock(1, -60);
    street.hear_lock(2, -65);
    // Prior use puts the doors in order; it never decides.
    street.keyring.opened(door(street.world.group, 2), NOW);
    let Pick::Ambiguous(two) = street.discovery.pick(street.now, &street.keyring) else { panic!("too close to call") };
    assert_eq!([&two[0].door, &two[1].door], [&street.door(2), &street.door(1)]);
}

#[test]
fn a_chosen_door_is_found_by_tag_whatever_is_nearer() {
    let mut street = Street::new();
    street.hear_lock(1, -40);
    street.hear_lock(2, -90);
    let wanted = door(street.world.group, 2);
    let found = street.discovery.find(&wanted, street.now, &street.keyring).unwrap();
    assert_eq!(found.peripheral, PeripheralId("p2".into()));
}

#[test]
fn a_lock_that_changed_its_address_is_where_it_was_heard_last() {
    let mut street = Street::new();
    street.hear_lock(1, -50);
    let mut moved = street.advertisement(1, -70, AdvertFlags::default());
    moved.peripheral = PeripheralId("moved".into());
    assert!(street.hear(&moved));
    let listed = street.discovery.ranked(street.now, &street.keyring);
    assert_eq!(listed.iter().map(|candidate| &candidate.peripheral).collect::<Vec<_>>(), [&moved.peripheral]);
    let Pick::One(one) = street.discovery.pick(street.now, &street.keyring) else { panic!("one lock") };
    assert_eq!(one.peripheral, moved.peripheral);
    // What did not answer there is looked for where it was heard before.
    street.discovery.forget(&moved.peripheral);
    let found = street.discovery.find(&door(street.world.group, 1), street.now, &street.keyring).unwrap();
    assert_eq!(found.peripheral, PeripheralId("p1".into()));
}

#[test]
fn flags_are_unmasked() {
    let mut street = Street::new();
    let flags = AdvertFlags::BUSY.with(AdvertFlags::BATTERY_LOW).with(AdvertFlags::WANTS_SYNC);
    let busy = street.advertisement(1, -60, flags);
    street.hear(&busy);
    let listed = street.discovery.ranked(street.now, &street.keyring);
    assert!(listed[0].busy && listed[0].battery_low && listed[0].wants_sync);
    let free = street.advertisement(1, -60, AdvertFlags::default());
    street.hear(&free);
    let listed = street.discovery.ranked(street.now, &street.keyring);
    assert!(!listed[0].busy && !listed[0].wants_sync, "same tag, other flags");
}

#[test]
fn what_is_silent_is_gone() {
    let mut street = Street::new();
    street.hear_lock(1, -60);
    street.now = street.now.after(GONE_US);
    assert!(street.doors().is_empty());
}

#[test]
fn a_packet_without_a_tag_counts_for_a_known_lock_only() {
    let mut street = Street::new();
    let mut bare = street.advertisement(1, -70, AdvertFlags::default());
    bare.service_data.clear();
    assert!(!street.hear(&bare));
    street.hear_lock(1, -60);
    assert!(street.hear(&bare));
    assert_eq!(street.discovery.samples(&bare.peripheral), 2);
}

#[test]
fn the_same_advertisement_on_three_channels_counts_once() {
    let mut street = Street::new();
    let heard = street.advertisement(1, -60, AdvertFlags::default());
    for _ in 0..3 {
        street.discovery.hear(&heard, street.now, &street.keyring, &street.world.crypto);
        street.now = street.now.after(2 * MS);
    }
    assert_eq!(street.discovery.samples(&heard.peripheral), 1);
}

#[test]
fn misses_are_remembered_for_twenty_minutes() {
    let mut street = Street::new();
    let heard = street.advertisement(1, -60, AdvertFlags::default());
    street.keyring = Keyring::new();
    assert!(!street.hear(&heard));
    assert_eq!(street.discovery.tags.len(), 1);
    street.keyring = street.world.keyring(&Plan::default());
    assert!(!street.hear(&heard), "a miss stays a miss");
    street.discovery.keyring_changed();
    assert!(street.hear(&heard));
    street.keyring = Keyring::new();
    street.now = street.now.after(20 * 60 * 1_000 * MS);
    assert!(!street.hear(&heard), "asked again after 20 minutes");
}

#[test]
fn lists_are_published_on_news_and_twice_a_second() {
    let mut street = Street::new();
    assert!(street.discovery.publish(street.now, &street.keyring).is_none(), "nothing yet");
    street.hear_lock(1, -60);
    assert_eq!(street.discovery.publish(street.now, &street.keyring).unwrap().len(), 1);
    street.hear_lock(1, -61);
    assert!(street.discovery.publish(street.now, &street.keyring).is_none(), "no news");
    street.hear_lock(2, -50);
    assert_eq!(street.discovery.publish(street.now, &street.keyring).unwrap().len(), 2);
    street.now = street.now.after(PUBLISH_US);
    assert!(street.discovery.publish(street.now, &street.keyring).is_some());
    street.now = street.now.after(GONE_US);
    assert!(street.discovery.publish(street.now, &street.keyring).unwrap().is_empty(), "all gone is news");
    street.now = street.now.after(PUBLISH_US);
    assert!(street.discovery.publish(street.now, &street.keyring).is_none(), "still nothing is not");
}

proptest! {
    #[test]
    fn no_advertisement_panics(rssi: i8, tx_power: Option<i8>, data in prop::collection::vec(any::<u8>(), 0..20)) {
        thread_local!(static STREET: std::cell::RefCell<Street> = std::cell::RefCell::new(Street::new()));
        STREET.with_borrow_mut(|street| {
            let heard = Advertisement { peripheral: PeripheralId("x".into()), rssi, tx_power, service_data: data };
            street.hear(&heard);
            street.discovery.pick(street.now, &street.keyring);
        });
    }
}
