//! Tests of the troubles: their pace, their end, and their bounds.

use super::*;
use crate::meter::news::NodeId;

/// The default node timeout; the hold is a minute.
const NODE_TIMEOUT: Duration = Duration::from_secs(5);

fn at_ms(ms: u64) -> Now {
    Now { tick: Tick(1_000 + ms / 10), unix_ms: 1_700_000_000_000 + ms }
}

fn at(seconds: u64) -> Now {
    at_ms(seconds * 1_000)
}

fn stranger(number: u16) -> Source {
    let address: SocketAddr = ([10, 0, 0, 9], number).into();
    Source::at(address.into())
}

fn addresses(troubles: &Troubles) -> Vec<(Kind, Option<String>, u64)> {
    let of = |(kind, example): (Kind, &Example)| {
        (kind, example.source.as_ref().map(|source| source.place.to_string()), example.count)
    };
    troubles.lasting().map(of).collect()
}

/// The kinds that last.
fn kinds(troubles: &Troubles) -> Vec<&'static str> {
    Kind::NAMES.into_iter().zip(troubles.gauges()).filter(|(_, gauge)| *gauge == 1).map(|(name, _)| name).collect()
}

impl Troubles {
    fn warned_at(&self, kind: Kind) -> Option<Tick> {
        self.by_kind[kind as usize].warned_at
    }
}

#[test]
fn each_kind_has_a_name_and_a_remedy_of_its_own() {
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(Kind::NAMES[index], kind.name());
        let remedy = kind.remedy();
        assert!(remedy.len() > 20 && !remedy.contains('"') && !remedy.contains("  "), "{remedy}");
        let others = || Kind::ALL.into_iter().filter(|other| *other != kind);
        assert!(others().all(|other| other.name() != kind.name() && other.remedy() != remedy));
    }
}

#[test]
fn a_trouble_is_warned_of_at_once_then_once_a_minute_and_is_over_a_minute_after_the_last() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    assert_eq!(troubles.next_deadline(), None, "nothing wakes a process without troubles");
    let mut warnings = Vec::new();
    for second in 0..150 {
        troubles.raise(Kind::ForeignVersion, &stranger(1), at(second));
        let before = troubles.warned_at(Kind::ForeignVersion);
        troubles.handle_timeout(at(second), true);
        if troubles.warned_at(Kind::ForeignVersion) != before {
            warnings.push(second);
        }
    }
    assert_eq!(warnings, [0, 61, 122], "a minute is never shorter by a tick");
    assert_eq!(addresses(&troubles), [(Kind::ForeignVersion, Some("10.0.0.9:1".to_owned()), 150)]);
    assert_eq!(kinds(&troubles), ["foreign_version"]);

    let end = troubles.next_deadline().unwrap();
    assert_eq!(end, at(149).tick.after(Duration::from_mins(1)));
    troubles.handle_timeout(Now { tick: Tick(end.0 - 1), ..at(0) }, true);
    assert_eq!(kinds(&troubles), ["foreign_version"]);
    troubles.handle_timeout(Now { tick: end, ..at(0) }, true);
    assert!(kinds(&troubles).is_empty() && addresses(&troubles).is_empty());
    assert_eq!(troubles.next_deadline(), None);
}

#[test]
fn a_trouble_that_comes_and_goes_is_warned_of_once_a_minute() {
    let mut troubles = Troubles::new(Duration::from_millis(500));
    for second in (0..=50).step_by(10) {
        troubles.raise(Kind::Unkeyed, &stranger(1), at(second));
        troubles.handle_timeout(at(second), true);
        assert_eq!(kinds(&troubles), ["unkeyed"]);
        assert_eq!(troubles.warned_at(Kind::Unkeyed), Some(at(0).tick));
        troubles.handle_timeout(at_ms(second * 1_000 + 6_020), true);
        assert!(kinds(&troubles).is_empty(), "a short node timeout makes the hold 6 s");
    }
    troubles.raise(Kind::Unkeyed, &stranger(1), at(61));
    troubles.handle_timeout(at(61), true);
    assert_eq!(troubles.warned_at(Kind::Unkeyed), Some(at(61).tick));
}

