//! What the side ports are asked for, and whether by whom they are for.
//!
//! Owns the paths of the stats, notification and demo ports, and the check that keeps web pages elsewhere out of the first
//! two: they listen on loopback only, but a browser on the same machine would carry a page's request to them. Pure.
//!
//! Invariant: what [`is_local`] refuses has no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::collections::histogram::Histogram;
use crate::collections::tick::Tick;
use crate::meter::NodeFigures;
use crate::meter::news::NodeId;
use crate::server::answers::assets::{self, Asset};
use crate::server::answers::route::split_namespace;
use crate::server::figures::metrics::Metrics;
use crate::server::figures::tally::NoRoom;
use crate::server::figures::view::View;
use crate::wire::http::Request;
use crate::wire::json::{self, Object};

/// What a request on the notification port asks for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Notification<'a> {
    pub(in crate::server) namespace: &'a str,
    pub(in crate::server) service: &'a str,
    pub(in crate::server) text: &'a str,
}

impl<'a> Notification<'a> {
    /// `^/([^/]+)/([^/]+)/([^/]*)$`
    pub(in crate::server) fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let (namespace, service, text) = (segments.next()?, segments.next()?, segments.next()?);
        let is_one = !namespace.is_empty() && !service.is_empty() && segments.next().is_none();
        is_one.then_some(Self { namespace, service, text })
    }
}

/// What a request on the demo port asks for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum DemoRoute {
    /// The page that welcomes.
    Welcome,
    /// The page of an event.
    Event,
    /// A client script.
    Script(&'static Asset),
    /// Nothing that is there.
    NotFound,
}

impl DemoRoute {
    /// Decides.
    pub(in crate::server) fn of(path: &str) -> Self {
        if path == "/" {
            return Self::Welcome;
        }
        if let Some(script) = assets::script(path) {
            return Self::Script(script);
        }
        match split_namespace(path) {
            Some(("client", Some(_))) | None => Self::NotFound,
            Some(_) => Self::Event,
        }
    }
}

/// What an operator may look at beside the namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Page {
    /// Who else is there.
    Cluster,
    /// How this process is.
    Process,
    /// The figures of all nodes, for Prometheus.
    Metrics,
    /// Whether this process can be sent members.
    Ready,
}

impl Page {
    /// The page of this path on the stats port.
    pub(in crate::server) fn of(path: &str) -> Option<Self> {
        match path {
            "/cluster" => Some(Self::Cluster),
            "/process" => Some(Self::Process),
            "/metrics" => Some(Self::Metrics),
            "/readyz" => Some(Self::Ready),
            _ => None,
        }
    }
}

/// Appends the page of the cluster: which nodes are there, silent or draining, and what became of the datagrams.
pub(in crate::server) fn push_cluster(out: &mut Vec<u8>, metrics: &Metrics, view: &View<'_>) {
    let meter = view.meter;
    let own = NodeFigures { node: meter.node(), members: meter.own_members(), silent_ms: 0 };
    let others: Vec<NodeFigures> = meter.nodes(view.now).collect();
    let silent: Vec<&NodeFigures> = others.iter().filter(|node| view.is_silent(node)).collect();
    let draining = draining_nodes(metrics, view);
    let mut all = Object::begin(out);
    push_datagrams(&mut all.object("datagrams"), view);
    json::push_array(all.member("members"), std::iter::once(&own).chain(&others), |item, node| {
        let drains: &[u8] = if draining.contains(&node.node) { b"true" } else { b"false" };
        item.member("draining").extend_from_slice(drains);
        item.number("members", node.members);
        item.string("node", &node.node.to_string());
        item.number("silent_ms", node.silent_ms);
    });
    all.string("node", &meter.node().to_string());
    all.number("nodes", others.len() as u64 + 1);
    let silent_members = silent.iter().map(|node| node.members).sum();
    all.object("silent").numbers([("members", silent_members), ("nodes", silent.len() as u64)]);
}

fn push_datagrams(object: &mut Object<'_>, view: &View<'_>) {
    let datagrams = &view.datagrams;
    object.numbers([("bytes_received", datagrams.bytes_received), ("bytes_sent", datagrams.bytes_sent)]);
    object.object("dropped").numbers(datagrams.dropped.iter().map(|(&reason, &count)| (reason, count)));
    object.numbers([("overflowed", datagrams.overflowed), ("received", datagrams.received)]);
    object.numbers([("send_errors", datagrams.send_errors), ("sent", datagrams.sent)]);
}

/// The nodes that are letting their members go, this one included.
fn draining_nodes(metrics: &Metrics, view: &View<'_>) -> BTreeSet<NodeId> {
    let others = view.meter.counters().filter(|(_, counters)| metrics.are_draining(counters));
    let own = Some(view.meter.node()).filter(|_| view.is_draining);
    others.map(|(node, _)| node).chain(own).collect()
}

/// Appends the page of this process: how full it is, why connections ended, and how long its turns were.
pub(in crate::server) fn push_process(out: &mut Vec<u8>, metrics: &Metrics, view: &View<'_>) {
    let (meter, connections) = (view.meter, &view.connections);
    let closed: BTreeMap<&str, u64> = metrics.closed(view).collect();
    let mut all = Object::begin(out);
    all.number("audience_port", view.audience_port.into());
    all.object("closed").numbers(closed);
    all.number("members", meter.own_members());
    all.string("node", &meter.node().to_string());
    all.numbers([("open", connections.open_count() as u64), ("pid", std::process::id().into())]);
    let refused = NoRoom::NAMES.into_iter().zip(view.tally.refusal_counts());
    all.object("refused").numbers([("heads", connections.heads_refused)].into_iter().chain(refused));
    push_turns(&mut all.object("turns"), view.turns);
    all.numbers([("uptime_s", view.now.tick.ms_since(Tick(0)) / 1000), ("watchers", view.watcher_count as u64)]);
}

