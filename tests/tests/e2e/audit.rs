//! What the lock writes down: it survives a power cut, and phones carry it to the service, whose word it becomes.

use keybutton_lock::Event;
use keybutton_protocol::verdict::Reason;
use serde_json::json;

use crate::world::{
    World, is_verdict, opened, patiently, press, press_and_settle, refused_by_lock, refused_by_phone, report,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_locks_word_reaches_the_operator_and_the_lock_forgets_what_is_acknowledged() {
    let (world, door, _group, ann) = World::with_ann().await;
    let mut events = door.lock().events();

    let first = press_and_settle(&ann, &door).await;
    let number = opened(&first).audit_number;
    let handed = report(&mut events, |event| matches!(event, Event::AuditHandedOver { .. })).await;
    assert!(matches!(handed, Event::AuditHandedOver { number: up_to } if up_to >= number));
    let seen = world.press(first.press).await;
    assert_eq!((seen.witness.as_str(), seen.outcome.as_str()), ("lock", "opened"));
    assert_eq!(seen.door.as_ref(), Some(&door.id));
    let lock = seen.lock.unwrap();
    assert_eq!((&lock["reason"], &lock["interface"]), (&json!("granted"), &json!("ble")));
    assert_eq!(seen.phone.unwrap()["outcome"], "opened");

    // The acknowledgement goes back with the next press.
    let second = press_and_settle(&ann, &door).await;
    opened(&second);
    let acknowledged = report(&mut events, |event| matches!(event, Event::AuditAcknowledged { .. })).await;
    assert!(matches!(acknowledged, Event::AuditAcknowledged { number: up_to } if up_to >= number));

    // A phone without a network carries it until it has one.
    ann.set_online(false);
    let third = press_and_settle(&ann, &door).await;
    opened(&third);
    assert!(world.presses().await.iter().all(|press| press.press.0 != third.press.as_bytes()));
    ann.set_online(true);
    ann.refresh().await.unwrap();
    assert_eq!(world.press(third.press).await.witness, "lock");

    // Refusals are on record, too, each side with what it knows: the lock was shown no key for this door.
    let server = world.door("Server", 1.0).await;
    let mut events = server.lock().events();
    ann.refresh().await.unwrap();
    let refused = press_and_settle(&ann, &server).await;
    refused_by_lock(&refused, "no-permission");
    report(&mut events, |event| is_verdict(event, Reason::KeyUnknown)).await;
    let seen = world.press(refused.press).await;
    assert_eq!((seen.witness.as_str(), seen.outcome.as_str()), ("lock", "refused"));
    assert_eq!(seen.lock.unwrap()["reason"], "key-unknown");
    assert_eq!(seen.phone.unwrap()["code"], "no-permission");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_nothing_from_the_lock() {
    let (world, mut door, group, ann) = World::with_ann().await;
    let limited = world.special_group("Trial", &[&door], json!({ "restrictions": { "use_limit": 3 } })).await;
    world.member("Ben", &[&limited]).await;
    let cid_member = world.member("Cid", &[&group]).await;
    let (ben, cid) = (world.signed_in("Ben").await, world.signed_in("Cid").await);
    for phone in [&ben, &cid] {
        phone.set_online(false);
        opened(&press_and_settle(phone, &door).await);
    }
    opened(&press_and_settle(&ben, &door).await);
    world.take(&cid_member, &group).await;
    ann.refresh().await.unwrap();
    let before = opened(&press_and_settle(&ann, &door).await);
    refused_by_lock(&press_and_settle(&cid, &door).await, "revoked");

    door.restart(&world).await;

    refused_by_lock(&press_and_settle(&cid, &door).await, "revoked");
    opened(&press_and_settle(&ben, &door).await);
    refused_by_lock(&press_and_settle(&ben, &door).await, "use-limit");
    let after = press_and_settle(&ann, &door).await;
    let report = opened(&after);
    assert!(after.metrics.fast, "the lock still knows the phone");
    assert!(report.audit_number > before.audit_number + 4, "{} after {}", report.audit_number, before.audit_number);
    assert!(report.time.unwrap() >= before.time.unwrap(), "the clock does not go back");

    // The chain is unbroken over the power cut, or the service would not have taken it.
    assert_eq!(world.press(after.press).await.witness, "lock");
    for phone in [&ben, &cid] {
        phone.set_online(true);
        let _ = patiently(phone.refresh()).await;
    }
    let presses = world.presses().await;
    assert_eq!(presses.len(), 9, "{presses:#?}");
    assert!(presses.iter().all(|press| press.witness == "lock"), "{presses:#?}");
    // By then the service has heard of all three uses.
    refused_by_phone(&press(&ben, &door).await, "use-limit");
}
