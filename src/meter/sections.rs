//! A meter as bytes, for the program that goes on in the place of this one.
//!
//! Owns the order of its sections. Each structure writes and reads itself beside its fields, and names all of them when it writes:
//! a field that is added later does not compile until it is handed on.
//!
//! Ticks stay what they are: the caller hands on the zero of its clock, too. What is looked up by a key follows from the table
//! that has the key, and is made anew; keys lead where they led before, for connections hold them, too.

use super::book::schedule::Rules;
use super::book::{self, Book};
use super::cluster::rules::Membership;
use super::cluster::{self, Cluster};
use super::news::NodeId;
use crate::collections::sections::{Reader, Tag, Writer};

const NODE: Tag = Tag { number: 10, name: "node" };
const BOOK: Tag = Tag { number: 20, name: "book" };
const CLUSTER: Tag = Tag { number: 30, name: "cluster" };

/// Writes all of a meter.
pub(super) fn write(book: &Book, cluster: &Cluster, out: &mut Writer) {
    let node = out.open(NODE);
    out.fixed(cluster.node().0);
    out.close(node);
    let section = out.open(BOOK);
    book::sections::write(book, out);
    out.close(section);
    let section = out.open(CLUSTER);
    cluster::sections::write(cluster, out);
    out.close(section);
}

/// The meter that was written, under the rules of now.
pub(super) fn read(rules: Rules, membership: Option<Membership>, from: &mut Reader<'_>) -> (Book, Cluster) {
    let outer = from.enter(NODE);
    let node = NodeId(from.fixed());
    from.leave(outer);
    let outer = from.enter(BOOK);
    let book = book::sections::read(rules, node, from);
    from.leave(outer);
    let outer = from.enter(CLUSTER);
    let has_namespace = |id| book.get(id).is_some();
    let cluster = cluster::sections::read(node, membership, &has_namespace, from);
    from.leave(outer);
    (book, cluster)
}