fn push_turns(object: &mut Object<'_>, turns: &Histogram) {
    object.number("count", turns.count());
    json::push_array(object.member("histogram"), turns.buckets(), |item, (below_us, turns)| {
        match below_us {
            Some(below_us) => item.number("below_us", below_us),
            None => item.member("below_us").extend_from_slice(b"null"),
        }
        item.number("turns", turns);
    });
    object.number("longest_us", turns.longest_us());
}

/// Whether a request brings this token (RFC 6750 section 2.1). How long that takes to tell does not depend on how much of
/// it is right.
pub(in crate::server) fn brings_token(request: &Request<'_>, token: &[u8]) -> bool {
    let credentials = request.authorization.and_then(|field| field.split_at_checked(BEARER.len()));
    let Some((scheme, given)) = credentials else { return false };
    let differences = given.iter().zip(token).fold(0, |differences, (a, b)| differences | (a ^ b));
    scheme.eq_ignore_ascii_case(BEARER) && given.len() == token.len() && differences == 0
}

const BEARER: &[u8] = b"Bearer ";

/// Whether a request may have come from a program on this machine, or from a page that such a program serves.
///
/// A page elsewhere betrays itself: by `Sec-Fetch-Site` (Fetch metadata), by its `Origin`, or, when its own name was made
/// to point to this machine (DNS rebinding), by the `Host` it asks for.
pub(in crate::server) fn is_local(request: &Request<'_>) -> bool {
    let is_cross_site = request.sec_fetch_site.is_some_and(|site| site.eq_ignore_ascii_case(b"cross-site"));
    !is_cross_site
        && request.host.is_none_or(|host| host.is_empty() || is_loopback_authority(host))
        && request.origin.is_none_or(is_loopback_origin)
}

fn is_loopback_origin(origin: &[u8]) -> bool {
    let authority = str::from_utf8(origin).ok().and_then(|origin| Some(origin.split_once("://")?.1));
    authority.is_some_and(is_loopback_authority)
}

/// `host [ ":" port ]`, the host being a loopback address or `localhost`.
fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_has_three_segments_and_the_text_may_be_empty() {
        let is_one = |path| Notification::of(path).map(|one| (one.namespace, one.service, one.text));
        assert_eq!(is_one("/ns/chat/hello%20you"), Some(("ns", "chat", "hello%20you")));
        assert_eq!(is_one("/ns/chat/"), Some(("ns", "chat", "")));
        for path in ["/", "/ns", "/ns/chat", "//chat/x", "/ns//x", "/ns/chat/a/b", "*"] {
            assert_eq!(is_one(path), None, "{path}");
        }
    }

    #[test]
    fn demo_paths() {
        assert_eq!(DemoRoute::of("/"), DemoRoute::Welcome);
        assert_eq!(DemoRoute::of("/test"), DemoRoute::Event);
        assert_eq!(DemoRoute::of("/test/uuid"), DemoRoute::Event);
        assert!(matches!(DemoRoute::of("/client/audience.js"), DemoRoute::Script(_)));
        assert_eq!(DemoRoute::of("/client/none.js"), DemoRoute::NotFound);
        assert_eq!(DemoRoute::of("/a/b/c"), DemoRoute::NotFound);
    }

    #[test]
    fn a_token_has_to_be_the_same() {
        let brings = |fields: &str| {
            let head = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
            brings_token(&Request::parse(head.as_bytes()).unwrap(), b"the-token-of-this-audience")
        };
        assert!(brings("Authorization: Bearer the-token-of-this-audience"));
        assert!(brings("authorization: bearer the-token-of-this-audience"));
        for fields in [
            "X: y",
            "Authorization:",
            "Authorization: Bearer",
            "Authorization: Bearer the-token-of-this-audienc",
            "Authorization: Bearer the-token-of-this-audience1",
            "Authorization: Bearer The-token-of-this-audience",
            "Authorization: Basic  the-token-of-this-audience",
            "Proxy-Authorization: Bearer the-token-of-this-audience",
        ] {
            assert!(!brings(fields), "{fields}");
        }
    }

    #[track_caller]
    fn check(fields: &str, is_allowed: bool) {
        let head = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
        assert_eq!(is_local(&Request::parse(head.as_bytes()).unwrap()), is_allowed, "{fields}");
    }

    #[test]
    fn pages_elsewhere_are_kept_out() {
        for fields in [
            "X: y",
            "Host: localhost:1442",
            "Host: LOCALHOST",
            "Host: 127.0.0.1:1442",
            "Host: 127.1.2.3",
            "Host: [::1]:1442",
            "Host:",
            "Host: localhost\r\nOrigin: http://localhost:8080\r\nSec-Fetch-Site: same-site",
            "Origin: http://127.0.0.1",
            "Sec-Fetch-Site: none",
        ] {
            check(fields, true);
        }
        for fields in [
            "Host: example.com",
            "Host: localhost.example.com:1442",
            "Host: 127.0.0.1.example.com",
            "Host: 10.0.0.1",
            "Host: [::2]",
            "Origin: https://example.com",
            "Origin: null",
            "Origin: http://localhost.example.com",
            "Host: localhost\r\nSec-Fetch-Site: cross-site",
        ] {
            check(fields, false);
        }
    }
}
