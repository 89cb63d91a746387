//! Request heads, as they come from a socket: scanned for their end, judged and read, all in one piece.
//!
//! httparse reads the same bytes for comparison. It does less, for it neither judges `Host` and the body's length nor
//! picks fields out, and more, for it makes a table of all fields.

use std::hint::black_box;

use audience_meter::wire::session::{Session, Step};
use criterion::{BenchmarkId, Criterion, Throughput};

/// What a script sends.
const MINIMAL: &str = "GET /a HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";

/// What an `EventSource` of Chromium sends from a page of another origin, but for its last CRLF.
const BROWSER: &str = "GET /event-2026-final/5f0c1d2e-8a4b-4c6d-9e7f-0a1b2c3d4e5f HTTP/1.1\r\n\
    Host: audience.example.com:2081\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Origin: https://www.example.com\r\n\
    Sec-Fetch-Site: same-site\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: https://www.example.com/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n";

/// How many bytes of cookies a browser may bring along.
const COOKIES: usize = 4 * 1024;

pub(crate) fn measure(criterion: &mut Criterion) {
    let cookies = "consent=b64-CPzHq4APzHq4AAfQ1DENDDCgAAAAAAAAAAYgAAAAAAAA; ".repeat(COOKIES / 58);
    let heads = [
        ("minimal", MINIMAL.to_owned()),
        ("browser", format!("{BROWSER}\r\n")),
        ("cookies", format!("{BROWSER}Cookie: {cookies}\r\n\r\n")),
    ];
    let mut group = criterion.benchmark_group("heads");
    for (name, head) in &heads {
        assert!(is_join(head) && is_known_to_httparse(head), "{head}");
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(BenchmarkId::new("session", name), |b| b.iter(|| is_join(black_box(head))));
        group.bench_function(BenchmarkId::new("httparse", name), |b| b.iter(|| is_known_to_httparse(black_box(head))));
    }
    group.finish();
}

fn is_join(head: &str) -> bool {
    let mut session = Session::default();
    // Whoever asks for a request looks at all of it.
    let step = black_box(session.feed(head.as_bytes()));
    matches!(step, Step::Request { request, .. } if request.accepts_event_stream)
}

fn is_known_to_httparse(head: &str) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(head.as_bytes());
    black_box(&request);
    status.is_ok_and(|status| status.is_complete())
}
