//! The broker that carries the datagrams on the network, and where it is.
//!
//! Owns the form of its URL: `nats://host[:port][,host[:port]...][/subject]`, and the same for Redis. A URL with a secret is
//! refused, because the list of processes shows it.
//!
//! Invariant: a URL that is refused for what may be a secret is never printed.

use super::hosts::{Peer, parse_hosts};
use crate::wire::broker::Kind;

/// The longest channel, in bytes.
const CHANNEL_MAX: usize = 128;

/// The channel of a URL that names none.
const CHANNEL: &str = "audience-meter";

/// Most places of a broker that are given.
const SERVERS_MAX: usize = 16;

/// A broker, as the operator gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// What it speaks.
    pub kind: Kind,
    /// The servers of one linked cluster, of which one at a time is used.
    pub servers: Vec<Peer>,
    /// The subject or the channel that the datagrams go by.
    pub channel: String,
}

/// What is wrong with a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// There may be a secret in it, so nothing of it is shown.
    Secret,
    /// Something else.
    Form(String),
}

/// The port of a server whose place names none.
fn port_of(kind: Kind) -> u16 {
    match kind {
        Kind::Nats => 4222,
        Kind::Redis => 6379,
    }
}

impl Broker {
    /// Reads a URL; `None` if the text is none.
    pub(super) fn parse(text: &str) -> Option<Result<Self, Problem>> {
        let (scheme, rest) = text.split_once("://")?;
        if rest.contains('@') {
            return Some(Err(Problem::Secret));
        }
        let Some(kind) = [Kind::Nats, Kind::Redis].into_iter().find(|kind| kind.name() == scheme) else {
            return Some(Err(Problem::Form(explain_scheme(scheme))));
        };
        Some(Self::of(kind, rest).map_err(Problem::Form))
    }

    fn of(kind: Kind, rest: &str) -> Result<Self, String> {
        let (places, channel) = rest.split_once('/').unwrap_or((rest, ""));
        let channel = if channel.is_empty() { CHANNEL } else { channel };
        if !is_channel(kind, channel) {
            return Err(format!(
                "has no usable channel; give at most {CHANNEL_MAX} letters, digits and signs of ASCII, without ? # * > and \
                 without empty parts between dots"
            ));
        }
        let places: Vec<String> = places.split(',').map(|place| with_port(place.trim(), port_of(kind))).collect();
        if places.len() > SERVERS_MAX {
            return Err(format!("has {} servers; give {SERVERS_MAX} at most", places.len()));
        }
        Ok(Self { kind, servers: parse_hosts(&places)?, channel: channel.to_owned() })
    }
}

fn explain_scheme(scheme: &str) -> String {
    match scheme {
        "tls" | "rediss" | "valkeys" | "wss" | "nats+tls" => {
            "wants TLS, which this program does not speak; run a sidecar such as stunnel beside it, and give \
             nats://127.0.0.1:port or redis://127.0.0.1:port"
                .to_owned()
        }
        "valkey" => "is not a known kind of URL; give redis:// for Valkey".to_owned(),
        _ => "is not a known kind of URL; give nats:// or redis://, or a multicast ip:port".to_owned(),
    }
}

/// Whether datagrams can go by this subject or channel. A pattern would bring what others say.
fn is_channel(kind: Kind, text: &str) -> bool {
    let is_known = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#*>".contains(&byte));
    let has_parts = kind == Kind::Redis || text.split('.').all(|part| !part.is_empty());
    text.len() <= CHANNEL_MAX && is_known && has_parts
}

/// The place with a port, which is that of its kind if none was given.
fn with_port(place: &str, port: u16) -> String {
    let is_bare = place.rsplit_once(':').is_none_or(|(host, _)| host.starts_with('[') && place.ends_with(']'));
    if is_bare && !place.is_empty() { format!("{place}:{port}") } else { place.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Broker, Problem> {
        Broker::parse(text).unwrap()
    }

    #[track_caller]
    fn reads(text: &str, kind: Kind, names: &[&str], channel: &str) {
        let broker = parse(text).unwrap();
        let found: Vec<&str> = broker.servers.iter().map(|server| server.name.as_str()).collect();
        assert_eq!((broker.kind, &found[..], broker.channel.as_str()), (kind, names, channel), "{text}");
    }

    #[test]
    fn a_url_names_servers_and_a_channel() {
        let (nats, redis) = (Kind::Nats, Kind::Redis);
        reads("nats://10.0.0.1:4333", nats, &["10.0.0.1:4333"], "audience-meter");
        reads(
            "nats://10.0.0.1,[fd00::2]:9,[fd00::3]/",
            nats,
            &["10.0.0.1:4222", "[fd00::2]:9", "[fd00::3]:4222"],
            CHANNEL,
        );
        reads("nats://10.0.0.1/events.audience", nats, &["10.0.0.1:4222"], "events.audience");
        reads("redis://10.0.0.1,10.0.0.2:7000/a/b.", redis, &["10.0.0.1:6379", "10.0.0.2:7000"], "a/b.");
        assert!(Broker::parse("239.255.13.37:314").is_none());
        let server = &parse("redis://127.0.0.1").unwrap().servers[0];
        assert_eq!(server.addresses, ["127.0.0.1:6379".parse().unwrap()]);
        assert!(parse("nats://no.such.invalid").unwrap().servers[0].addresses.is_empty());
    }

    #[test]
    fn a_url_that_may_have_a_secret_is_refused_unseen() {
        for text in ["nats://me:hunter2@10.0.0.1", "redis://:hunter2@10.0.0.1:6379/0", "tls://a@b", "x://a/b@c"] {
            assert_eq!(parse(text), Err(Problem::Secret), "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        #[track_caller]
        fn refuses(text: &str, part: &str) {
            let Err(Problem::Form(problem)) = parse(text) else { panic!("{text} is taken") };
            assert!(problem.contains(part), "{text}: {problem}");
        }
        refuses("nats://", "has no host and port");
        refuses("nats://10.0.0.1,,10.0.0.2", "has no host and port");
        refuses("nats://10.0.0.1:0", "has no host and port");
        refuses("rediss://10.0.0.1", "stunnel");
        refuses("tls://10.0.0.1", "stunnel");
        refuses("http://10.0.0.1", "give nats:// or redis://");
        refuses("valkey://10.0.0.1", "redis:// for Valkey");
        for channel in ["a b", "a.*", ">", "a..b", ".a", "a.", "a?tls=true", "caf\u{e9}", &"n".repeat(129)] {
            refuses(&format!("nats://10.0.0.1/{channel}"), "channel");
        }
        let many = vec!["10.0.0.1"; 17].join(",");
        refuses(&format!("nats://{many}"), "has 17 servers; give 16 at most");
    }
}
