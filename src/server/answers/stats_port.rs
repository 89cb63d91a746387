//! The answers of the stats port.
//!
//! Owns its paths. What the pages say is read from the audience and from the figures of the process.
//!
//! Invariant: a request from another machine without the token, or of a page from elsewhere, learns nothing but whether the
//! process is there, and ready.

use std::borrow::Cow;

use super::access;
use super::answer::{AfterReply, Asker, Sources};
use super::cursor::{Cursor, figures_of};
use super::replies::{push_asset, push_json, push_text};
use super::{assets, pages, watching};
use crate::collections::tick::Now;
use crate::config::Config;
use crate::meter::Meter;
use crate::server::figures::announced::Announced;
use crate::server::figures::exposition;
use crate::server::figures::metrics::Metrics;
use crate::server::figures::view::View;
use crate::server::ports::port::Port;
use crate::wire::handover::Supervision;
use crate::wire::history::Format;
use crate::wire::http::{Method, Request, contains_ignore_case};
use crate::wire::reply::{self, Cors, Reply};
use crate::wire::{name, query, stats, watch};

/// What there is at the stats port.
const NO_SUCH_PAGE: &str = "there are /, /?watch=<names>, /namespace/<namespace>, /history/<namespace>, /cluster, /process, \
                            /metrics, /healthz, /readyz and /grafana.json here";

/// Why no member can be taken in.
const NO_SLOT: &str = "full: --max-connections, or the limit of open files, lets in no more members";

/// The dashboard may do nothing but ask the port that it comes from (Content Security Policy). Its style and its script are
/// named by their hashes, which are made with the page.
const DASHBOARD_FIELDS: &str = concat!(
    "Content-Encoding: gzip\r\nContent-Security-Policy: ",
    include_str!("../../../client/embedded/dashboard.csp"),
    "\r\n"
);

/// What was decided at start about the stats port.
pub(super) struct StatsPort {
    /// Most namespaces that have metrics of their own.
    metrics_namespaces: usize,
    /// The token that has to come with a request, if one has to.
    token: Option<Vec<u8>>,
    metrics: &'static Metrics,
}

impl StatsPort {
    /// # Errors
    /// A token that cannot be read, as a line for a person.
    pub(super) fn new(config: &Config, metrics: &'static Metrics) -> Result<Self, String> {
        let (metrics_namespaces, token) = (config.accounts.metrics_namespaces, config.stats.read_token()?);
        Ok(Self { metrics_namespaces, token, metrics })
    }

    /// Answers a request.
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        asker: Asker,
        sources: Sources<'_>,
        out: &mut Vec<u8>,
        now: Now,
    ) -> AfterReply {
        let is_head = request.method == Method::Head;
        let Sources { audience, process, announced } = sources;
        let is_probe = matches!(request.path, "/healthz" | "/readyz");
        if !is_probe && !access::admits(request, Port::Stats, self.token.as_deref(), out) {
            return AfterReply::Drain;
        }
        match request.path {
            "/" if watch::is_asked(request.query) => {
                return watching::answer(request, Cors::None, asker, audience, out, now);
            }
            "/" if is_for_browser(request) => push_dashboard(out, is_head),
            "/" => return push_stats(out, &audience.meter, is_head, now),
            "/cluster" => push_json(out, &pages::cluster(&audience.view(process, now)), is_head),
            "/process" => push_json(out, &pages::process(self.metrics, &audience.view(process, now)), is_head),
            "/metrics" => {
                return self.push_metrics(out, &audience.view(process, now), announced, is_head);
            }
            "/healthz" => push_text(out, 200, &"alive", is_head),
            "/readyz" if process.is_draining => push_text(out, 503, &"draining", is_head),
            "/readyz" if !audience.meter.has_met_all() => {
                push_text(out, 503, &"receiving the counts of the other nodes", is_head);
            }
            "/readyz" if process.troubles.is_deaf() => {
                push_text(out, 503, &"a process of this host is there, and its counts do not come", is_head);
            }
            "/readyz" if !process.has_member_slot => push_text(out, 503, &NO_SLOT, is_head),
            "/readyz" => {
                push_text(out, 200, &readiness(process.facts.supervision, process.troubles.is_broker_away()), is_head);
            }
            "/grafana.json" => push_asset(out, &assets::GRAFANA, request),
            _ => return answer_about_one(request, &mut audience.meter, out, now),
        }
        AfterReply::Drain
    }

    /// Answers with the metrics of the audience and of the processes here, which those of the largest namespaces follow.
    fn push_metrics(&self, out: &mut Vec<u8>, view: &View<'_>, announced: &mut Announced, is_head: bool) -> AfterReply {
        reply::push_open_ended_head(out, exposition::CONTENT_TYPE);
        if is_head {
            return AfterReply::Drain;
        }
        let mut text = String::new();
        let page = pages::metrics(self.metrics, view, announced, &mut text);
        out.extend_from_slice(text.as_bytes());
        AfterReply::DrainPieces(Box::new(Cursor::metrics(page, self.metrics_namespaces)))
    }
}

