use std::{
    io,
    sync::{Arc, Mutex},
};

use keybutton_service::{Settings, signing::MasterKey};
use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{World, claim};
use keybutton_protocol::crypto::ring::RingSigner;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every secret the service sees goes through it once, at the most talkative log level, in good calls and bad ones.
#[tokio::test]
async fn no_secret_is_logged_stored_in_the_clear_or_told_in_an_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_env_filter("trace").with_writer(log.clone()).with_ansi(false);
    let _ = tracing::subscriber::set_global_default(subscriber.finish());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let master = "5e".repeat(32);
    let settings = Settings { master_key: Some(MasterKey::parse(&master, "a test").unwrap()), ..Settings::file(&path) };
    let world = World::start_with(settings).await;
    let tenant = world.tenant("canary").await;
    let door = world.door(&tenant, "Front", json!({})).await;
    let code: Value =
        world.operate(&tenant, Method::POST, &format!("doors/{door}/claim-code"), Value::Null).await.json();
    let code = code["claim_code"].as_str().unwrap().to_owned();
    let key = RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap();
    let request = || world.request(Method::POST, "/v1/locks/claim").json(&claim(&code, &key));
    assert!(!format!("{:?}", claim(&code, &key)).contains(&code));
    world.send(request()).await.json::<Value>();
    let mut answers = vec![world.send(request()).await.body];
    let phone = world.phone(&tenant, "ada", &[&door]).await;
    let site = world.bundle(&tenant, &phone).await.sites.remove(0);
    let second: Value = world.operate(&tenant, Method::POST, "keys", json!({ "name": "second" })).await.json();
    let token = world.token(&tenant, "ada");
    for (authorization, app) in
        [(token.clone() + "x", &*tenant.app), (token.clone(), "other"), (second["key"].to_string(), "x")]
    {
        let bad = world.request(Method::GET, "/v1/me").bearer_auth(authorization).header("Keybutton-App", app);
        answers.push(world.send(bad).await.body);
    }
    answers.push(world.operate(&tenant, Method::GET, "events/export", Value::Null).await.body);
    answers.push(world.operate(&tenant, Method::GET, "keys", Value::Null).await.body);

    let resolving = &site.group_resolving_key;
    let hex: String = resolving.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let secrets = [
        ("operator key", tenant.operator_key.clone()),
        ("second operator key", second["key"].as_str().unwrap().to_owned()),
        ("session token", token),
        ("claim code", code),
        ("master key", master),
        ("group resolving key", serde_json::to_string(resolving).unwrap().trim_matches('"').to_owned()),
        ("group resolving key in hex", hex),
    ];
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.contains("/v1/locks/claim"), "the log was on");
    for (name, secret) in &secrets {
        assert!(!logged.contains(secret.as_str()), "{name} in the log");
        assert!(answers.iter().all(|answer| !answer.contains(secret.as_str())), "{name} in an answer");
    }
    world.stop().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let inside = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        for (name, secret) in &secrets {
            assert!(!inside(secret.as_bytes()), "{name} in {}", file.display());
        }
        assert!(!inside(&resolving.0), "group resolving key in {}", file.display());
    }
}
