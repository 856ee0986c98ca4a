use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

use crate::world::{World, claim};
use keybutton_protocol::crypto::ring::RingSigner;
use keybutton_service::Settings;

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let world = World::start().await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/operator/nothing", "/v2/health"] {
        assert_eq!(world.send(world.request(Method::GET, path)).await.problem(), "no-such-route", "{path}");
    }
    for (method, path) in [(Method::DELETE, "/v1/health"), (Method::GET, "/v1/keys"), (Method::PUT, "/v1/me")] {
        let reply = world.send(world.request(method, path)).await;
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (405, "method-not-allowed"));
    }
}

#[tokio::test]
async fn bodies_are_checked() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let post = async |kind: &str, body: String| {
        let request = world.request(Method::POST, "/v1/operator/sites").bearer_auth(&tenant.operator_key);
        world.send(request.header("content-type", kind).body(body)).await
    };
    let good = json!({ "name": "House", "zone": "Europe/Berlin" }).to_string();
    assert_eq!(post("text/plain", good.clone()).await.problem(), "unsupported-media-type");
    assert_eq!(post("application/json; charset=utf-8", good.clone()).await.status, 201);
    for bad in ["", "{", "{\"name\":\"House\"", "\u{0}", "{\"name\": House}"] {
        assert_eq!(post("application/json", bad.into()).await.problem(), "bad-json", "{bad:?}");
    }
    for bad in [
        "null",
        "[]",
        "{}",
        r#"{"name":"House"}"#,
        r#"{"name":7,"zone":"Europe/Berlin"}"#,
        r#"{"name":"House","zone":"Europe/Berlin","colour":"red"}"#,
        r#"{"name":"House","name":"House","zone":"Europe/Berlin"}"#,
        r#"{"name":"House","zone":"Mars/Olympus"}"#,
        r#"{"name":"","zone":"Europe/Berlin"}"#,
        r#"{"name":"House","zone":"Europe/Berlin","key_hours":23}"#,
        r#"{"name":"House","zone":"Europe/Berlin","key_hours":169}"#,
        r#"{"name":"House","zone":"Europe/Berlin","key_hours":99999999}"#,
    ] {
        assert_eq!(post("application/json", bad.into()).await.problem(), "bad-request", "{bad}");
    }
    let large = json!({ "name": "x".repeat(70_000), "zone": "Europe/Berlin" }).to_string();
    let reply = post("application/json", large).await;
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (413, "body-too-large"));
}

#[tokio::test]
async fn what_was_sent_is_not_repeated() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    for body in [r#"{"name":7,"zone":{"hunter2":1}}"#, r#"{"name":"a","zone":"hunter2"}"#, r#"{"hunter2":"x"}"#] {
        let request = world.request(Method::POST, "/v1/operator/sites").bearer_auth(&tenant.operator_key);
        let reply = world.send(request.header("content-type", "application/json").body(body)).await;
        assert_eq!(reply.problem(), "bad-request");
        assert!(!reply.body.contains("hunter2"), "{reply:?}");
    }
}

#[tokio::test]
async fn queries_are_checked() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    for query in ["limit=many", "colour=red", "from=-1", "before=x"] {
        let reply = world.operate(&tenant, Method::GET, &format!("events?{query}"), Value::Null).await;
        assert_eq!(reply.problem(), "bad-query", "{query}");
    }
}