/// What a process that is ready says. That siblings are missing is no fault of this process, which serves.
fn readiness(supervision: Option<Supervision>, is_broker_away: bool) -> Cow<'static, str> {
    match supervision {
        Some(Supervision { posts_empty: missing @ 1.., .. }) => {
            Cow::Owned("ready; workers that are missing here: ".to_owned() + &missing.to_string())
        }
        _ if is_broker_away => Cow::Borrowed("ready; the broker is away, and other hosts with it"),
        _ => Cow::Borrowed("ready"),
    }
}

fn push_dashboard(out: &mut Vec<u8>, is_head: bool) {
    let (content_type, body) = (Some(assets::HTML), assets::DASHBOARD);
    Reply { content_type, fields: DASHBOARD_FIELDS, body, ..Reply::empty(200) }.write(out, is_head);
}

/// Answers with the stats. They are seldom longer than one piece, and then their length is in the head: not every client
/// takes the end of a connection for the end of an answer.
fn push_stats(out: &mut Vec<u8>, meter: &Meter, is_head: bool, now: Now) -> AfterReply {
    let (mut cursor, mut piece) = (Box::new(Cursor::stats()), Vec::new());
    let goes_on = cursor.push_piece(&mut piece, meter, now);
    if !goes_on {
        push_json(out, &piece, is_head);
        return AfterReply::Drain;
    }
    reply::push_open_ended_head(out, "application/json");
    if is_head {
        return AfterReply::Drain;
    }
    out.extend_from_slice(&piece);
    AfterReply::DrainPieces(cursor)
}

/// Answers a request that is about one namespace, if it is. Where the path does not name it the query does, for clients that
/// would write its name otherwise in a path: no namespace has an empty name.
fn answer_about_one(request: &Request<'_>, meter: &mut Meter, out: &mut Vec<u8>, now: Now) -> AfterReply {
    let is_head = request.method == Method::Head;
    if let Some(name) = request.path.strip_prefix("/history/") {
        return push_history(out, name, request, meter, now);
    }
    let Some(name) = request.path.strip_prefix("/namespace/") else {
        push_text(out, 404, &NO_SUCH_PAGE, is_head);
        return AfterReply::Drain;
    };
    match meter.find(&name_or(name, request.query)).and_then(|id| Some((id, meter.namespaces().get(id)?))) {
        Some((id, namespace)) => {
            let mut body = Vec::new();
            stats::push_object(&mut body, &figures_of(meter, id, namespace, now));
            body.push(b'\n');
            push_json(out, &body, is_head);
        }
        None => push_text(out, 404, &"there is no such namespace", is_head),
    }
    AfterReply::Drain
}

/// Answers with the history of the namespace that the end of a path names, or a query.
fn push_history(out: &mut Vec<u8>, path: &str, request: &Request<'_>, meter: &mut Meter, now: Now) -> AfterReply {
    let is_head = request.method == Method::Head;
    let (name, format) = Format::of(path);
    match Cursor::begin_history(out, &name_or(name, request.query), format, meter, now) {
        Some(_) if is_head => {
            let end = out.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
            out.truncate(end);
        }
        Some(cursor) => return AfterReply::DrainPieces(Box::new(cursor)),
        None => push_text(out, 404, &"there is no history of this namespace", is_head),
    }
    AfterReply::Drain
}

/// The name that a path has, or if it has none that of the query.
fn name_or<'a>(name: &'a str, query: Option<&str>) -> Cow<'a, str> {
    let of_query = || Cow::Owned(name::canonical_of(&query::decoded(query, "name").unwrap_or_default()));
    if name.is_empty() { of_query() } else { name::canonical(name) }
}

/// Whether a browser asks for a page: other clients are content with anything. All browsers take gzip.
fn is_for_browser(request: &Request<'_>) -> bool {
    let is_for_page = request.values(b"accept").any(|value| contains_ignore_case(value, b"text/html"));
    is_for_page && request.takes_gzip()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::wire::gzip;

    #[test]
    fn the_policy_of_the_dashboard_names_its_style_and_its_script() {
        let page = String::from_utf8(gzip::unpack(assets::DASHBOARD).unwrap()).unwrap();
        let policy = DASHBOARD_FIELDS.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: ")).unwrap();
        for (directive, open, close) in
            [("style-src", "<style>", "</style>"), ("script-src", "<script type=\"module\">", "</script>")]
        {
            let (_, rest) = page.split_once(open).unwrap();
            let (text, after) = rest.split_once(close).unwrap();
            assert!(!after.contains(open), "two of {open}");
            let source = format!(" {directive} 'sha256-{}';", STANDARD.encode(Sha256::digest(text)));
            assert!(policy.contains(&source), "{source} is not in {policy}: npm run build --prefix tests/browser");
        }
        assert!(!policy.contains("unsafe"));
    }
}
