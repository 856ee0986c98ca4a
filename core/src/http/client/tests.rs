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
