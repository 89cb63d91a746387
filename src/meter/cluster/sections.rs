//! This node among the others as bytes, for the program that goes on in the place of this one.
//!
//! Owns the order of its parts. The rules and the versions of the format are those of the program that goes on; its secret is
//! that of the one before, so that no other node sees a difference.

use super::addresses::Addresses;
use super::held::HeldQuestions;
use super::lookout::Lookout;
use super::questions::Questions;
use super::receipts::Receipts;
use super::rules::Membership;
use super::silence::Wakefulness;
use super::{Cluster, announce, peers};
use crate::collections::sections::{Reader, Writer};
use crate::meter::book::keys::NamespaceId;
use crate::meter::news::NodeId;

/// Writes the conversation with the other nodes.
pub(in crate::meter) fn write(cluster: &Cluster, out: &mut Writer) {
    let Cluster {
        rules: _,
        is_reachable,
        announcer,
        receipts,
        questions,
        peers,
        addresses,
        held,
        lookout,
        wakefulness,
        lost_count,
        fold_full_at,
    } = cluster;
    out.flag(*is_reachable);
    questions.write(out);
    announce::sections::write(announcer, out);
    receipts.write(out);
    peers::sections::write(peers, out);
    addresses.write(out);
    held.write(out);
    lookout.write(out);
    wakefulness.write(out);
    out.number(*lost_count);
    out.tick(*fold_full_at);
}

/// The conversation that was written, of a node with shares of namespaces that are `there`.
pub(in crate::meter) fn read(
    node: NodeId,
    membership: Option<Membership>,
    there: &dyn Fn(NamespaceId) -> bool,
    from: &mut Reader<'_>,
) -> Cluster {
    let was_reachable = from.flag();
    from.check(
        was_reachable == membership.is_some(),
        "there is a way to other nodes there and not here, or the other way round",
    );
    let questions = Questions::read(from);
    let secret = questions.proofs.secret();
    let mut cluster = Cluster::new(node, membership.map(|membership| Membership { secret, ..membership }));
    cluster.questions = questions;
    announce::sections::read(&mut cluster.announcer, from);
    cluster.receipts = Receipts::read(from);
    cluster.peers = peers::sections::read(there, from);
    cluster.addresses = Addresses::read(from);
    cluster.held = HeldQuestions::read(from);
    cluster.lookout = Lookout::read(from);
    cluster.wakefulness = Wakefulness::read(from);
    (cluster.lost_count, cluster.fold_full_at) = (from.number(), from.tick());
    cluster.agree_on_format();
    cluster
}