#[test]
fn four_places_of_a_kind_are_named_whatever_strangers_send() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    for number in 1..=60_000 {
        troubles.raise(Kind::DifferentKey, &stranger(number), at(0));
    }
    troubles.raise(Kind::DifferentKey, &stranger(3), at(1));
    let counts = addresses(&troubles).into_iter().map(|(_, address, count)| (address, count)).collect::<Vec<_>>();
    let named = |number, count| (Some(format!("10.0.0.9:{number}")), count);
    assert_eq!(counts, [named(1, 1), named(2, 1), named(3, 2), named(4, 1), (None, 59_996)]);
    // The one that goes on is left, and there is room for others.
    troubles.handle_timeout(at_ms(60_500), true);
    troubles.raise(Kind::DifferentKey, &stranger(9), at_ms(60_500));
    let left = addresses(&troubles).into_iter().map(|(_, address, count)| (address, count)).collect::<Vec<_>>();
    assert_eq!(left, [named(3, 2), named(9, 1)]);
}

#[test]
fn an_address_of_both_families_is_shown_as_ipv4() {
    let mapped: SocketAddr = "[::ffff:10.0.0.9]:80".parse().unwrap();
    assert_eq!(Place::from(mapped).to_string(), "10.0.0.9:80");
    let real: SocketAddr = "[fd00::9]:80".parse().unwrap();
    assert_eq!(Place::from(real).to_string(), "[fd00::9]:80");
}

#[test]
fn a_listed_peer_is_silent_after_three_node_timeouts_and_until_it_is_received() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    let address = |last, port| SocketAddr::from(([10, 0, 0, last], port));
    troubles.expect_peer("a:80".into(), vec![address(1, 80), address(2, 80)], at(0));
    troubles.expect_peer("b:80".into(), vec![address(3, 80)], at(0));
    let turn = |troubles: &mut Troubles, now: Now| {
        while troubles.next_deadline().is_some_and(|deadline| deadline <= now.tick) {
            troubles.handle_timeout(now, true);
        }
    };
    for second in 0..14 {
        turn(&mut troubles, at(second));
        assert!(kinds(&troubles).is_empty(), "{second}");
    }
    // Any address of a name will do.
    troubles.received_from(address(2, 80), at(14));
    for second in 15..22 {
        turn(&mut troubles, at(second));
    }
    assert_eq!(addresses(&troubles).len(), 1);
    assert_eq!(addresses(&troubles)[0].1, Some("b:80".to_owned()));
    // It lasts for as long as nothing comes.
    for second in 22..200 {
        turn(&mut troubles, at(second));
        troubles.received_from(address(1, 80), at(second));
    }
    assert_eq!(kinds(&troubles), ["silent_peer"]);
    // Translation has changed the port; and the address is mapped.
    troubles.received_from("[::ffff:10.0.0.3]:4711".parse().unwrap(), at(200));
    assert!(kinds(&troubles).is_empty(), "it is over at once");
}

#[test]
fn silence_is_no_trouble_while_datagrams_wait() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    troubles.expect_peer("a:80".into(), vec![([10, 0, 0, 1], 80).into()], at(0));
    troubles.handle_timeout(at(100), false);
    assert!(kinds(&troubles).is_empty());
    troubles.received_from(([10, 0, 0, 1], 80).into(), at(100));
    troubles.handle_timeout(at(100), true);
    assert!(kinds(&troubles).is_empty());
}

#[test]
fn two_peers_of_one_host_are_distinct_and_all_are_over_when_the_last_is_received() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    for port in 80..90 {
        troubles.expect_peer(port.to_string().into(), vec![([10, 0, 0, 1], port).into()], at(0));
    }
    troubles.handle_timeout(at(20), true);
    assert_eq!(addresses(&troubles).len(), EXAMPLES_MAX + 1);
    troubles.received_from(([10, 0, 0, 1], 4711).into(), at(20));
    troubles.received_from(([10, 0, 0, 1], 80).into(), at(20));
    assert_eq!(addresses(&troubles).len(), EXAMPLES_MAX);
    for port in 81..90 {
        assert_eq!(kinds(&troubles), ["silent_peer"]);
        troubles.received_from(([10, 0, 0, 1], port).into(), at(20));
    }
    assert!(kinds(&troubles).is_empty());
}

#[test]
fn a_node_is_unproven_when_it_has_not_proved_itself_for_a_node_timeout() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    let node = |number| Source { node: Some(NodeId(number)), ..stranger(1) };
    for second in 0..=5 {
        troubles.received_unproven(&node(7), at(second));
        troubles.received_unproven(&node(8), at(second));
        // Names that are made up and never come back.
        troubles.received_unproven(&node(1_000 + second), at(second));
    }
    troubles.received_proven(&node(8));
    assert!(kinds(&troubles).is_empty());
    for now in [at_ms(5_020), at(6)] {
        troubles.received_unproven(&node(7), now);
        troubles.received_unproven(&node(8), now);
    }
    let lasting = troubles.lasting().map(|(kind, example)| (kind, example.source.clone(), example.count));
    assert_eq!(lasting.collect::<Vec<_>>(), [(Kind::UnprovenNode, Some(node(7)), 2)]);
}

