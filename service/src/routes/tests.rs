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
