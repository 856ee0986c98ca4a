use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use zeroize::Zeroizing;

use super::{
    super::{HttpHeader, exchange},
    *,
};

fn get(url: String) -> HttpRequest {
    HttpRequest {
        method: download::Method::Get,
        url,
        headers: vec![HttpHeader { name: "authorization".into(), value: Zeroizing::new("Bearer token".into()) }],
        body: Vec::new(),
        timeout: Duration::from_secs(20),
        max_answer: 100,
    }
}

/// Serves connections one after the other with `answer`, which is given the request's head.
async fn serve<F, A>(answer: F) -> String
where
    F: Fn(String) -> A + Send + 'static,
    A: Future<Output = String> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_head(&mut stream).await;
            let text = answer(head).await;
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn sends_headers_and_returns_status_and_body() {
    let url = serve(|head| async move {
        assert!(head.starts_with("GET /v1/me HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer token\r\n"), "{head}");
        "HTTP/1.1 418 Short and stout\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi".to_owned()
    })
    .await;
    let response = exchange(&ReqwestHttp::new(), get(format!("{url}/v1/me"))).await.unwrap();
    assert_eq!(response, HttpResponse { status: 418, body: b"hi".to_vec() });
}

#[tokio::test]
async fn a_large_answer_is_cut_off_whether_or_not_it_says_so() {
    let sized = serve(|_| async { ok(&"x".repeat(101)) }).await;
    assert_eq!(exchange(&ReqwestHttp::new(), get(sized)).await, Err(HttpError::TooLarge));
    let unsized_answer =
        serve(|_| async { format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(101)) }).await;
    assert_eq!(exchange(&ReqwestHttp::new(), get(unsized_answer)).await, Err(HttpError::TooLarge));
}

#[tokio::test]
async fn redirects_stay_at_one_origin() {
    let strange = serve(|_| async { ok("stolen") }).await;
    let url = serve(move |head| {
        let strange = strange.clone();
        async move {
            let to = if head.starts_with("GET /away") {
                strange
            } else if head.starts_with("GET /near") {
                "/end".to_owned()
            } else {
                return ok("end");
            };
            format!("HTTP/1.1 307 See\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
    })
    .await;
    let http = ReqwestHttp::new();
    assert_eq!(exchange(&http, get(format!("{url}/near"))).await.unwrap().body, b"end");
    assert_eq!(exchange(&http, get(format!("{url}/away"))).await.unwrap().status, 307);
}

#[tokio::test]
async fn clear_text_leaves_the_machine_under_no_name() {
    for url in ["http://192.0.2.1/", "http://keys.invalid/", "ftp://127.0.0.1/", "nonsense"] {
        assert_eq!(exchange(&ReqwestHttp::new(), get(url.into())).await, Err(HttpError::NotAllowed), "{url}");
    }
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(exchange(&ReqwestHttp::new(), get(format!("http://{address}/"))).await, Err(HttpError::Unreachable));
}

#[tokio::test]
async fn a_header_that_smuggles_is_refused() {
    let mut request = get("http://127.0.0.1:9/".into());
    request.headers[0].value = Zeroizing::new("Bearer a\r\nx: y".into());
    assert_eq!(exchange(&ReqwestHttp::new(), request).await, Err(HttpError::NotAllowed));
}

#[test]
fn outside_a_runtime_the_request_is_refused() {
    let (answer, mut waiting) = HttpAnswer::new();
    ReqwestHttp::new().send(get("http://127.0.0.1:9/".into()), answer);
    assert_eq!(waiting.try_recv().unwrap(), Err(HttpError::NotAllowed));
}

/// Answers TLS connections on this machine, on a thread of its own.
///
/// The certificate is for `localhost` until 2126, by a CA of the tests' own whose key was thrown away.
fn serve_tls() -> String {
    use rustls::{ServerConfig, ServerConnection, Stream, pki_types::PrivateKeyDer};
    use std::io::{Read as _, Write as _};

    let certificate = CertificateDer::from_pem_slice(include_bytes!("tests/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tests/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut tls) = (stream.unwrap(), ServerConnection::new(config.clone()).unwrap());
            let mut stream = Stream::new(&mut tls, &mut stream);
            let mut head = [0; 4096];
            // A client that does not trust the certificate hangs up here.
            if stream.read(&mut head).is_ok_and(|len| len > 0) {
                stream.write_all(ok("over TLS").as_bytes()).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        }
    });
    format!("https://localhost:{}/", address.port())
}

#[tokio::test]
async fn only_the_roots_given_are_trusted() {
    let url = serve_tls();
    let own = ReqwestHttp::with_roots(Roots::Pem(include_bytes!("tests/ca.pem").to_vec()));
    assert_eq!(exchange(&own, get(url.clone())).await.unwrap().body, b"over TLS");
    let stranger = ReqwestHttp::with_roots(Roots::Pem(include_bytes!("tests/server.pem").to_vec()));
    assert_eq!(exchange(&stranger, get(url.clone())).await, Err(HttpError::Untrusted));
    assert_eq!(exchange(&ReqwestHttp::new(), get(url.clone())).await, Err(HttpError::Untrusted));
    let damaged =
        ReqwestHttp::with_roots(Roots::Pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_vec()));
    assert_eq!(exchange(&damaged, get(url)).await, Err(HttpError::Untrusted));
}
