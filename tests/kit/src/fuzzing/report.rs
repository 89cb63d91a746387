//! Target `report`: datagrams of strangers, bare and in envelopes, told to a node with two members.
//!
//! Owns the bounds that hold whatever others say: one form for each datagram, a bounded memory, and no more to do at a
//! time than there is time.

use std::time::Duration;

use audience_meter::collections::key::Key as _;
use audience_meter::collections::tick::{Now, Tick};
use audience_meter::meter::news::{NodeId, Origin, Secret};
use audience_meter::meter::{ClusterRules, MemberId, Membership, Meter, NotifyRule, Output, Rules};
use audience_meter::wire::report::{self, DATAGRAM_MAX, Keys, Scope};

/// Few, so that limits are reached.
const NODES_MAX: usize = 3;
const NAMESPACES_MAX: usize = 4;
const FOLD_ABOVE: usize = 3;

/// Four times as many departed nodes are learned of as a node keeps by itself; of living ones there are a few, and one fold.
const SHARES_MAX: usize = 4 * FOLD_ABOVE + 2 * NODES_MAX + 1;

/// Target `report`: datagrams, each behind two bytes of its length, told to a node with two members.
///
/// # Panics
/// If what is decoded is not encoded as the same bytes, or the node's book does not balance, or it remembers more nodes or
/// namespaces than it may, or has more to do at a time than there is time.
pub fn report(mut bytes: &[u8]) {
    let scope = Scope { id: 0, keys: Keys::default() };
    let delay = Duration::from_secs(1);
    let notify = NotifyRule { delta_ratio: 0.1, min_delay: delay, max_delay: delay, budget: None };
    let rules = Rules {
        notify,
        increment_delay: Duration::ZERO,
        leave_delay: Duration::ZERO,
        namespace_clean_delay: delay,
        namespaces_max: usize::MAX,
    };
    let cluster = ClusterRules {
        nodes_max: NODES_MAX,
        namespaces_max: NAMESPACES_MAX,
        fold_above: FOLD_ABOVE,
        fold_keep: 1,
        ..ClusterRules::default()
    };
    let mut meter = Meter::new(
        rules,
        NodeId(1),
        Some(Membership { rules: cluster, secret: Secret([0; 2]), formats: report::FORMATS }),
    );
    let mut now = Now { tick: Tick(100), unix_ms: 1_700_000_000_000 };
    meter.join(MemberId::new(1), "a", Some("u"), now);
    meter.join(MemberId::new(2), "b", None, now);
    while let Some((&[low, high], rest)) = bytes.split_first_chunk() {
        // Receipts have something to confirm, once there are other nodes.
        if meter.mail(now).has_room() {
            meter.mail(now).announce("a", "s=x");
        }
        let length = usize::from(u16::from_le_bytes([low, high]));
        // The top bits pass time, so that silence and questions come into it.
        now.tick = Tick(now.tick.0 + (length >> 11) as u64 * 20);
        let (datagram, rest) = rest.split_at_checked(length & 0x7ff).unwrap_or((rest, &[]));
        bytes = rest;
        let (datagram, origin) = match report::open(datagram, &scope) {
            Ok(envelope) => {
                let again = report::enclose(&envelope, &scope);
                assert_eq!(report::open(&again, &scope), Ok(envelope), "what is passed on comes out as it went in");
                (envelope.datagram, Origin::Unlisted(envelope.address))
            }
            Err(_) => (datagram, Origin::Loopback),
        };
        if let Ok(heard) = report::decode(datagram, &scope) {
            let again = report::encode(&heard, &scope);
            assert_eq!(report::decode(&again, &scope).as_ref(), Ok(&heard), "what is skipped changes nothing");
            let _ = meter.receive(&heard, origin, now);
        }
        meter.handle_timeout(now, true);
        assert!(meter.poll_timeout().is_none_or(|next| next > now.tick), "the shell would spin");
        while let Some(output) = meter.poll_output() {
            match output {
                Output::Send(_, datagram) => assert!(report::encode(&datagram, &scope).len() <= DATAGRAM_MAX),
                // There is room for every other one.
                Output::Message { id, namespace, .. } => {
                    meter.mail(now).confirm(id, &namespace, id.number & 1 == 0);
                }
                _ => {}
            }
        }
        assert!(meter.nodes(now).count() <= NODES_MAX);
        assert!(meter.namespaces().len() <= 2 + SHARES_MAX * NAMESPACES_MAX);
    }
}
