//! What other nodes say of the people of events, and ask.
//!
//! Owns what each of that leads to: it is learned, and where another node knows more, that node is asked. An answer goes to all,
//! for what one node lacks others may lack, too.
//!
//! Invariant: what was said once may be said again, and changes nothing then.

use super::{Call, Cluster};
use crate::collections::tick::Now;
use crate::meter::book::keys::NamespaceId;
use crate::meter::book::{Book, people};
use crate::meter::news::NodeId;
use crate::meter::news::census::{CensusNews, Mentions};

/// Takes what a node says of the people of a namespace with its count, after that many more joins there.
pub(super) fn learn(
    namespace: NamespaceId,
    news: Option<&CensusNews>,
    joins: u64,
    of: NodeId,
    cluster: &mut Cluster,
    call: &mut Call<'_>,
) {
    if people::learn(namespace, news, joins, call.book, call.now).wants_more {
        cluster.announcer.surveys.want(namespace, of, call.now.tick);
    }
}

/// Takes a part of an answer.
pub(super) fn take_answer(name: &str, news: &CensusNews, cluster: &mut Cluster, call: &mut Call<'_>) {
    let Some(namespace) = call.book.find(name) else { return };
    people::learn(namespace, Some(news), 0, call.book, call.now);
    cluster.announcer.surveys.take_part(namespace, &news.findings);
}

/// Answers a question.
pub(super) fn answer(name: &str, cluster: &mut Cluster, book: &Book) {
    let Some(namespace) = book.find(name) else { return };
    cluster.announcer.surveys.answer(namespace);
}

/// A node says what it knows of some that are quiet there. Where this one knows something else, it asks.
pub(super) fn compare(mentions: &Mentions, of: NodeId, cluster: &mut Cluster, book: &mut Book, now: Now) {
    for &mention in mentions.iter().filter(|mention| mention.census != 0) {
        if let Some(namespace) = book.censuses.differs(mention, now.tick) {
            cluster.announcer.surveys.want(namespace, of, now.tick);
        }
    }
}
