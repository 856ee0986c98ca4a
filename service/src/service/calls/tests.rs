use std::{future::Future, pin::pin};

use axum::http::{HeaderValue, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keybutton_protocol::{
    api::Bytes,
    crypto::{Signer, ring::RingSigner},
};

use super::*;
use crate::{
    service::{Bootstrap, Settings},
    store::{App, OperatorKey},
};

async fn service() -> (Service, Bootstrap) {
    let service = Service::open(Settings::memory()).await.unwrap();
    let made = service.bootstrap_organization("a").await.unwrap();
    (service, made)
}

fn bearing(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    headers
}

/// Makes a call that waits at the gate while something changes, and says what becomes of it.
async fn overtaken<T>(
    service: &Service,
    organization: &OrganizationId,
    call: impl Future<Output = Answer<T>>,
    change: impl AsyncFnOnce(),
) -> Answer<T> {
    let gate = service.enter(organization, Hold::Alone).await;
    let mut call = pin!(call);
    tokio::select! {
        biased;
        _ = &mut call => panic!("the call passed a closed gate"),
        () = std::future::ready(()) => {}
    }
    change().await;
    drop(gate);
    call.await
}

#[tokio::test]
async fn an_operator_key_revoked_at_the_gate_is_not_let_in() {
    let (service, made) = service().await;
    let headers = bearing(&made.operator_key);
    // From the cache, as any call but the first.
    drop(service.operator_call(&headers, Hold::Shared).await.unwrap());
    let revoke = async || {
        let keys = service.store().operator_keys(&made.organization).await.unwrap();
        let revoked = OperatorKey { revoked: Some(1), ..keys[0].clone() };
        service.inner.writer.commit(vec![Change::PutOperatorKey(revoked)]).await.unwrap();
        service.forget_operators();
    };
    let call = service.operator_call(&headers, Hold::Shared);
    let problem = overtaken(&service, &made.organization, call, revoke).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidOperatorKey);
    let problem = service.operator_call(&headers, Hold::Shared).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidOperatorKey, "nor kept");
}

#[tokio::test]
async fn a_token_is_not_accepted_under_settings_that_changed_at_the_gate() {
    let (service, made) = service().await;
    let pkcs8 = RingSigner::generate_pkcs8().unwrap();
    let point = RingSigner::from_pkcs8(&pkcs8).unwrap().public_key();
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": Bytes::from(point.x()), "y": Bytes::from(point.y()) });
    let app = App {
        id: AppId("app.a".into()),
        organization: made.organization.clone(),
        name: "app".into(),
        enabled: true,
        issuer: "https://issuer".into(),
        audience: "doors".into(),
        jwks: json!({ "keys": [jwk] }).to_string(),
    };
    let put = async |app: &App| {
        service.inner.writer.commit(vec![Change::PutApp(app.clone())]).await.unwrap();
        service.inner.organizations.retain(|_| false);
        service.inner.apps.retain(|_| false);
    };
    put(&app).await;
    let exp = service.now() + 3600;
    let claims = json!({ "sub": "ada", "iss": app.issuer, "aud": app.audience, "exp": exp });
    let token = encode(&Header::new(Algorithm::ES256), &claims, &EncodingKey::from_ec_der(&pkcs8)).unwrap();
    let mut headers = bearing(&token);
    headers.insert(APP_HEADER, HeaderValue::from_static("app.a"));
    drop(service.member_call(&headers, Hold::Shared).await.unwrap());

    let other = App { issuer: "https://other".into(), ..app };
    let call = service.member_call(&headers, Hold::Shared);
    let problem = overtaken(&service, &made.organization, call, async || put(&other).await).await.unwrap_err();
    assert_eq!(problem.code, Code::Busy, "to be sent again, and then");
    let problem = service.member_call(&headers, Hold::Shared).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidToken);
}
