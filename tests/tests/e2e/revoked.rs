//! Rights that are taken away: at once on a phone with a network, at an offline lock with the next phone that comes by.

use keybutton_protocol::api::{ButtonState, HiddenReason};

use crate::world::{World, hidden, opened, press, press_and_settle, refused_by_lock, refused_by_phone};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_group_stops_the_phone_with_a_network_and_the_lock_stops_the_other() {
    let (world, door, group, ann) = World::with_ann().await;
    let ben_member = world.member("Ben", &[&group]).await;
    let cid_member = world.member("Cid", &[&group]).await;
    let ben = world.signed_in("Ben").await;
    let cid = world.signed_in("Cid").await;
    for phone in [&ann, &ben, &cid] {
        opened(&press_and_settle(phone, &door).await);
    }
    cid.set_online(false);
    world.take(&ben_member, &group).await;
    world.take(&cid_member, &group).await;
    assert_eq!(world.revocations().await.entries.len(), 2);

    // Ben's phone asks while it looks for the lock, which it can't hear.
    world.air.set_radio(&door.name, false).await.unwrap();
    refused_by_phone(&press(&ben, &door).await, "no-access-group");
    world.air.set_radio(&door.name, true).await.unwrap();
    world.no_links().await;
    world.links().await;
    let outcome = press(&ben, &door).await;
    refused_by_phone(&outcome, "no-access-group");
    assert_eq!((outcome.metrics.links, world.links().await), (0, 0), "the radio was not needed");

    // Nobody has told the lock yet, and the key of Cid's phone is good until somebody does.
    opened(&press_and_settle(&cid, &door).await);
    ann.refresh().await.unwrap();
    opened(&press_and_settle(&ann, &door).await);
    let before = door.openings().await;
    refused_by_lock(&press(&cid, &door).await, "revoked");
    assert_eq!(door.openings().await, before);
    cid.set_online(true);
    assert_eq!(cid.refresh().await.unwrap(), hidden(HiddenReason::NoAccessGroup));

    // Granted again, both come with a new key.
    for (member, phone) in [(&ben_member, &ben), (&cid_member, &cid)] {
        world.organization.grant(member, &group).await.unwrap();
        assert_eq!(phone.refresh().await.unwrap(), ButtonState::Visible);
        opened(&press(phone, &door).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_the_module_off_revokes_what_is_on_phones() {
    let (world, door, group, ann) = World::with_ann().await;
    world.member("Ben", &[&group]).await;
    let ben = world.signed_in("Ben").await;
    opened(&press_and_settle(&ben, &door).await);
    ben.set_online(false);

    world.organization.set_module(false).await.unwrap();
    assert_eq!(world.revocations().await.entries.len(), 2);
    world.organization.set_module(true).await.unwrap();
    assert_eq!(ann.refresh().await.unwrap(), ButtonState::Visible);
    opened(&press_and_settle(&ann, &door).await);
    refused_by_lock(&press(&ben, &door).await, "revoked");
    ben.set_online(true);
    assert_eq!(ben.refresh().await.unwrap(), ButtonState::Visible);
    opened(&press(&ben, &door).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_gives_up_a_lost_phone_with_another_one() {
    let (world, door, _group, lost) = World::with_ann().await;
    opened(&press_and_settle(&lost, &door).await);
    let other = world.phone("Tablet").await;
    world.sign_in(&other, "Ann").await;
    lost.set_online(false);

    let devices = other.keys().devices().unwrap().done().await.unwrap();
    assert_eq!(devices.len(), 2);
    let device = devices.iter().find(|device| device.name == "Ann").unwrap();
    assert!(device.primary);
    other.keys().revoke_device(device.id.clone()).unwrap().done().await.unwrap();
    assert_eq!(other.keys().devices().unwrap().done().await.unwrap().len(), 1);
    other.refresh().await.unwrap();
    opened(&press_and_settle(&other, &door).await);
    refused_by_lock(&press(&lost, &door).await, "revoked");

    lost.set_online(true);
    assert_eq!(lost.refresh().await.unwrap(), hidden(HiddenReason::DeviceNotEnrolled));
    refused_by_phone(&press(&lost, &door).await, "device-not-enrolled");
    // Whoever can sign in as the member enrols a device anew, with a new key.
    world.sign_in(&lost, "Ann").await;
    opened(&press(&lost, &door).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_revocations_than_the_list_has_room_for_begin_a_new_iteration() {
    let (world, door, group, ann) = World::with_ann().await;
    let cid_member = world.member("Cid", &[&group]).await;
    world.member("Dan", &[&group]).await;
    let ben_member = world.member("Ben", &[&group]).await;
    let (cid, dan) = (world.signed_in("Cid").await, world.signed_in("Dan").await);
    for phone in [&cid, &dan] {
        opened(&press_and_settle(phone, &door).await);
        phone.set_online(false);
    }
    let before = world.revocations().await;
    world.take(&cid_member, &group).await;
    let ben = world.signed_in("Ben").await;
    for _ in 0..33 {
        world.take(&ben_member, &group).await;
        world.organization.grant(&ben_member, &group).await.unwrap();
        ben.refresh().await.unwrap();
    }
    let after = world.revocations().await;
    assert!(after.entries.len() <= 32, "{}", after.entries.len());
    assert!(after.access_iteration > before.access_iteration);
    assert!(after.revocation_iteration > before.revocation_iteration);

    ann.refresh().await.unwrap();
    opened(&press_and_settle(&ann, &door).await);
    opened(&press_and_settle(&ben, &door).await);
    let outcome = press(&cid, &door).await;
    let said = outcome.outcome.code().unwrap().as_str();
    assert!(matches!(said, "revoked" | "stale-document"), "{outcome:?}");
    assert!(outcome.outcome.lock_report().is_some());
    // Who is not revoked but has a key of before needs a new one; with a network the phone fetches it by itself.
    refused_by_lock(&press_and_settle(&dan, &door).await, "stale-document");
    dan.set_online(true);
    refused_by_lock(&press_and_settle(&dan, &door).await, "stale-document");
    opened(&press(&dan, &door).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_was_taken_and_given_back_opens_again_without_a_refresh() {
    let (world, door, group, ann) = World::with_ann().await;
    let ben_member = world.member("Ben", &[&group]).await;
    let ben = world.signed_in("Ben").await;
    opened(&press_and_settle(&ben, &door).await);
    // Ben's phone hears of neither.
    world.take(&ben_member, &group).await;
    world.organization.grant(&ben_member, &group).await.unwrap();
    ann.refresh().await.unwrap();
    opened(&press_and_settle(&ann, &door).await);

    refused_by_lock(&press_and_settle(&ben, &door).await, "revoked");
    opened(&press(&ben, &door).await);
}
