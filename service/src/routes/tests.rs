use std::{future::IntoFuture, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};

use super::*;

/// Every route the contract names; a new one is added here and in its file.
const ROUTES: &[(&str, &str)] = &[
    ("get", "/v1/health"),
    ("get", "/v1/me"),
    ("post", "/v1/devices/challenge"),
    ("get", "/v1/devices"),
    ("post", "/v1/devices"),
    ("delete", "/v1/devices/{id}"),
    ("post", "/v1/keys"),
    ("post", "/v1/audit"),
    ("post", "/v1/presses"),
    ("post", "/v1/locks/claim"),
    ("get", "/v1/operator/organization"),
    ("patch", "/v1/operator/organization"),
    ("get", "/v1/operator/keys"),
    ("post", "/v1/operator/keys"),
    ("delete", "/v1/operator/keys/{id}"),
    ("get", "/v1/operator/apps"),
    ("put", "/v1/operator/apps/{id}"),
    ("patch", "/v1/operator/apps/{id}"),
    ("get", "/v1/operator/sites"),
    ("post", "/v1/operator/sites"),
    ("patch", "/v1/operator/sites/{id}"),
    ("post", "/v1/operator/sites/{id}/rotate-issuer"),
    ("get", "/v1/operator/integrations"),
    ("post", "/v1/operator/integrations"),
    ("patch", "/v1/operator/integrations/{id}"),
    ("get", "/v1/operator/doors"),
    ("post", "/v1/operator/doors"),
    ("patch", "/v1/operator/doors/{id}"),
    ("delete", "/v1/operator/doors/{id}"),
    ("post", "/v1/operator/doors/{id}/claim-code"),
    ("get", "/v1/operator/groups"),
    ("post", "/v1/operator/groups"),
    ("put", "/v1/operator/groups/{id}"),
    ("delete", "/v1/operator/groups/{id}"),
    ("get", "/v1/operator/members"),
    ("post", "/v1/operator/members"),
    ("get", "/v1/operator/members/{id}"),
    ("patch", "/v1/operator/members/{id}"),
    ("put", "/v1/operator/members/{id}/groups/{group}"),
    ("delete", "/v1/operator/members/{id}/groups/{group}"),
    ("delete", "/v1/operator/devices/{id}"),
    ("get", "/v1/operator/revocations"),
    ("get", "/v1/operator/events"),
    ("get", "/v1/operator/events/export"),
    ("get", "/v1/operator/presses"),
];

fn document() -> serde_json::Value {
    serde_json::to_value(openapi()).unwrap()
}

#[test]
fn every_route_is_in_the_openapi_document() {
    let document = document();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        found.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let mut expected: Vec<_> = ROUTES.iter().map(|(m, p)| ((*m).to_owned(), (*p).to_owned())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn every_reference_in_the_document_resolves() {
    fn walk(value: &serde_json::Value, references: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(|value| value.as_str()) {
                    references.push(reference.to_owned());
                }
                map.values().for_each(|value| walk(value, references));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| walk(value, references)),
            _ => {}
        }
    }
    let document = document();
    let mut references = Vec::new();
    walk(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_route_but_public_ones_asks_for_credentials() {
    let document = document();
    for (method, path) in ROUTES {
        let operation = &document["paths"][path][method];
        let open = ["/v1/health", "/v1/locks/claim"].contains(path);
        assert_eq!(operation.get("security").is_none(), open, "{method} {path}");
        assert!(operation["responses"].get(if open && *path == "/v1/health" { "200" } else { "default" }).is_some());
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_end_a_request_halfway() {
    let release = Arc::new(Notify::new());
    let (reached, mut stages) = mpsc::unbounded_channel();
    let handler = {
        let release = release.clone();
        move || async move {
            reached.send("begun").unwrap();
            release.notified().await;
            reached.send("done").unwrap();
        }
    };
    let router = Router::new().route("/", axum::routing::get(handler)).layer(middleware::from_fn(finish));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(stages.recv().await, Some("begun"));
    caller.shutdown().await.unwrap();
    // The server has noticed and closed its end.
    assert_eq!(caller.read(&mut [0; 64]).await.unwrap(), 0);
    // With the router gone, too, nothing but the request itself can still report.
    server.abort();
    assert!(server.await.is_err());
    release.notify_one();
    assert_eq!(stages.recv().await, Some("done"));
}

#[tokio::test]
async fn a_request_that_panics_is_answered_as_a_failure_of_the_service() {
    async fn broken() {
        panic!("broken on purpose")
    }
    let router = Router::new().route("/", axum::routing::get(broken)).layer(middleware::from_fn(finish));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let answer = answer_of(address).await;
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("\"code\":\"internal\""), "{answer}");
    assert!(!answer.contains("on purpose"), "{answer}");
    server.abort();
}

/// The whole answer to a request, as text.
async fn answer_of(address: std::net::SocketAddr) -> String {
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).await.unwrap();
    answer
}