#[tokio::test]
async fn credentials_are_checked() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let me = || world.request(Method::GET, "/v1/me");
    let with_app = || me().header("Keybutton-App", &tenant.app);
    assert_eq!(world.send(me()).await.problem(), "missing-credentials");
    assert_eq!(world.send(with_app().header("Authorization", "Basic YTpi")).await.problem(), "missing-credentials");
    assert_eq!(world.send(with_app().header("Authorization", "Bearer ")).await.problem(), "missing-credentials");
    assert_eq!(world.send(me().bearer_auth("x.y.z")).await.problem(), "missing-app");
    assert_eq!(world.send(with_app().bearer_auth("x.y.z")).await.problem(), "invalid-token");
    let expired = {
        let claims = json!({ "sub": "ada", "iss": "https://issuer", "aud": "doors", "exp": world.now() - 100 });
        let header = Header { kid: Some(tenant.kid.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &EncodingKey::from_ec_der(&tenant.signer)).unwrap()
    };
    assert_eq!(world.send(with_app().bearer_auth(expired)).await.problem(), "token-expired");
    let operator = |key: &str| world.request(Method::GET, "/v1/operator/organization").bearer_auth(key);
    assert_eq!(world.send(operator("kbo_0000")).await.problem(), "invalid-operator-key");
    assert_eq!(world.send(operator(&world.token(&tenant, "ada"))).await.problem(), "invalid-operator-key");
    let reply = world.send(with_app().bearer_auth(&tenant.operator_key)).await;
    assert_eq!(reply.problem(), "invalid-token");
    assert_eq!(world.keys_of_nobody(&tenant).await.problem(), "unknown-member");
}

#[tokio::test]
async fn a_token_dies_with_its_expiry_and_its_key_set() {
    let world = World::start().await;
    let mut tenant = world.tenant("a").await;
    world.member(&tenant, "ada").await;
    let token = world.token(&tenant, "ada");
    let me = async || {
        let request = world.request(Method::GET, "/v1/me").bearer_auth(&token).header("Keybutton-App", "app.a");
        world.send(request).await
    };
    assert!(me().await.status.is_success());
    tenant.signer = RingSigner::generate_pkcs8().unwrap().to_vec();
    world.operate(&tenant, Method::PUT, "apps/app.a", tenant.app_body(true)).await.json::<Value>();
    assert_eq!(me().await.problem(), "invalid-token", "verified earlier, but by a key that is gone");
    let fresh = world.token(&tenant, "ada");
    let request = || world.request(Method::GET, "/v1/me").bearer_auth(&fresh).header("Keybutton-App", "app.a");
    assert!(world.send(request()).await.status.is_success());
    world.advance(3600 + 61);
    assert_eq!(world.send(request()).await.problem(), "token-expired");
}

#[tokio::test]
async fn claim_codes_work_once_and_for_a_day() {
    let world = World::start().await;
    let tenant = world.tenant("a").await;
    let door = world.door(&tenant, "Front", json!({})).await;
    let path = format!("doors/{door}/claim-code");
    let code = async || -> String {
        let code: Value = world.operate(&tenant, Method::POST, &path, Value::Null).await.json();
        code["claim_code"].as_str().unwrap().to_owned()
    };
    let key = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap();
    let send =
        async |code: &str| world.send(world.request(Method::POST, "/v1/locks/claim").json(&claim(code, &key))).await;
    assert_eq!(send("AAAA-BBBB-CCCC-DDDD").await.problem(), "claim-code-invalid");
    let (old, new) = (code().await, code().await);
    assert_eq!(send(&old).await.problem(), "claim-code-invalid", "replaced");
    let mut forged = claim(&new, &key);
    forged.proof.0[10] ^= 1;
    let reply = world.send(world.request(Method::POST, "/v1/locks/claim").json(&forged)).await;
    assert_eq!(reply.problem(), "proof-invalid");
    assert!(send(&new).await.status.is_success());
    assert_eq!(send(&new).await.problem(), "claim-code-invalid", "used");
    let late = code().await;
    world.advance(24 * 3600);
    assert_eq!(send(&late).await.problem(), "claim-code-invalid", "expired");
}

#[tokio::test]
async fn the_openapi_document_is_served() {
    let world = World::start().await;
    let document: Value = world.send(world.request(Method::GET, "/v1/openapi.json")).await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert!(document["paths"]["/v1/keys"]["post"].is_object());
    let health: Value = world.send(world.request(Method::GET, "/v1/health")).await.json();
    assert_eq!(health["status"], "ok");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let settings = Settings { body_timeout: Duration::from_millis(50), ..Settings::memory() };
    let world = World::start_with(settings).await;
    let mut stream = tokio::net::TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = "POST /v1/locks/claim HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request-timeout"), "{answer}");
}