#[test]
fn a_clock_that_differs_is_a_trouble_when_no_datagram_of_a_node_timeout_was_in_time() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    let node = Source { node: Some(NodeId(7)), ..stranger(1) };
    let mut compare = |skew_ms: i64, now: Now| {
        troubles.compare_clocks(&node, now.unix_ms.checked_add_signed(skew_ms).unwrap(), now);
        troubles
            .lasting()
            .map(|(_, example)| example.source.as_ref().and_then(|source| source.skew_ms))
            .collect::<Vec<_>>()
    };
    for second in 0..60 {
        assert_eq!(compare(if second % 5 == 0 { 1_000 } else { -86_400_000 }, at(second)), []);
    }
    assert_eq!(compare(-1_000, at(60)), []);
    for second in 61..66 {
        assert_eq!(compare(3_000, at(second)), []);
    }
    assert_eq!(compare(-1_001, at(67)), [Some(1_001)]);
    assert_eq!(compare(2_500, at(68)), [Some(2_500)], "the latest skew is the one to show");
}

#[test]
fn another_key_of_a_sibling_is_a_trouble_when_it_lasts() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    let node = |number| Source { node: Some(NodeId(number)), ..stranger(1) };
    // Each of many that start one after another has the key soon.
    for second in 0..60 {
        troubles.raise_from_stranger(Kind::DifferentKey, &node(second), at(second));
        troubles.received_proven(&node(second));
    }
    assert!(kinds(&troubles).is_empty());
    for second in 60..=65 {
        troubles.raise_from_stranger(Kind::DifferentKey, &node(7), at(second));
        assert!(kinds(&troubles).is_empty());
    }
    troubles.raise_from_stranger(Kind::DifferentKey, &node(7), at(66));
    assert_eq!(kinds(&troubles), ["different_key"]);
    // A stranger without a name cannot be of the audience.
    troubles.raise_from_stranger(Kind::Unkeyed, &stranger(1), at(66));
    assert_eq!(kinds(&troubles), ["different_key", "unkeyed"]);
}

#[test]
fn a_state_is_renewed_once_in_a_node_timeout_and_lasts_for_as_long_as_it_is() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    let loopback = Source::at(Place::Name("loopback".into()));
    for second in 0..100 {
        troubles.renew(Kind::UnsealedLoopback, &loopback, at(second));
        troubles.handle_timeout(at(second), true);
    }
    assert_eq!(addresses(&troubles), [(Kind::UnsealedLoopback, Some("loopback".to_owned()), 17)]);
    // A quiet process wakes for nothing but the end, and renews before that is looked for.
    let end = Now { tick: troubles.next_deadline().unwrap(), ..at(0) };
    troubles.renew(Kind::UnsealedLoopback, &loopback, end);
    troubles.handle_timeout(end, true);
    assert_eq!(kinds(&troubles), ["unsealed_loopback"]);
    troubles.handle_timeout(Now { tick: Tick(end.tick.0 + 6_002), ..at(0) }, true);
    assert!(kinds(&troubles).is_empty());
}

#[test]
fn a_condition_that_ends_at_a_place_is_over_there_at_once() {
    let mut troubles = Troubles::new(NODE_TIMEOUT);
    let places = ["loopback:Invalid-argument", "group:No-such-device"].map(|name| Source::at(Place::Name(name.into())));
    let node = Source { node: Some(NodeId(7)), ..Source::at(Place::Name("loopback".into())) };
    for place in &places {
        troubles.raise(Kind::Unsent, place, at(0));
    }
    troubles.raise(Kind::FilteredLoopback, &node, at(0));
    troubles.end(Kind::Unsent, |source| source.place.begins_with("loopback"), at(1));
    troubles.end(Kind::FilteredLoopback, |source| source.node == Some(NodeId(8)), at(1));
    assert_eq!(kinds(&troubles), ["unsent", "filtered_loopback"]);
    assert_eq!(addresses(&troubles).len(), 2);
    troubles.end(Kind::Unsent, |source| source.place.begins_with("group"), at(1));
    troubles.end(Kind::FilteredLoopback, |source| source.node == Some(NodeId(7)), at(1));
    assert!(kinds(&troubles).is_empty());
}
