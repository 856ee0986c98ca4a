use keybutton_protocol::{
    api::{Device, EnrolmentChallenge, Problem},
    crypto::ring::RingSigner,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, enrolment};

fn key() -> RingSigner {
    RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap()
}

#[tokio::test]
async fn a_challenge_enrols_once_and_only_its_member() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    world.member(&tenant, "ada").await;
    world.member(&tenant, "bob").await;
    let challenge = async |subject: &str| -> EnrolmentChallenge {
        world.call(&tenant, subject, Method::POST, "/v1/devices/challenge", Value::Null).await.json()
    };
    let enrol = async |subject: &str, nonce: &[u8], key: &RingSigner| {
        world.call(&tenant, subject, Method::POST, "/v1/devices", enrolment(nonce, key)).await
    };
    let nonce = challenge("ada").await.nonce.0;
    assert_eq!(enrol("bob", &nonce, &key()).await.problem(), "challenge-invalid");
    let reply = enrol("ada", &nonce, &key()).await;
    assert_eq!(reply.status, 201);
    assert!(reply.json::<Device>().primary);
    assert_eq!(enrol("ada", &nonce, &key()).await.problem(), "challenge-invalid");
    assert_eq!(enrol("ada", &[7; 32], &key()).await.problem(), "challenge-invalid");
    let late = challenge("ada").await.nonce.0;
    world.advance(300);
    assert_eq!(enrol("ada", &late, &key()).await.problem(), "challenge-invalid");
}

#[tokio::test]
async fn the_proof_has_to_be_by_the_key_over_this_nonce() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    world.member(&tenant, "ada").await;
    let challenge: EnrolmentChallenge =
        world.call(&tenant, "ada", Method::POST, "/v1/devices/challenge", Value::Null).await.json();
    let good = enrolment(&challenge.nonce.0, &key());
    let mut cases = vec![enrolment(&[9; 32], &key()), enrolment(&challenge.nonce.0, &key())];
    cases[0].nonce = challenge.nonce.clone();
    cases[1].device_key = good.device_key.clone();
    let mut short = good.clone();
    short.proof.0.pop();
    cases.push(short);
    for case in cases {
        assert_eq!(world.call(&tenant, "ada", Method::POST, "/v1/devices", case).await.problem(), "proof-invalid");
    }
    let mut off_curve = good.clone();
    off_curve.device_key.0[64] ^= 1;
    assert_eq!(world.call(&tenant, "ada", Method::POST, "/v1/devices", off_curve).await.problem(), "bad-request");
    // None of that used the challenge up.
    assert_eq!(world.call(&tenant, "ada", Method::POST, "/v1/devices", good).await.status, 201);
}

#[tokio::test]
async fn the_cap_is_an_explicit_error_with_the_list() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let member = world.member(&tenant, "ada").await;
    world.operate(&tenant, Method::PATCH, "organization", json!({ "device_cap": 2 })).await.json::<Value>();
    let first = world.enrol(&tenant, &member, "ada").await;
    let second = world.enrol(&tenant, &member, "ada").await;
    let reply = world.try_enrol(&tenant, "ada", &key()).await;
    assert_eq!(reply.problem(), "device-limit-reached");
    let problem: Problem = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(problem.devices, [first.device.clone(), second.device.clone()]);
    // The same key again is the same device, not one more.
    assert_eq!(world.try_enrol(&tenant, "ada", &second.key).await.json::<Device>(), second.device);

    let path = format!("/v1/devices/{}", first.device.id);
    assert_eq!(world.call(&tenant, "ada", Method::DELETE, &path, Value::Null).await.status, 204);
    let list: Vec<Device> = world.call(&tenant, "ada", Method::GET, "/v1/devices", Value::Null).await.json();
    assert_eq!(list, [Device { primary: true, ..second.device.clone() }], "the next one becomes primary");
    world.enrol(&tenant, &member, "ada").await;
}

#[tokio::test]
async fn a_device_key_has_one_enrolment() {
    let world = World::start().await;
    let (tenant, other) = (world.tenant("a").await, world.tenant("b").await);
    let member = world.member(&tenant, "ada").await;
    world.member(&tenant, "bob").await;
    world.member(&other, "ada").await;
    let phone = world.enrol(&tenant, &member, "ada").await;
    assert_eq!(world.try_enrol(&tenant, "bob", &phone.key).await.problem(), "device-key-in-use");
    assert_eq!(world.try_enrol(&other, "ada", &phone.key).await.problem(), "device-key-in-use");
    let path = format!("/v1/devices/{}", phone.device.id);
    assert_eq!(world.call(&tenant, "bob", Method::DELETE, &path, Value::Null).await.problem(), "not-found");
    assert_eq!(world.call(&tenant, "ada", Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(world.try_enrol(&tenant, "bob", &phone.key).await.status, 201);
}

#[tokio::test]
async fn names_and_platforms_are_checked() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    world.member(&tenant, "ada").await;
    let good = enrolment(&[0; 32], &key());
    for (name, platform) in [("", "ios"), (" ", "ios"), ("a\nb", "ios"), (&*"x".repeat(65), "ios"), ("phone", "psion")]
    {
        let mut case = good.clone();
        (case.name, case.platform) = (name.to_owned(), platform.to_owned());
        let reply = world.call(&tenant, "ada", Method::POST, "/v1/devices", case).await;
        assert_eq!(reply.problem(), "bad-request", "{name:?} {platform:?}");
    }
}
